//! The history of files: which commits changed them, and how.

use std::collections::{BTreeSet, HashSet};

use git2::{Delta, DiffDelta, DiffOptions, Oid, Revwalk, Sort};
use jiff::Timestamp;

use crate::policy::lineage::Lineage;

use super::clone::{BareClone, CommitId};
use super::error::RepoError;
use super::tree::BlobId;

/// What a walk through history comes across.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A commit that changed files of those asked for.
    Revision(Revision),
    /// A commit whose forebears are not here: what it changed is not known. [`BareClone::deepen`] brings more, then the
    /// walk has to begin again.
    Cut(CommitId),
}

/// A commit that changed files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The commit.
    pub id: CommitId,
    /// Its whole message; bytes that are not UTF-8 are replaced.
    pub message: String,
    /// When it was committed, by its committer's clock.
    pub time: Timestamp,
    /// The files of those asked for that it changed, by path.
    pub changes: Vec<Change>,
}

/// What a commit did to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path from the root.
    pub path: String,
    /// What stood there, if anything.
    pub before: Option<BlobId>,
    /// What stands there, if anything.
    pub after: Option<BlobId>,
}

/// A walk through history.
pub struct History<'c> {
    clone: &'c BareClone,
    walk: Revwalk<'c>,
    paths: &'c BTreeSet<String>,
    cut: HashSet<Oid>,
}

impl BareClone {
    /// Walks from a commit to all its forebears, children before their parents, newest first. A merge counts only for
    /// files in which it differs from every parent: what it took from one of them was changed there.
    pub fn history<'c>(&'c self, from: CommitId, paths: &'c BTreeSet<String>) -> Result<History<'c>, RepoError> {
        let doing = || RepoError::git(format!("walking the history of {from}"));
        let mut walk = self.repository.revwalk().map_err(doing())?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME).map_err(doing())?;
        walk.push(from.0).map_err(doing())?;
        Ok(History { clone: self, walk, paths, cut: self.cut() })
    }

    /// The first parents of a commit, from the commit itself back to the first one or to where history was cut off.
    pub fn first_parents(&self, from: CommitId) -> Result<Lineage, RepoError> {
        let (mut ids, mut id, cut) = (Vec::new(), from.0, self.cut());
        loop {
            let commit = self.repository.find_commit(id).map_err(RepoError::git(format!("reading commit {id}")))?;
            ids.push(id.to_string());
            // The library may not have heard yet that history was cut off here.
            let is_cut = cut.contains(&id);
            match commit.parent_id(0) {
                Ok(parent) if !is_cut => id = parent,
                _ => return Ok(Lineage::new(ids.into_iter(), !is_cut)),
            }
        }
    }

    /// The commits whose parents were not brought over (gitrepository-layout, `shallow`).
    fn cut(&self) -> HashSet<Oid> {
        let file = std::fs::read_to_string(self.repository.path().join("shallow")).unwrap_or_default();
        file.lines().filter_map(|line| Oid::from_str(line.trim()).ok()).collect()
    }
}

impl Iterator for History<'_> {
    type Item = Result<Step, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let id = match self.walk.next()? {
                Ok(id) => id,
                Err(error) => return Some(Err(RepoError::git("walking through history")(error))),
            };
            if self.cut.contains(&id) {
                return Some(Ok(Step::Cut(CommitId(id))));
            }
            match self.revision(id) {
                Ok(revision) if revision.changes.is_empty() => {}
                Ok(revision) => return Some(Ok(Step::Revision(revision))),
                Err(error) => return Some(Err(RepoError::git(format!("reading commit {id}"))(error))),
            }
        }
    }
}

impl History<'_> {
    fn revision(&self, id: Oid) -> Result<Revision, git2::Error> {
        let repository = &self.clone.repository;
        let commit = repository.find_commit(id)?;
        let tree = commit.tree()?;
        let parents = commit.parents().map(|parent| parent.tree()).collect::<Result<Vec<_>, _>>()?;
        let mut options = DiffOptions::new();
        options.skip_binary_check(true);
        let diff = repository.diff_tree_to_tree(parents.first(), Some(&tree), Some(&mut options))?;
        let mut changes: Vec<Change> = diff.deltas().filter_map(|delta| self.wanted(&delta)).collect();
        for other in parents.iter().skip(1) {
            changes.retain(|change| {
                let there = other.get_path(std::path::Path::new(&change.path)).ok().map(|entry| BlobId(entry.id()));
                there != change.after
            });
        }
        let time = Timestamp::from_second(commit.time().seconds()).unwrap_or_default();
        let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
        Ok(Revision { id: CommitId(id), message, time, changes })
    }

    fn wanted(&self, delta: &DiffDelta<'_>) -> Option<Change> {
        let (old, new) = (delta.old_file(), delta.new_file());
        let path = new.path().or(old.path())?.to_str()?;
        let has_before = delta.status() != Delta::Added;
        let has_after = delta.status() != Delta::Deleted;
        self.paths.contains(path).then(|| Change {
            path: path.to_owned(),
            before: has_before.then(|| BlobId(old.id())),
            after: has_after.then(|| BlobId(new.id())),
        })
    }
}
