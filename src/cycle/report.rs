//! What a cycle did, in the form that the command line promises.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::image::{Digest, Repository, Version};
use crate::plan::gate::GatedUpdate;
use crate::plan::skip::Skipped;

use super::status::ImageStatus;

/// What a cycle did.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The tip of the branch when the cycle ended.
    pub head: String,
    /// The commit that was pushed, if any.
    pub commit: Option<String>,
    /// Whether that commit is a proposal, so that the branch is where it was.
    #[serde(skip)]
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
    #[serde(skip)]
    pub images: Vec<ImageStatus>,
    /// The files as they were and as they are.
    #[serde(skip)]
    pub changes: Arc<[FileChange]>,
    /// What a person should know besides: files that are no YAML, fields that were left because they are overridden.
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
    /// What it held; null when it held nothing.
    pub from: Option<String>,
    /// What it holds.
    pub to: String,
    /// The digest of the image, where it was asked for.
    pub digest: Option<Digest>,
    /// When the image was built, where that is known.
    #[serde(skip)]
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
