//! The commit that a message says it reverts. Only what undoes orders needs it: what undoes a change of a file is
//! recognized by its content.

/// The shortest abbreviated ID of a commit.
const SHORTEST: usize = 7;
/// The longest ID of a commit (SHA-256), in hexadecimal digits.
const LONGEST: usize = 64;

/// Returns the ID, which may be abbreviated, of the commit that a message says it reverts.
///
/// - git and GitLab: `Revert "SUBJECT"` or `Reapply "SUBJECT"`, and `This reverts commit ID.` at the start of a line
///   (git-revert)
/// - Gitea and Forgejo: `revert ID`, or `Revert: ID`, and then the whole message of that commit (`CherryPick` and
///   `repo.commit.revert-header`)
pub fn reverted(message: &str) -> Option<String> {
    let mut lines = message.lines();
    let subject = lines.next()?;
    let (verb, rest) = subject.split_once(' ')?;
    if rest.starts_with('"') && matches!(verb, "Revert" | "Reapply") {
        let named = lines.find_map(|line| line.strip_prefix("This reverts commit "))?;
        return id(named.split(['.', ',', ' ']).next()?);
    }
    if matches!(verb.to_ascii_lowercase().as_str(), "revert" | "revert:") { id(rest.trim()) } else { None }
}

fn id(word: &str) -> Option<String> {
    let is_id = (SHORTEST..=LONGEST).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| word.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn reverts_of_git_and_of_forges_name_their_commit() {
        for message in [
            format!("Revert \"hold: app\"\n\nThis reverts commit {ID}.\n\nTagalong-Hold: acme/app\n"),
            format!("Reapply \"hold: app\"\n\nThis reverts commit {ID}.\n"),
            format!("Revert \"x\"\n\nThis reverts commit {ID}, reversing\nchanges made to 1234567.\n"),
            format!("revert {ID}\n\nrevert hold: app\n\nTagalong-Hold: acme/app\n"),
            format!("revert {ID}\n\nrevert Revert \"x\"\n\nThis reverts commit 1234567.\n"),
            format!("Revert: {ID}\n"),
        ] {
            assert_eq!(reverted(&message).as_deref(), Some(ID), "{message}");
        }
        let short = "Revert \"x\"\n\nThis reverts commit 0123456 (x, 2026-04-01).\n";
        assert_eq!(reverted(short).as_deref(), Some("0123456"));
    }

    #[test]
    fn other_messages_revert_nothing() {
        for message in [
            "",
            "revert",
            "revert the change",
            "revert 123456",
            "Revert \"x\"\n\nAs discussed.\n",
            "Revert \"x\"\n\nThis reverts commit messages.\n",
            &format!("hold: app\n\nThis reverts commit {ID}.\n"),
            &format!("revert {ID} and more\n"),
        ] {
            assert_eq!(reverted(message), None, "{message}");
        }
    }
}
