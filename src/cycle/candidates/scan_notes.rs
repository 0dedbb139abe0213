//! What a scan has to report besides the tags.

use crate::image::Repository;
use crate::plan::skip::Skipped;

/// What the scan of one repository has to report.
#[derive(Debug, Clone, Default)]
pub struct ScanNotes {
    /// Tags that cannot be judged, because their images are too broken to tell when they were built.
    pub broken: Vec<Skipped>,
    /// Tags that were left out, and why.
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

/// What a round has to report.
#[derive(Debug, Default)]
pub struct RoundNotes {
    /// Tags that cannot be judged, because their images are too broken to tell when they were built.
    pub broken: Vec<Skipped>,
    /// Tags that were left out, and why.
    pub notes: Vec<ImageNote>,
    /// How far scans have come that are not finished.
    pub progress: Vec<String>,
}
