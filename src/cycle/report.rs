//! The result of a cycle, in the form that the command line promises.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::image::{Digest, Repository, Version};
use crate::plan::gate::GatedUpdate;
use crate::plan::skip::Skipped;

use super::status::ImageStatus;

/// The result of a cycle.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The tip of the branch at the end of the cycle.
    pub head: String,
    /// The commit that was pushed, if any.
    pub commit: Option<String>,
    /// True if that commit is a proposal, so that the branch did not move.
    #[serde(skip)]
    pub is_proposal: bool,
    /// The fields that moved, or that would move with the proposal.
    pub updates: Vec<Moved>,
    /// The fields and images that stayed, with the reasons.
    pub skipped: Vec<Skipped>,
    /// The number of attempts to push.
    pub attempts: u32,
    /// The duration of the cycle in milliseconds.
    pub duration_ms: u64,
    /// The status of each image that a policy governs, for a cycle that follows the policies.
    #[serde(skip)]
    pub images: Vec<ImageStatus>,
    /// The files before and after.
    #[serde(skip)]
    pub changes: Arc<[FileChange]>,
    /// Notes for people, such as files that are not valid YAML and fields that are overridden.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// A field that moved.
#[derive(Debug, Clone, Serialize)]
pub struct Moved {
    /// The file.
    pub file: String,
    /// The field.
    pub path: String,
    /// The image.
    pub image: Repository,
    /// The version before; null if there was none.
    pub from: Option<String>,
    /// The new version.
    pub to: String,
    /// The digest of the image, if it was queried.
    pub digest: Option<Digest>,
    /// The time when the image was built, if known.
    #[serde(skip)]
    pub built: Option<Timestamp>,
}

/// A file before and after.
#[derive(Debug, Clone)]
pub struct FileChange {
    /// The file.
    pub file: String,
    /// Its bytes before.
    pub before: Vec<u8>,
    /// Its bytes after.
    pub after: Vec<u8>,
}

impl From<&GatedUpdate> for Moved {
    fn from(update: &GatedUpdate) -> Moved {
        let shown = |version: &Version| (!version.is_empty()).then(|| version.to_string());
        Moved {
            file: update.file.clone(),
            path: update.field.path.clone(),
            image: update.field.repository.clone(),
            from: shown(&update.field.version),
            to: update.to.to_string(),
            digest: update.digest.clone(),
            built: update.built,
        }
    }
}
