//! The notes of scans about tags that were ignored, and about progress.

use jiff::Timestamp;

use crate::image::{Repository, Tag};
use crate::plan::skip::{Reason, Skipped};

/// The number of tags dated in the future that are reported one by one.
const AHEAD: usize = 3;

/// The notes of the scan of one repository.
#[derive(Debug, Clone, Default)]
pub struct ScanNotes {
    /// The tags whose age is unknown because their images are too broken, or dated in the future.
    pub broken: Vec<Skipped>,
    /// Notes about tags that were ignored.
    pub notes: Vec<String>,
}

impl ScanNotes {
    /// Adds tags that are dated in the future, and therefore not chosen.
    pub fn add_ahead(
        &mut self,
        repository: &Repository,
        mut ahead: Vec<(Tag, Timestamp)>,
        say: fn(Timestamp) -> String,
    ) {
        ahead.sort_by(|(_, one), (_, other)| other.cmp(one));
        for (tag, at) in ahead.iter().take(AHEAD) {
            let detail = format!("{tag} {}; it is not chosen", say(*at));
            self.broken.push(Skipped::tag(repository, tag, Reason::NoCandidate, detail));
        }
        if ahead.len() > AHEAD {
            let more = ahead.len() - AHEAD;
            self.notes.push(format!("{repository}: {more} more tags are dated in the future"));
        }
    }
}

/// A note about the tags of an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageNote {
    /// The image.
    pub image: Repository,
    /// The text, which names the image.
    pub text: String,
}

/// The notes of a round.
#[derive(Debug, Default)]
pub struct RoundNotes {
    /// The tags whose age is unknown because their images are too broken, or dated in the future.
    pub broken: Vec<Skipped>,
    /// Notes about tags that were ignored.
    pub notes: Vec<ImageNote>,
    /// The progress of unfinished scans.
    pub progress: Vec<String>,
}
