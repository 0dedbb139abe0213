//! A push that replaces what it expects to replace, or nothing: compare and swap.
//!
//! libgit2 has no force-with-lease, but before it sends anything it tells what the remote's ref is now; the push goes on
//! only if that is the tip that the commit was planned on. The server compares once more when it moves the ref. A push
//! counts only when the server has confirmed the ref: `push()` returns without an error even when it was refused.

use std::cell::{Cell, RefCell};

use git2::{Error, ErrorClass, ErrorCode, PushOptions};

use super::clone::{BareClone, CommitId};
use super::error::RepoError;
use super::local;
use super::remote::{self, SharedTrail};

/// How a push ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Push {
    /// The branch is at the commit.
    Done,
    /// Someone else was first: the branch is not where it was expected.
    LostRace {
        /// How that was noticed.
        words: String,
    },
}

impl BareClone {
    /// Moves the remote's branch from `expected` to `commit`.
    pub fn push(&self, commit: CommitId, expected: CommitId) -> Result<Push, RepoError> {
        let pushed = match self.config.url.local_path() {
            Some(path) => local::push(self, path, commit, expected)?,
            None => self.push_to_server(commit, expected)?,
        };
        if pushed == Push::Done {
            self.note_tip(commit.0)?;
        }
        Ok(pushed)
    }

    fn push_to_server(&self, commit: CommitId, expected: CommitId) -> Result<Push, RepoError> {
        let config = &self.config;
        let trail = SharedTrail::default();
        let found = Cell::new(None);
        let status: RefCell<Option<Result<(), String>>> = RefCell::new(None);
        let branch = config.branch.reference();
        let mut callbacks = remote::callbacks(config, &trail)?;
        callbacks.push_negotiation(|updates| {
            let now = updates.iter().find(|update| update.dst_refname().ok() == Some(branch.as_str())).map(|u| u.src());
            found.set(now);
            if now == Some(expected.0) {
                return Ok(());
            }
            Err(Error::new(ErrorCode::User, ErrorClass::Callback, "the branch has moved"))
        });
        callbacks.push_update_reference(|name, refusal| {
            if name == branch {
                *status.borrow_mut() = Some(refusal.map_or(Ok(()), |words| Err(words.to_owned())));
            }
            Ok(())
        });
        let mut options = PushOptions::new();
        options.remote_callbacks(callbacks).proxy_options(remote::proxy()).follow_redirects(remote::REDIRECTS);
        let mut remote =
            self.repository.remote_anonymous(config.url.expose()).map_err(RepoError::git("preparing the remote"))?;
        let result = remote.push(&[format!("{commit}:{branch}")], Some(&mut options));
        drop(options);
        if found.get().is_some_and(|now| now != expected.0) {
            return Ok(Push::LostRace { words: "the branch has moved".to_owned() });
        }
        match (status.into_inner(), result) {
            (Some(Ok(())), _) => Ok(Push::Done),
            (Some(Err(words)), _) => self.judge(words, &trail),
            (None, Err(error)) if error.code() == ErrorCode::NotFastForward => {
                Ok(Push::LostRace { words: error.message().to_owned() })
            }
            (None, Err(error)) => Err(remote::reason(config, &trail, error)),
            (None, Ok(())) => {
                let silent = Error::from_str("the server did not say what became of the push");
                Err(remote::reason(config, &trail, silent))
            }
        }
    }

    /// A refusal is a lost race when the server's words are those of one; else it is the server's last word.
    fn judge(&self, words: String, trail: &SharedTrail) -> Result<Push, RepoError> {
        if is_race(&words) {
            return Ok(Push::LostRace { words });
        }
        let printed: Vec<String> = trail.borrow().words.lines().map(|line| line.trim().to_owned()).collect();
        let printed: Vec<String> = printed.into_iter().filter(|line| !line.is_empty()).collect();
        let words = if printed.is_empty() { words } else { format!("{words}: {}", printed.join(" / ")) };
        let words = remote::redacted(&self.config, &words);
        Err(RepoError::Refused { url: self.config.url.clone(), branch: self.config.branch.clone(), words })
    }
}

/// The wordings of git servers and forges for a ref that moved in between.
fn is_race(words: &str) -> bool {
    const RACES: [&str; 8] = [
        "non-fast-forward",
        "fetch first",
        "cannot lock ref",
        "failed to lock",
        "incorrect old value provided",
        "failed to update ref",
        "stale info",
        "reference already exists",
    ];
    let words = words.to_ascii_lowercase();
    RACES.iter().any(|race| words.contains(race))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn races_are_told_from_refusals() {
        for race in [
            "non-fast-forward",
            "cannot lock ref 'refs/heads/main': is at 1 but expected 2",
            "fetch first",
            "failed to update ref",
            "stale info",
        ] {
            assert!(is_race(race), "{race}");
        }
        for refusal in ["pre-receive hook declined", "protected branch hook declined", "permission denied"] {
            assert!(!is_race(refusal), "{refusal}");
        }
    }
}
