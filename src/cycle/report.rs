//! The result of a cycle.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::image::{Digest, Repository, Version};
use crate::manifest::inventory::Inventory;
use crate::plan::gate::GatedUpdate;
use crate::plan::skip::Skipped;
use crate::plan::trailer::Hold;
use crate::repo::clone::CommitId;
use crate::stage::name::Name;

use super::error::CycleError;
use super::stages::report::StageReport;
use super::stages::unrecorded::Unrecorded;
use super::status::ImageStatus;

/// The result of a cycle.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The tip of the branch at the end of the cycle; `None` outside git.
    pub head: Option<CommitId>,
    /// The commit that was pushed, if any.
    pub commit: Option<CommitId>,
    /// True if that commit is a proposal, so that the branch did not move.
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
    pub images: Vec<ImageStatus>,
    /// The files before and after.
    pub changes: Arc<[FileChange]>,
    /// What the stages hold, what entered them, and what people should look at.
    pub stages: StageReport,
    /// The stages whose promotions are proposed in pull requests.
    pub proposes: BTreeSet<Name>,
    /// The promotions whose approvals are not in history yet.
    pub unrecorded: Vec<Unrecorded>,
    /// The image fields of the tree.
    pub inventory: Arc<Inventory>,
    /// The holds by name before it, except those that it ended, for an operation that a person requested.
    pub holds: Vec<Hold>,
    /// Notes for people, such as files that are not valid YAML and fields that are overridden.
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
    /// The version before, which may be empty.
    pub from: Version,
    /// The new version.
    pub to: Version,
    /// The digest of the image, if it was queried.
    pub digest: Option<Digest>,
    /// The time when the image was built, if known.
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

impl Report {
    /// Returns the commit that was pushed to the branch itself.
    pub fn deployed(&self) -> Option<CommitId> {
        self.commit.filter(|_| !self.is_proposal)
    }

    /// Adds the notes of what was done for a stage, or its error.
    pub(super) fn noted(&mut self, stage: &str, done: Result<Vec<String>, CycleError>) -> Result<(), CycleError> {
        let notes = match done {
            Ok(notes) => notes,
            Err(CycleError::Abandoned) => return Err(CycleError::Abandoned),
            Err(error) => vec![format!("{stage}: {error}")],
        };
        for note in notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        Ok(())
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
            built: update.dates.built,
        }
    }
}
