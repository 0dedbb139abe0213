//! What was made of the history that ends at a commit, kept beside the clone so that nobody reads it twice. Like
//! everything there it may be deleted at any moment. A file that was damaged counts as none.

use std::fs;
use std::path::PathBuf;

use git2::Oid;
use sha2::{Digest, Sha256};

use super::clone::{BareClone, CommitId};

/// What was made of the history that ends at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The commit.
    pub commit: CommitId,
    /// What was made of it, in the words of whoever reads it again.
    pub text: String,
}

impl BareClone {
    /// What was kept for the branch, if it is of this version and of the same history limit.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let kept = fs::read_to_string(self.checkpoint_file()).ok()?;
        let (sum, body) = kept.split_once('\n')?;
        if sum != checksum(body) {
            return None;
        }
        let (commit, text) = body.strip_prefix(&self.checkpoint_header())?.split_once('\n')?;
        Some(Checkpoint { commit: CommitId(Oid::from_str(commit).ok()?), text: text.to_owned() })
    }

    /// Keeps it. Where that fails, history is read again.
    pub fn keep_checkpoint(&self, checkpoint: &Checkpoint) {
        let body = format!("{}{}\n{}", self.checkpoint_header(), checkpoint.commit, checkpoint.text);
        let file = self.checkpoint_file();
        let kept = fs::write(&file, format!("{}\n{body}", checksum(&body)));
        if let Err(error) = kept {
            tracing::debug!(file = %file.display(), %error, "what history says is not kept");
        }
    }

    fn checkpoint_file(&self) -> PathBuf {
        let branch = checksum(self.config.branch.as_str());
        self.repository.path().join(format!("tagalong-history-{}", &branch[..12]))
    }

    /// Raise the number when the meaning of the text changes.
    fn checkpoint_header(&self) -> String {
        format!("1 {} ", self.config.history_limit)
    }
}

fn checksum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
