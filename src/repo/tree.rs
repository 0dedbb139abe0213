//! Reading trees and blobs of the bare clone.

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use git2::{ErrorCode, ObjectType, Oid};

use crate::path::child_of;

use super::clone::{BareClone, CommitId, EXECUTABLE, open_bare};
use super::error::RepoError;

/// The ID of a blob: the hash of its bytes, so equal IDs mean equal files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId(pub(super) Oid);

/// The ID of a tree: equal IDs mean equal folders with equal contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TreeId(Oid);

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: EntryKind,
}

/// The type of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular or executable file.
    File(BlobId),
    /// A folder.
    Folder(TreeId),
    /// A symbolic link or a submodule, which is never followed.
    Other,
}

impl BareClone {
    /// Returns the root folder of a commit.
    pub fn root(&self, at: CommitId) -> Result<TreeId, RepoError> {
        let commit = self.repository.find_commit(at.0);
        commit.map(|commit| TreeId(commit.tree_id())).map_err(RepoError::git(format!("reading commit {at}")))
    }

    /// Returns the entries of a folder, in the order of the tree.
    pub fn folder(&self, id: TreeId) -> Result<Vec<Entry>, RepoError> {
        let fail = |error| RepoError::git(format!("reading tree {}", id.0))(error);
        let tree = self.repository.find_tree(id.0).map_err(fail)?;
        // Manifests have UTF-8 names.
        let named = tree.iter().filter_map(|entry| {
            let kind = match (entry.kind(), entry.filemode()) {
                (Some(ObjectType::Blob), mode) if is_regular(mode) => EntryKind::File(BlobId(entry.id())),
                (Some(ObjectType::Tree), _) => EntryKind::Folder(TreeId(entry.id())),
                _ => EntryKind::Other,
            };
            Some(Entry { name: entry.name().ok()?.to_owned(), kind })
        });
        Ok(named.collect())
    }

    /// Returns all regular files of a commit with their paths.
    pub fn files(&self, at: CommitId) -> Result<Vec<(String, BlobId)>, RepoError> {
        let mut open = vec![(String::new(), self.root(at)?)];
        let mut found = Vec::new();
        while let Some((path, id)) = open.pop() {
            for Entry { name, kind } in self.folder(id)? {
                let path = child_of(&path, &name);
                match kind {
                    EntryKind::File(blob) => found.push((path, blob)),
                    EntryKind::Folder(id) => open.push((path, id)),
                    EntryKind::Other => {}
                }
            }
        }
        Ok(found)
    }

    /// Applies a function to each blob on all processors, and returns the results in the order of the IDs.
    pub fn read_blobs<T: Send>(
        &self,
        ids: &[BlobId],
        read: impl Fn(usize, &[u8]) -> T + Sync,
    ) -> Result<Vec<T>, RepoError> {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(ids.len().div_ceil(SHARE));
        let (path, next) = (self.repository.path(), AtomicUsize::new(0));
        let mut made = Vec::with_capacity(ids.len());
        std::thread::scope(|scope| -> Result<(), RepoError> {
            let start = |_| scope.spawn(|| read_shares(path, ids, &next, &read));
            let workers: Vec<_> = (0..threads).map(start).collect();
            for worker in workers {
                made.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
            }
            Ok(())
        })?;
        made.sort_by_key(|(index, _)| *index);
        Ok(made.into_iter().map(|(_, made)| made).collect())
    }

    /// Returns whether there is a file or folder at a path.
    pub fn has(&self, at: CommitId, path: &str) -> bool {
        let tree = self.repository.find_commit(at.0).and_then(|commit| commit.tree());
        tree.is_ok_and(|tree| tree.get_path(Path::new(path)).is_ok())
    }

    /// Returns the bytes of the file at a path, if there is one.
    pub fn file(&self, at: CommitId, path: &str) -> Result<Option<Vec<u8>>, RepoError> {
        let doing = || RepoError::git(format!("reading {path} of {at}"));
        let tree = self.repository.find_commit(at.0).and_then(|commit| commit.tree()).map_err(doing())?;
        let entry = match tree.get_path(Path::new(path)) {
            Ok(entry) if entry.kind() == Some(ObjectType::Blob) => entry,
            Ok(_) => return Ok(None),
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(doing()(error)),
        };
        let blob = self.repository.find_blob(entry.id()).map_err(doing())?;
        Ok(Some(blob.content().to_vec()))
    }
}

/// The number of blobs that a thread reads at a time; fewer are not worth another thread.
const SHARE: usize = 64;

/// Applies a function to the blobs of one share after another until none is left, so that a slow processor does not hold up
/// the others.
fn read_shares<T>(
    path: &Path,
    ids: &[BlobId],
    next: &AtomicUsize,
    read: &impl Fn(usize, &[u8]) -> T,
) -> Result<Vec<(usize, T)>, RepoError> {
    // A handle cannot be shared between threads; opening another one is cheap.
    let repository = open_bare(path).map_err(RepoError::git(format!("opening {}", path.display())))?;
    let mut made = Vec::new();
    loop {
        let start = next.fetch_add(SHARE, Ordering::Relaxed);
        if start >= ids.len() {
            return Ok(made);
        }
        for (index, id) in ids.iter().enumerate().skip(start).take(SHARE) {
            let fail = |error| RepoError::git(format!("reading blob {}", id.0))(error);
            let blob = repository.find_blob(id.0).map_err(fail)?;
            made.push((index, read(index, blob.content())));
        }
    }
}

/// Returns whether an entry is a regular file, executable or not.
pub(super) fn is_regular(mode: i32) -> bool {
    matches!(mode, FILE | EXECUTABLE | GROUP_WRITABLE)
}

const FILE: i32 = 0o100_644;
const GROUP_WRITABLE: i32 = 0o100_664;
