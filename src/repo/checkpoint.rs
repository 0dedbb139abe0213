//! Results about the history of a commit, kept next to the clone so that history is not read twice. Like everything there
//! they can be deleted at any time. A damaged file is ignored.

use std::fs;
use std::path::PathBuf;

use git2::Oid;
use sha2::{Digest, Sha256};

use super::clone::{BareClone, CommitId};

/// Results about the history of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The commit.
    pub commit: CommitId,
    /// The results, in the format of their reader.
    pub text: String,
}

/// The subject of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Holds by name.
    Holds,
    /// Orders about stages, which depend on who has special rights.
    StageOrders,
    /// What merged pull requests proposed, by the commits that they were merged in.
    MergedProposals,
}

impl BareClone {
    /// Reads the results for the branch, if they have this version, the same history limit, and the same signers.
    pub fn checkpoint(&self, subject: Subject) -> Option<Checkpoint> {
        let kept = fs::read_to_string(self.checkpoint_file(subject)).ok()?;
        let (sum, body) = kept.split_once('\n')?;
        if sum != checksum(body) {
            return None;
        }
        let (commit, text) = body.strip_prefix(&self.checkpoint_header(subject))?.split_once('\n')?;
        Some(Checkpoint { commit: CommitId(Oid::from_str(commit).ok()?), text: text.to_owned() })
    }

    /// Saves the results. If that fails, history is read again.
    pub fn keep_checkpoint(&self, subject: Subject, checkpoint: &Checkpoint) {
        let body = format!("{}{}\n{}", self.checkpoint_header(subject), checkpoint.commit, checkpoint.text);
        let file = self.checkpoint_file(subject);
        let kept = fs::write(&file, format!("{}\n{body}", checksum(&body)));
        if let Err(error) = kept {
            tracing::debug!(file = %file.display(), %error, "the results about history could not be saved");
        }
    }

    fn checkpoint_file(&self, subject: Subject) -> PathBuf {
        let branch = checksum(self.config.branch.as_str());
        let kind = match subject {
            Subject::Holds => "history",
            Subject::StageOrders => "stages",
            Subject::MergedProposals => "proposals",
        };
        self.repository.path().join(format!("tagalong-{kind}-{}", &branch[..12]))
    }

    /// Increase the number when the meaning of the text changes.
    fn checkpoint_header(&self, subject: Subject) -> String {
        let (limit, signers) = (self.config.history_limit, self.signers.identity());
        match subject {
            Subject::Holds => format!("3 {limit} {signers} "),
            Subject::StageOrders => format!("3 {limit} {signers} {} ", self.people.identity()),
            Subject::MergedProposals => "1 ".to_owned(),
        }
    }
}

fn checksum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
