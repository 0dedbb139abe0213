//! What is known of an image, by its digest.

use jiff::Timestamp;

use crate::image::Digest;

/// What is known of an image. It never changes for a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageMetadata {
    /// The digest of its manifest or index.
    pub digest: Digest,
    /// When it was built, if it says anything usable.
    pub created: Option<Timestamp>,
    /// The digests of its platforms, of an index.
    pub platforms: Vec<Digest>,
}
