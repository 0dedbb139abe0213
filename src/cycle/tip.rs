//! The commit that a branch points to, with the clone that contains it and what is known about its tree.

use std::sync::Arc;

use crate::manifest::field_rules::FieldRules;
use crate::manifest::inventory::Inventory;
use crate::manifest::prefilter::Prefilter;
use crate::path::Links;
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;
use crate::repo::tree::{BlobId, Content};

use super::tree::cache::TreeCache;
use super::tree::walk::Listing;

/// The commit that a branch points to.
#[derive(Debug)]
pub struct Tip {
    /// The clone that contains it. It is locked as long as this value exists.
    pub clone: BareClone,
    /// The commit.
    pub commit: CommitId,
    trees: Arc<TreeCache>,
}

impl Tip {
    /// Makes a tip from a commit of a clone. Parts of the tree that did not change since the last one are not read
    /// again.
    pub fn new(clone: BareClone, commit: CommitId, trees: &Arc<TreeCache>) -> Tip {
        Tip { clone, commit, trees: Arc::clone(trees) }
    }

    /// Queries the remote for the tip, and downloads it if it is new.
    pub fn fetch(clone: BareClone, trees: &Arc<TreeCache>) -> Result<Tip, RepoError> {
        let (clone, commit) = clone.fetch()?;
        Ok(Tip::new(clone, commit, trees))
    }

    /// Returns the bytes of the file at a path, if there is one.
    pub fn file(&self, path: &str) -> Result<Option<Vec<u8>>, RepoError> {
        self.clone.file(self.commit, path)
    }

    /// Returns whether there is a file or folder at a path.
    pub fn has(&self, path: &str) -> bool {
        self.clone.has(self.commit, path)
    }

    /// Returns all regular files.
    pub fn listing(&self) -> Result<Arc<Listing>, RepoError> {
        self.trees.listing(&self.clone, self.commit)
    }

    /// Returns all symbolic links.
    pub fn links(&self) -> Result<Arc<Links>, RepoError> {
        self.trees.links(&self.clone, self.commit)
    }

    /// Returns the image fields of the images that `prefilter` lets through.
    pub fn inventory(&self, field_rules: &FieldRules, prefilter: &Prefilter) -> Result<Arc<Inventory>, RepoError> {
        self.trees.inventory(&self.clone, self.commit, field_rules, prefilter)
    }

    /// Returns the results of `read` for each blob, in the order of the IDs. Blobs are read in parallel.
    pub fn read_blobs<T: Send>(
        &self,
        ids: &[BlobId],
        read: impl Fn(usize, Content<'_>) -> T + Sync,
    ) -> Result<Vec<T>, RepoError> {
        self.clone.read_blobs(ids, read)
    }
}
