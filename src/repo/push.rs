//! A push that replaces what it expects to replace, or nothing: compare-and-swap.
//!
//! libgit2 has no force-with-lease. But before it sends anything it reports where the remote's ref is now, and the push only
//! continues if that is the expected commit. The server compares again when it updates the ref. A push only counts if the
//! server has confirmed the ref, because `push()` succeeds even if it was refused.

use std::cell::{Cell, RefCell};

use git2::{Error, ErrorClass, ErrorCode, Oid, PushOptions};

use super::access::Access;
use super::clone::{BareClone, CommitId};
use super::config::{Branch, Config};
use super::error::RepoError;
use super::local_push;
use super::metrics::GitOperation;
use super::refusal;
use super::remote::{self, Conversation};

/// How a push ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Push {
    /// The branch is at the commit.
    Done,
    /// Someone else was first: the branch is not at the expected commit.
    LostRace {
        /// How that was noticed.
        words: String,
    },
}

/// The branch that a push updates, and what it may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease<'l> {
    /// The branch.
    pub branch: &'l Branch,
    /// The expected commit; `None` if the branch must not exist yet.
    pub expected: Option<CommitId>,
}

impl Lease<'_> {
    /// Returns whether it is on the branch that is read, where nothing is ever replaced.
    fn is_on_base(&self, config: &Config) -> bool {
        *self.branch == config.branch
    }
}

impl BareClone {
    /// Updates a branch of the remote from the expected commit to `commit`. Except on the branch that is read, the expected
    /// commit need not be an ancestor.
    #[tracing::instrument(level = "debug", skip_all, fields(branch = %lease.branch, %commit))]
    pub fn push(&self, commit: CommitId, lease: Lease<'_>) -> Result<Push, RepoError> {
        let _call = self.long_call();
        let pushed = self.config.metrics.measure(GitOperation::Push, || match self.config.url.local_path() {
            Some(path) => self.push_to_folder(path, commit, lease),
            None => self.push_to_server(commit, lease),
        })?;
        if pushed == Push::Done {
            self.note(lease.branch, commit.0)?;
        }
        Ok(pushed)
    }

    fn push_to_folder(&self, path: &str, commit: CommitId, lease: Lease<'_>) -> Result<Push, RepoError> {
        let lost = local_push::push(self, path, commit, lease.branch, lease.expected)?;
        Ok(lost.map_or(Push::Done, |words| Push::LostRace { words }))
    }

    fn push_to_server(&self, commit: CommitId, lease: Lease<'_>) -> Result<Push, RepoError> {
        let config = &self.config;
        let conversation = Conversation::begin(config)?;
        let found = Cell::new(None);
        let status: RefCell<Option<Result<(), String>>> = RefCell::new(None);
        let branch = lease.branch.reference();
        // libgit2 reports a missing branch like this.
        let expected = lease.expected.map_or(Oid::ZERO_SHA1, |commit| commit.0);
        let force = if lease.is_on_base(config) { "" } else { "+" };
        let mut callbacks = conversation.callbacks();
        callbacks.push_negotiation(|updates| {
            let now = updates.iter().find(|update| update.dst_refname().ok() == Some(branch.as_str())).map(|u| u.src());
            found.set(now);
            if now == Some(expected) {
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
        options.remote_callbacks(callbacks);
        let push_options: Vec<&str> = config.push_options.iter().map(String::as_str).collect();
        options.remote_push_options(&push_options);
        let mut remote =
            self.repository.remote_anonymous(config.url.expose()).map_err(RepoError::git("preparing the remote"))?;
        let result = remote.push(&[format!("{force}{commit}:{branch}")], Some(&mut options));
        drop(options);
        if found.get().is_some_and(|now| now != expected) {
            return Ok(Push::LostRace { words: "the branch has moved".to_owned() });
        }
        match (status.into_inner(), result) {
            (Some(Ok(())), _) => Ok(Push::Done),
            (Some(Err(words)), _) => self.judge(lease, words, &conversation),
            (None, Err(error)) if error.code() == ErrorCode::NotFastForward => {
                Ok(Push::LostRace { words: error.message().to_owned() })
            }
            (None, Err(error)) if error.message().contains(NO_PUSH_OPTIONS) => {
                Err(RepoError::NoPushOptions { url: config.url.clone() })
            }
            (None, Err(error)) => Err(conversation.reason(error)),
            (None, Ok(())) => {
                let silent = Error::from_str("the server did not report whether the push succeeded");
                Err(conversation.reason(silent))
            }
        }
    }

    /// A refusal counts as a lost race if the server's message says so, and as final otherwise.
    fn judge(&self, lease: Lease<'_>, words: String, conversation: &Conversation<'_>) -> Result<Push, RepoError> {
        // Servers that forbid replacing commits use the same message.
        let is_forbidden = !lease.is_on_base(&self.config) && words.contains("non-fast-forward");
        if is_race(&words) && !is_forbidden {
            return Ok(Push::LostRace { words });
        }
        let (url, printed) = (self.config.url.clone(), conversation.printed());
        let words = if printed.is_empty() { words } else { format!("{words}: {}", printed.join(" / ")) };
        let words = remote::redacted(&self.config, &words);
        Err(match refusal::is_by_hook_for_readers(&printed) {
            true => RepoError::NoAccess { url, access: Access::Write, words },
            false => RepoError::Refused { url, branch: lease.branch.clone(), words },
        })
    }
}

/// libgit2's message for servers without the capability `push-options` (gitprotocol-capabilities).
const NO_PUSH_OPTIONS: &str = "push-options not supported";

/// Returns whether this is a message of git servers and forges for a ref that has moved.
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
