//! The first-parent line of a branch: what was its tip, one commit after another, and which files each of them changed.

use std::collections::HashSet;

use git2::{Commit, DiffOptions, Oid};

use super::clone::{BareClone, CommitId};
use super::config::EVERYTHING;
use super::error::RepoError;
use super::history::Logged;
use super::tree::{BlobId, is_regular};

/// A file that a commit changed, compared with its first parent. Files that are not regular do not exist here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// Its path.
    pub path: String,
    /// The file before.
    pub before: Option<BlobId>,
    /// The file after.
    pub after: Option<BlobId>,
}

/// A commit of the line.
#[derive(Debug, Clone)]
pub struct Step {
    /// The commit.
    pub logged: Logged,
    /// The files that it changed, among those that are wanted.
    pub files: Vec<ChangedFile>,
}

/// The first-parent line of a branch, newest first.
pub struct Line<'c> {
    clone: &'c BareClone,
    next: Option<Oid>,
    cut: HashSet<Oid>,
    left: usize,
    is_limited: bool,
}

impl BareClone {
    /// Walks along the first parents of a commit, beginning with itself, at most as far as [`Config::history_limit`].
    ///
    /// [`Config::history_limit`]: super::config::Config::history_limit
    pub fn line(&self, from: CommitId) -> Line<'_> {
        let left = match self.config.history_limit {
            EVERYTHING => usize::MAX,
            limit => limit as usize,
        };
        Line { clone: self, next: Some(from.0), cut: self.cut(), left, is_limited: false }
    }
}

impl Line<'_> {
    /// Returns whether older commits were left out because the history is longer than the limit.
    pub fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// Returns the next commit with the files that it changed, as far as `wants` accepts their paths. The oldest commit
    /// changed nothing: there was nothing before it, or that is not in the clone.
    pub fn step(&mut self, wants: &dyn Fn(&str) -> bool) -> Result<Option<Step>, RepoError> {
        let Some(id) = self.next.take() else { return Ok(None) };
        if self.left == 0 {
            self.is_limited = true;
            return Ok(None);
        }
        self.left -= 1;
        self.read(id, wants).map(Some).map_err(RepoError::git(format!("reading what commit {id} changed")))
    }

    fn read(&mut self, id: Oid, wants: &dyn Fn(&str) -> bool) -> Result<Step, git2::Error> {
        let _call = self.clone.long_call();
        let commit = self.clone.repository.find_commit(id)?;
        let is_cut = self.cut.contains(&id);
        let logged = Logged::of(&commit, is_cut);
        self.next = logged.parents.first().filter(|_| !is_cut).map(|parent| parent.0);
        let files = if self.next.is_none() { Vec::new() } else { changed(self.clone, &commit, wants)? };
        Ok(Step { logged, files })
    }
}

fn changed(
    clone: &BareClone,
    commit: &Commit<'_>,
    wants: &dyn Fn(&str) -> bool,
) -> Result<Vec<ChangedFile>, git2::Error> {
    let before = commit.parent(0)?.tree()?;
    let mut options = DiffOptions::new();
    let diff = clone.repository.diff_tree_to_tree(
        Some(&before),
        Some(&commit.tree()?),
        Some(options.skip_binary_check(true)),
    )?;
    let mut files = Vec::new();
    for delta in diff.deltas() {
        let (old, new) = (delta.old_file(), delta.new_file());
        let Some(path) = new.path().or(old.path()).and_then(|path| path.to_str()).filter(|path| wants(path)) else {
            continue;
        };
        let blob = |file: &git2::DiffFile<'_>| {
            (file.exists() && is_regular(i32::from(file.mode()))).then(|| BlobId(file.id()))
        };
        files.push(ChangedFile { path: path.to_owned(), before: blob(&old), after: blob(&new) });
    }
    Ok(files)
}
