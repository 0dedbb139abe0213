//! What a merge would make, and what one has brought.

use std::collections::BTreeMap;

use git2::Oid;

use super::clone::{BareClone, CommitId};
use super::error::RepoError;
use super::history::Logged;

/// The most commits that are read of what a merge has brought.
const MOST: usize = 100;

impl BareClone {
    /// Returns whether merging `head` into `base` makes exactly these changes, without conflicts.
    pub fn merges_to(
        &self,
        base: CommitId,
        head: CommitId,
        changes: &BTreeMap<String, Vec<u8>>,
    ) -> Result<bool, RepoError> {
        let doing = || RepoError::git(format!("merging {head} into {base} for comparison"));
        let _call = self.long_call();
        let find = |id: CommitId| self.repository.find_commit(id.0).map_err(doing());
        let (ours, theirs) = (find(base)?, find(head)?);
        let mut index = self.repository.merge_commits(&ours, &theirs, None).map_err(doing())?;
        if index.has_conflicts() {
            return Ok(false);
        }
        let merged = index.write_tree_to(&self.repository).map_err(doing())?;
        Ok(merged == self.tree_with(&ours.tree().map_err(doing())?, changes)?)
    }

    /// Returns the commits of `head` that `base` does not have, newest first; the newest hundred of them if there are more.
    pub fn beyond(&self, base: CommitId, head: CommitId) -> Result<Vec<Logged>, RepoError> {
        let doing = || RepoError::git(format!("reading the commits of {head} that {base} does not have"));
        let _call = self.long_call();
        let read = || -> Result<Vec<Logged>, git2::Error> {
            let mut walk = self.repository.revwalk()?;
            walk.push(head.0)?;
            walk.hide(base.0)?;
            let ids: Vec<Oid> = walk.take(MOST).collect::<Result<_, _>>()?;
            let cut = self.cut();
            ids.into_iter().map(|id| Ok(Logged::of(&self.repository.find_commit(id)?, cut.contains(&id)))).collect()
        };
        read().map_err(doing())
    }
}
