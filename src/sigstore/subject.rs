//! The image whose origin is to be proved.

use crate::image::{Digest, Repository};

use super::source_repository::SourceRepository;

/// An image, with what its tag and its policy say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The image.
    pub image: Repository,
    /// The digest that the tag points to.
    pub digest: Digest,
    /// All manifests that it lists, except attestations, if the digest is that of an index. If there are any, proof for all
    /// of them is as good as proof for the index.
    pub platforms: Vec<Digest>,
    /// The commit in the tag, in full or abbreviated, in hexadecimal digits; `None` if the tag names none.
    pub commit: Option<String>,
    /// The source repositories that provenance may name; empty if any.
    pub sources: Vec<SourceRepository>,
}
