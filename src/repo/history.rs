//! The history of the branch: its commits, and how a commit changed a file.

use std::collections::HashSet;
use std::path::Path;

use git2::{Commit, Delta, DiffFindOptions, ErrorCode, Oid, Tree};
use jiff::Timestamp;

use crate::policy::first_parent_history::FirstParentHistory;
use crate::yaml::node::MAX_BYTES;

use super::clone::{BareClone, CommitId};
use super::config::{EVERYTHING, USUAL_DEPTH};
use super::error::RepoError;
use super::tree::{BlobId, is_regular, size};
use super::walk::{Node, Walk};

/// A commit of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The commit.
    pub id: CommitId,
    /// Its parents, including those that are not in the clone.
    pub parents: Vec<CommitId>,
    /// Its complete message, with invalid UTF-8 replaced.
    pub message: String,
    /// The name of its author.
    pub author: String,
    /// The time of the commit, by its committer's clock.
    pub time: Timestamp,
    /// Whether its parents are not in the clone, so that its changes are not known. After [`BareClone::deepen`], the walk
    /// has to start again.
    pub is_cut: bool,
}

impl Logged {
    pub(super) fn of(commit: &Commit<'_>, is_cut: bool) -> Logged {
        // For libgit2 a commit at the boundary has no parents, but its header names them.
        let header = String::from_utf8_lossy(commit.raw_header_bytes()).into_owned();
        let parents = header.lines().filter_map(|line| Oid::from_str(line.strip_prefix("parent ")?).ok());
        Logged {
            id: CommitId(commit.id()),
            parents: parents.map(CommitId).collect(),
            message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
            author: String::from_utf8_lossy(commit.author().name_bytes()).into_owned(),
            time: Timestamp::from_second(commit.time().seconds()).unwrap_or_default(),
            is_cut,
        }
    }
}

/// How a commit changed a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file before, if it existed, with its path, which differs if the file was moved.
    pub before: Option<(String, BlobId)>,
    /// The file after, if it exists.
    pub after: Option<BlobId>,
}

/// A walk through history, in groups: children before their parents, newest first. Every commit of a later group is an
/// ancestor of every commit of an earlier one.
pub struct History<'c> {
    source: Source<'c>,
    walk: Walk<Found>,
}

/// The source of the commits.
struct Source<'c> {
    clone: &'c BareClone,
    cut: HashSet<Oid>,
}

/// A commit with what determines its order.
struct Found {
    logged: Logged,
    seconds: i64,
    /// Its parents in the clone.
    onward: Vec<Oid>,
}

impl Node for Found {
    type Id = Oid;

    fn id(&self) -> Oid {
        self.logged.id.0
    }

    fn time(&self) -> i64 {
        self.seconds
    }

    fn parents(&self) -> &[Oid] {
        &self.onward
    }
}

impl BareClone {
    /// Walks from a commit to its ancestors. If the history is longer than [`Config::history_limit`], the newest commits are
    /// read.
    ///
    /// [`Config::history_limit`]: super::config::Config::history_limit
    pub fn history(&self, from: CommitId) -> Result<History<'_>, RepoError> {
        let source = Source { clone: self, cut: self.cut() };
        let first = source.read(from.0)?;
        let limit = match self.config.history_limit {
            EVERYTHING => usize::MAX,
            limit => limit as usize,
        };
        Ok(History { source, walk: Walk::new(first, limit) })
    }

    /// Returns how many commits are shown by default.
    pub fn usual_depth(&self) -> usize {
        match self.config.depth {
            EVERYTHING => USUAL_DEPTH as usize,
            depth => depth as usize,
        }
    }

    /// Returns how many commits a branch gained between two of its tips, at most 64, or 0 if that is unknown.
    pub fn landed(&self, since: CommitId, until: CommitId) -> usize {
        let _call = self.long_call();
        let between = || {
            let mut walk = self.repository.revwalk()?;
            walk.push(until.0)?;
            walk.hide(since.0)?;
            Ok::<_, git2::Error>(walk.take(64).filter(Result::is_ok).count())
        };
        between().unwrap_or_default()
    }

    /// Returns the regular file at a path in a commit.
    pub fn blob(&self, at: CommitId, path: &str) -> Result<Option<BlobId>, RepoError> {
        let _call = self.short_call();
        let tree = self.repository.find_commit(at.0).and_then(|commit| commit.tree());
        tree.and_then(|tree| blob_at(&tree, path)).map_err(RepoError::git(format!("reading {path} of {at}")))
    }

    /// Returns how a commit changed the file that has this path after it, or `None` if it did not. A merge only counts if it
    /// differs from every parent.
    pub fn change(&self, id: CommitId, path: &str) -> Result<Option<Change>, RepoError> {
        let _call = self.long_call();
        self.changed(id, path).map_err(RepoError::git(format!("reading what commit {id} did to {path}")))
    }

    fn changed(&self, id: CommitId, path: &str) -> Result<Option<Change>, git2::Error> {
        let commit = self.repository.find_commit(id.0)?;
        let tree = commit.tree()?;
        let after = blob_at(&tree, path)?;
        let mut before = None;
        for (index, parent) in commit.parents().enumerate() {
            let there = blob_at(&parent.tree()?, path)?;
            if there == after {
                return Ok(None);
            }
            if index == 0 {
                before = there;
            }
        }
        if before.is_none() && after.is_none() {
            return Ok(None);
        }
        let before = match before {
            Some(blob) => Some((path.to_owned(), blob)),
            None => self.moved_from(&commit, &tree, path)?,
        };
        Ok(Some(Change { before, after }))
    }

    /// Returns the previous path of a file that is new in a commit, if it was moved.
    fn moved_from(
        &self,
        commit: &Commit<'_>,
        tree: &Tree<'_>,
        path: &str,
    ) -> Result<Option<(String, BlobId)>, git2::Error> {
        let Ok(parent) = commit.parent(0) else { return Ok(None) };
        let mut diff = self.repository.diff_tree_to_tree(Some(&parent.tree()?), Some(tree), None)?;
        let odb = self.repository.odb()?;
        // Blobs are compared whole; those that are never read otherwise would take too much memory.
        let is_large = |id: Oid| !id.is_zero() && size(&odb, id).map_or(true, |size| size > MAX_BYTES);
        let any_large = diff.deltas().any(|delta| is_large(delta.old_file().id()) || is_large(delta.new_file().id()));
        diff.find_similar(Some(DiffFindOptions::new().renames(true).exact_match_only(any_large)))?;
        let moved = diff
            .deltas()
            .find(|delta| delta.status() == Delta::Renamed && delta.new_file().path() == Some(Path::new(path)));
        Ok(moved.and_then(|delta| {
            let old = delta.old_file();
            Some((old.path()?.to_str()?.to_owned(), BlobId(old.id())))
        }))
    }

    /// Returns name and address of the author of a commit, whose ID may be abbreviated, if the clone has it.
    pub(super) fn author_of(&self, commit: &str) -> Option<(String, String)> {
        let _call = self.short_call();
        let found = self.repository.find_commit_by_prefix(commit).ok()?;
        let author = found.author();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some((text(author.name_bytes()), text(author.email_bytes())))
    }

    /// Returns the first-parent history of a commit, back to the first commit or to where the clone is cut off.
    pub fn first_parents(&self, from: CommitId) -> Result<FirstParentHistory, RepoError> {
        let (mut ids, mut id, cut) = (Vec::new(), from.0, self.cut());
        loop {
            let _call = self.short_call();
            let commit = self.repository.find_commit(id).map_err(RepoError::git(format!("reading commit {id}")))?;
            ids.push(id.to_string());
            // libgit2 may not know yet that the history is cut off here.
            let is_cut = cut.contains(&id);
            match commit.parent_id(0) {
                Ok(parent) if !is_cut => id = parent,
                _ => return Ok(FirstParentHistory::new(ids.into_iter(), !is_cut)),
            }
        }
    }

    /// Returns the commits whose parents were not fetched (gitrepository-layout, `shallow`).
    pub(super) fn cut(&self) -> HashSet<Oid> {
        let file = std::fs::read_to_string(self.repository.path().join("shallow")).unwrap_or_default();
        file.lines().filter_map(|line| Oid::from_str(line.trim()).ok()).collect()
    }
}

/// Returns the regular file at a path.
pub(super) fn blob_at(tree: &Tree<'_>, path: &str) -> Result<Option<BlobId>, git2::Error> {
    match tree.get_path(Path::new(path)) {
        Ok(entry) => Ok(is_regular(entry.filemode()).then(|| BlobId(entry.id()))),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl History<'_> {
    /// Returns whether commits were left out because the history is longer than the limit.
    pub fn is_limited(&self) -> bool {
        self.walk.is_limited()
    }
}

impl Iterator for History<'_> {
    type Item = Result<Vec<Logged>, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.walk.next(|id| self.source.read(id)) {
            Ok(group) if group.is_empty() => None,
            Ok(group) => Some(Ok(group.into_iter().map(|found| found.logged).collect())),
            Err(error) => Some(Err(error)),
        }
    }
}

impl Source<'_> {
    fn read(&self, id: Oid) -> Result<Found, RepoError> {
        self.found(id).map_err(RepoError::git(format!("reading commit {id}")))
    }

    fn found(&self, id: Oid) -> Result<Found, git2::Error> {
        let _call = self.clone.short_call();
        let commit = self.clone.repository.find_commit(id)?;
        let is_cut = self.cut.contains(&id);
        let (logged, seconds) = (Logged::of(&commit, is_cut), commit.time().seconds());
        let parents: Vec<Oid> = logged.parents.iter().map(|parent| parent.0).collect();
        Ok(Found { logged, seconds, onward: if is_cut { Vec::new() } else { parents } })
    }
}
