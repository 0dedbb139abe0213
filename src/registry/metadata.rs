//! The metadata of an image.

use jiff::Timestamp;

use crate::image::Digest;

/// The metadata of an image. It never changes for a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageMetadata {
    /// The digest of its manifest or index.
    pub digest: Digest,
    /// When it was built, if it has a usable time.
    pub created: Option<Timestamp>,
    /// The digests of its platforms, if it is an index.
    pub platforms: Vec<Digest>,
}
