//! Reading trees and blobs of the bare clone.

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use git2::{ErrorClass, ErrorCode, ObjectType, Odb, Oid};
use parking_lot::Mutex;

use crate::text;
use crate::yaml::node::MAX_BYTES;

use super::clone::{BareClone, CommitId, EXECUTABLE, open_bare};
use super::error::RepoError;
use super::{loose, watchdog};

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
    /// A symbolic link; its blob is the target.
    Link(BlobId),
    /// A submodule, which is never followed.
    Other,
}

/// The content of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'b> {
    /// Its bytes.
    Bytes(&'b [u8]),
    /// Its size, if it has more bytes than are read.
    TooLarge(u64),
}

impl BareClone {
    /// Returns the root folder of a commit.
    pub fn root(&self, at: CommitId) -> Result<TreeId, RepoError> {
        let _call = self.short_call();
        let commit = self.repository.find_commit(at.0);
        commit.map(|commit| TreeId(commit.tree_id())).map_err(RepoError::git(format!("reading commit {at}")))
    }

    /// Returns the entries of a folder, in the order of the tree. Entries that no file system could hold, which only
    /// plumbing can make, are left out, and so are all of a folder that git itself would call malformed: they must not
    /// prevent the updates of other files.
    pub fn folder(&self, id: TreeId) -> Result<Vec<Entry>, RepoError> {
        let _call = self.short_call();
        let tree = match self.repository.find_tree(id.0) {
            Ok(tree) => tree,
            Err(error) if error.class() == ErrorClass::Tree => {
                tracing::warn!(tree = %id.0, %error, "skipped: a folder of the repository is malformed");
                return Ok(Vec::new());
            }
            Err(error) => return Err(RepoError::git(format!("reading tree {}", id.0))(error)),
        };
        let named = tree.iter().filter_map(|entry| {
            // Manifests have UTF-8 names.
            let name = entry.name().ok()?;
            if !is_usable(name) {
                tracing::warn!(name, tree = %id.0, "skipped: git cannot check out a file of this name");
                return None;
            }
            let kind = match (entry.kind(), entry.filemode()) {
                (Some(ObjectType::Blob), mode) if is_regular(mode) => EntryKind::File(BlobId(entry.id())),
                (Some(ObjectType::Blob), LINK) => EntryKind::Link(BlobId(entry.id())),
                (Some(ObjectType::Tree), _) => EntryKind::Folder(TreeId(entry.id())),
                _ => EntryKind::Other,
            };
            Some(Entry { name: name.to_owned(), kind })
        });
        Ok(named.collect())
    }

    /// Applies a function to each blob on all processors, and returns the results in the order of the IDs.
    pub fn read_blobs<T: Send>(
        &self,
        ids: &[BlobId],
        read: impl Fn(usize, Content<'_>) -> T + Sync,
    ) -> Result<Vec<T>, RepoError> {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(ids.len().div_ceil(SHARE));
        let (path, timeout, next) = (self.repository.path(), self.config.timeout, Next::default());
        let mut made = Vec::with_capacity(ids.len());
        std::thread::scope(|scope| -> Result<(), RepoError> {
            let start = |_| scope.spawn(|| read_shares((path, timeout), ids, &next, &read));
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
        let _call = self.short_call();
        let tree = self.repository.find_commit(at.0).and_then(|commit| commit.tree());
        tree.is_ok_and(|tree| tree.get_path(Path::new(path)).is_ok())
    }

    /// Returns the bytes of the file at a path, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or has more bytes than are read.
    pub fn file(&self, at: CommitId, path: &str) -> Result<Option<Vec<u8>>, RepoError> {
        let doing = || RepoError::git(format!("reading {path} of {at}"));
        let _call = self.short_call();
        let tree = self.repository.find_commit(at.0).and_then(|commit| commit.tree()).map_err(doing())?;
        let entry = match tree.get_path(Path::new(path)) {
            Ok(entry) if entry.kind() == Some(ObjectType::Blob) => entry,
            Ok(_) => return Ok(None),
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(doing()(error)),
        };
        let odb = self.repository.odb().map_err(doing())?;
        let size = size(&odb, entry.id()).map_err(doing())?;
        if size > MAX_BYTES {
            return Err(RepoError::TooLarge { file: path.to_owned(), size: size as u64 });
        }
        let blob = self.repository.find_blob(entry.id()).map_err(doing())?;
        Ok(Some(blob.content().to_vec()))
    }
}

/// Returns the size of a blob without reading it.
pub(super) fn size(odb: &Odb<'_>, id: Oid) -> Result<usize, git2::Error> {
    odb.read_header(id).map(|(size, _)| size)
}

/// The progress of threads that read blobs.
#[derive(Default)]
struct Next {
    /// The index of the first blob that nobody reads yet.
    index: AtomicUsize,
    /// Held by the thread that reads a large blob.
    large: Mutex<()>,
}

/// The size from which blobs are read one at a time, because parsing them takes many times as much memory.
pub const LARGE: usize = 1 << 20;

/// The number of blobs that a thread reads at a time; fewer are not worth another thread.
const SHARE: usize = 64;

/// Applies a function to the blobs of one share after another until none is left, so that a slow processor does not hold up
/// the others.
fn read_shares<T>(
    (path, timeout): (&Path, Duration),
    ids: &[BlobId],
    next: &Next,
    read: &impl Fn(usize, Content<'_>) -> T,
) -> Result<Vec<(usize, T)>, RepoError> {
    // A handle cannot be shared between threads; opening another one is cheap.
    let repository = open_bare(path).map_err(RepoError::git(format!("opening {}", path.display())))?;
    let odb = repository.odb().map_err(RepoError::git(format!("opening {}", path.display())))?;
    let loose = loose::folders_with_many(path);
    let mut made = Vec::new();
    loop {
        let start = next.index.fetch_add(SHARE, Ordering::Relaxed);
        if start >= ids.len() {
            return Ok(made);
        }
        for (index, id) in ids.iter().enumerate().skip(start).take(SHARE) {
            let fail = |error| RepoError::git(format!("reading blob {}", id.0))(error);
            let mut call = watchdog::short(path, timeout);
            let is_small = loose.iter().any(|folder| loose::is_small(folder, id.0, LARGE as u64));
            let size = if is_small { 0 } else { size(&odb, id.0).map_err(fail)? };
            if size > MAX_BYTES {
                drop(call);
                made.push((index, read(index, Content::TooLarge(size as u64))));
                continue;
            }
            let mut alone = None;
            if size > LARGE {
                // Waiting for another thread is not a call of git.
                drop(call);
                alone = Some(next.large.lock());
                call = watchdog::short(path, timeout);
            }
            let blob = repository.find_blob(id.0).map_err(fail)?;
            drop(call);
            made.push((index, read(index, Content::Bytes(blob.content()))));
            drop(alone);
        }
    }
}

/// Returns whether libgit2 writes a tree with an entry of this name. It refuses those that lead elsewhere, and all that a
/// file system may take for `.git`.
fn is_usable(name: &str) -> bool {
    let plain: String =
        name.chars().filter(|c| !text::is_active(*c) && !matches!(c, '\u{200c}' | '\u{200d}')).collect();
    let plain = plain.split([':', '\\']).next().unwrap_or_default().trim_end_matches(['.', ' ']).to_ascii_lowercase();
    !matches!(name, "" | "." | "..") && !name.contains('/') && !matches!(plain.as_str(), ".git" | "git~1")
}

/// Returns whether an entry is a regular file, executable or not.
pub(super) fn is_regular(mode: i32) -> bool {
    matches!(mode, FILE | EXECUTABLE | GROUP_WRITABLE)
}

const FILE: i32 = 0o100_644;
const GROUP_WRITABLE: i32 = 0o100_664;
const LINK: i32 = 0o120_000;
