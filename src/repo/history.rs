//! The history of the branch: its commits, and what one of them did to a file.

use std::collections::HashSet;
use std::path::Path;

use git2::{Commit, Delta, DiffFindOptions, ErrorCode, Oid, Repository, Tree};
use jiff::Timestamp;

use crate::policy::first_parent_history::FirstParentHistory;

use super::clone::{BareClone, CommitId};
use super::config::{EVERYTHING, USUAL_DEPTH};
use super::error::RepoError;
use super::tree::{BlobId, is_regular};
use super::walk::{Node, Walk};

/// A commit that a walk through history comes across.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The commit.
    pub id: CommitId,
    /// Its parents, whether they are here or not.
    pub parents: Vec<CommitId>,
    /// Its whole message; bytes that are not UTF-8 are replaced.
    pub message: String,
    /// The name of its author.
    pub author: String,
    /// When it was committed, by its committer's clock.
    pub time: Timestamp,
    /// Whether its forebears are not here, so that what it changed is not known. [`BareClone::deepen`] brings more, then
    /// the walk has to begin again.
    pub is_cut: bool,
}

/// What a commit did to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What stood there, if anything, and under which path: the same, unless the file was moved.
    pub before: Option<(String, BlobId)>,
    /// What stands there, if anything.
    pub after: Option<BlobId>,
}

/// A walk through history, in groups: children before their parents, newest first. Every commit of a later group is an
/// ancestor of every commit of an earlier one.
pub struct History<'c> {
    source: Source<'c>,
    walk: Walk<Found>,
}

/// Where commits are read.
struct Source<'c> {
    repository: &'c Repository,
    cut: HashSet<Oid>,
}

/// A commit with what the walk goes by.
struct Found {
    logged: Logged,
    seconds: i64,
    /// Its parents, as far as they are here.
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
    /// Walks from a commit to its ancestors. Of a history that is longer than [`Config::history_limit`] the newest
    /// commits are read.
    ///
    /// [`Config::history_limit`]: super::config::Config::history_limit
    pub fn history(&self, from: CommitId) -> Result<History<'_>, RepoError> {
        let source = Source { repository: &self.repository, cut: self.cut() };
        let first = source.read(from.0)?;
        let limit = match self.config.history_limit {
            EVERYTHING => usize::MAX,
            limit => limit as usize,
        };
        Ok(History { source, walk: Walk::new(first, limit) })
    }

    /// As many commits of history are looked at where nothing else is asked for.
    pub fn usual_depth(&self) -> usize {
        match self.config.depth {
            EVERYTHING => USUAL_DEPTH as usize,
            depth => depth as usize,
        }
    }

    /// How many commits came to a branch between two of its tips, as far as a crowd goes; none where that is not known.
    pub fn landed(&self, since: CommitId, until: CommitId) -> usize {
        let between = || {
            let mut walk = self.repository.revwalk()?;
            walk.push(until.0)?;
            walk.hide(since.0)?;
            Ok::<_, git2::Error>(walk.take(64).filter(Result::is_ok).count())
        };
        between().unwrap_or_default()
    }

    /// The regular file at a path of a commit.
    pub fn blob(&self, at: CommitId, path: &str) -> Result<Option<BlobId>, RepoError> {
        let tree = self.repository.find_commit(at.0).and_then(|commit| commit.tree());
        tree.and_then(|tree| blob_at(&tree, path)).map_err(RepoError::git(format!("reading {path} of {at}")))
    }

    /// What a commit did to the file that has this path after it; none if it left it as it was. A merge counts only
    /// where it differs from every parent: what it took from one of them was changed there.
    pub fn change(&self, id: CommitId, path: &str) -> Result<Option<Change>, RepoError> {
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

    /// Where a file that is new in a commit stood before, if it was moved there.
    fn moved_from(
        &self,
        commit: &Commit<'_>,
        tree: &Tree<'_>,
        path: &str,
    ) -> Result<Option<(String, BlobId)>, git2::Error> {
        let Ok(parent) = commit.parent(0) else { return Ok(None) };
        let mut diff = self.repository.diff_tree_to_tree(Some(&parent.tree()?), Some(tree), None)?;
        diff.find_similar(Some(DiffFindOptions::new().renames(true)))?;
        let moved = diff
            .deltas()
            .find(|delta| delta.status() == Delta::Renamed && delta.new_file().path() == Some(Path::new(path)));
        Ok(moved.and_then(|delta| {
            let old = delta.old_file();
            Some((old.path()?.to_str()?.to_owned(), BlobId(old.id())))
        }))
    }

    /// The first parents of a commit, from the commit itself back to the first one or to where history was cut off.
    pub fn first_parents(&self, from: CommitId) -> Result<FirstParentHistory, RepoError> {
        let (mut ids, mut id, cut) = (Vec::new(), from.0, self.cut());
        loop {
            let commit = self.repository.find_commit(id).map_err(RepoError::git(format!("reading commit {id}")))?;
            ids.push(id.to_string());
            // The library may not have heard yet that history was cut off here.
            let is_cut = cut.contains(&id);
            match commit.parent_id(0) {
                Ok(parent) if !is_cut => id = parent,
                _ => return Ok(FirstParentHistory::new(ids.into_iter(), !is_cut)),
            }
        }
    }

    /// The commits whose parents were not brought over (gitrepository-layout, `shallow`).
    fn cut(&self) -> HashSet<Oid> {
        let file = std::fs::read_to_string(self.repository.path().join("shallow")).unwrap_or_default();
        file.lines().filter_map(|line| Oid::from_str(line.trim()).ok()).collect()
    }
}

/// The regular file at a path.
fn blob_at(tree: &Tree<'_>, path: &str) -> Result<Option<BlobId>, git2::Error> {
    match tree.get_path(Path::new(path)) {
        Ok(entry) => Ok(is_regular(entry.filemode()).then(|| BlobId(entry.id()))),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl History<'_> {
    /// Whether commits were left out because the history is longer than the limit.
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
        let commit = self.repository.find_commit(id)?;
        // The library says that a commit that was cut off has no parents; its header names them.
        let header = String::from_utf8_lossy(commit.raw_header_bytes()).into_owned();
        let parents = header.lines().filter_map(|line| Oid::from_str(line.strip_prefix("parent ")?).ok());
        let parents: Vec<Oid> = parents.collect();
        let is_cut = self.cut.contains(&id);
        let seconds = commit.time().seconds();
        let logged = Logged {
            id: CommitId(id),
            parents: parents.iter().copied().map(CommitId).collect(),
            message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
            author: String::from_utf8_lossy(commit.author().name_bytes()).into_owned(),
            time: Timestamp::from_second(seconds).unwrap_or_default(),
            is_cut,
        };
        Ok(Found { logged, seconds, onward: if is_cut { Vec::new() } else { parents } })
    }
}
