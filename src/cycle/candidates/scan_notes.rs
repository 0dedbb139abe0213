//! The notes of scans about tags that were ignored, and about progress.

use crate::image::Repository;
use crate::plan::skip::Skipped;

/// The notes of the scan of one repository.
#[derive(Debug, Clone, Default)]
pub struct ScanNotes {
    /// The tags whose age is unknown because their images are too broken.
    pub broken: Vec<Skipped>,
    /// Notes about tags that were ignored.
    pub notes: Vec<String>,
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
    /// The tags whose age is unknown because their images are too broken.
    pub broken: Vec<Skipped>,
    /// Notes about tags that were ignored.
    pub notes: Vec<ImageNote>,
    /// The progress of unfinished scans.
    pub progress: Vec<String>,
}
