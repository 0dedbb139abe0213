//! The version of the program, with the commit and the date that it was built from.

use std::sync::LazyLock;

/// The version of this crate.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that this was built from.
const COMMIT: Option<&str> = option_env!("TAGALONG_COMMIT");
/// The date of that commit, such as `2026-11-27`.
const DATE: Option<&str> = option_env!("TAGALONG_COMMIT_DATE");

/// Returns the version as `--version` prints it: `0.1.0`, or `0.1.0 (1a2b3c4d5 2026-11-27)` in a release.
pub fn long() -> &'static str {
    static LONG: LazyLock<String> =
        LazyLock::new(|| with_origin(VERSION, COMMIT.unwrap_or_default(), DATE.unwrap_or_default()));
    &LONG
}

fn with_origin(version: &str, commit: &str, date: &str) -> String {
    let commit: String = commit.chars().take(9).collect();
    let origin: Vec<&str> = [commit.as_str(), date].into_iter().filter(|part| !part.is_empty()).collect();
    if origin.is_empty() { version.to_owned() } else { format!("{version} ({})", origin.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_names_its_commit_and_date_as_far_as_they_are_known() {
        let commit = "3f1c0a9b5d7e2f4601234567890abcdef0123456";
        assert_eq!(with_origin("0.1.0", commit, "2026-11-27"), "0.1.0 (3f1c0a9b5 2026-11-27)");
        assert_eq!(with_origin("0.1.0", commit, ""), "0.1.0 (3f1c0a9b5)");
        assert_eq!(with_origin("0.1.0", "", ""), "0.1.0");
    }
}
