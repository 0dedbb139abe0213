//! What a cycle did.

use std::sync::Arc;

use jiff::Timestamp;

use crate::image::{Digest, Repository, Version};
use crate::plan::gate::GatedUpdate;
use crate::plan::skip::Skipped;
use crate::repo::clone::CommitId;

use super::status::ImageStatus;

/// What a cycle did.
#[derive(Debug, Clone)]
pub struct Report {
    /// The tip of the branch when the cycle ended; `None` outside git.
    pub head: Option<CommitId>,
    /// The commit that was pushed, if any.
    pub commit: Option<CommitId>,
    /// Whether that commit is a proposal, so that the branch is where it was.
    pub is_proposal: bool,
    /// The fields that moved, or that would by what is proposed.
    pub updates: Vec<Moved>,
    /// The images that stayed, with their reasons.
    pub skipped: Vec<Skipped>,
    /// How often a push was tried.
    pub attempts: u32,
    /// How long the cycle took, in milliseconds.
    pub duration_ms: u64,
    /// How each image that a policy governs stands; of a cycle that follows the policies.
    pub images: Vec<ImageStatus>,
    /// The files as they were and as they are.
    pub changes: Arc<[FileChange]>,
    /// What a person should know besides: files that are no YAML, fields that were left because they are overridden.
    pub notes: Vec<String>,
}

/// A field that moved.
#[derive(Debug, Clone)]
pub struct Moved {
    /// The file.
    pub file: String,
    /// The field.
    pub path: String,
    /// The image.
    pub image: Repository,
    /// What it held, which may be nothing.
    pub from: Version,
    /// What it holds.
    pub to: Version,
    /// The digest of the image, where it was asked for.
    pub digest: Option<Digest>,
    /// When the image was built, where that is known.
    pub built: Option<Timestamp>,
}

/// A file as it was and as it is.
#[derive(Debug, Clone)]
pub struct FileChange {
    /// The file.
    pub file: String,
    /// Its bytes before.
    pub before: Vec<u8>,
    /// Its bytes after.
    pub after: Vec<u8>,
}

impl Report {
    /// Returns the commit that was pushed to the branch itself.
    pub fn deployed(&self) -> Option<CommitId> {
        self.commit.filter(|_| !self.is_proposal)
    }
}

impl Moved {
    /// Returns what the field held, as text for people.
    pub fn from_text(&self) -> String {
        if self.from.is_empty() { "(none)".to_owned() } else { self.from.to_string() }
    }
}

impl From<&GatedUpdate> for Moved {
    fn from(update: &GatedUpdate) -> Moved {
        Moved {
            file: update.file.clone(),
            path: update.field.path.clone(),
            image: update.field.repository.clone(),
            from: update.field.version.clone(),
            to: update.to.clone(),
            digest: update.digest.clone(),
            built: update.built,
        }
    }
}
