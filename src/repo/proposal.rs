//! The branch for proposals: commits on top of the branch that is read, for someone else to merge.

use std::collections::BTreeMap;

use git2::Oid;

use super::clone::{BareClone, CommitId};
use super::config::Branch;
use super::error::RepoError;

impl BareClone {
    /// Returns the last known tip of the remote's branch for proposals, if it exists.
    pub fn proposed(&self) -> Option<CommitId> {
        self.proposed.get()
    }

    /// Returns whether commits are pushed to a branch for proposals, so that what runs does not change at once.
    pub fn is_for_proposals(&self) -> bool {
        self.config.push_branch.is_some()
    }

    /// Fetches and returns the tip of a branch, either the one that is read or the one for proposals.
    pub fn tip_of(&self, branch: &Branch) -> Result<Option<CommitId>, RepoError> {
        let tip = self.refresh()?;
        Ok(if *branch == self.config.branch { Some(tip) } else { self.proposed() })
    }

    /// Returns whether a commit is directly on top of `base`, alone or as the last of a chain, and makes exactly these
    /// changes.
    pub fn proposes(
        &self,
        commit: CommitId,
        base: CommitId,
        changes: &BTreeMap<String, Vec<u8>>,
    ) -> Result<bool, RepoError> {
        let doing = || RepoError::git(format!("comparing {commit} with what is to be proposed"));
        let _call = self.long_call();
        let tree = self.repository.find_commit(base.0).and_then(|base| base.tree()).map_err(doing())?;
        let theirs = self.repository.find_commit(commit.0).map_err(doing())?.tree_id();
        Ok(theirs == self.tree_with(&tree, changes)?
            && self.is_line(commit.0, base.0, changes.len()).map_err(doing())?)
    }

    /// Returns whether single parents lead from a commit to the base, in at most this many steps.
    fn is_line(&self, commit: Oid, base: Oid, most: usize) -> Result<bool, git2::Error> {
        let mut id = commit;
        for _ in 0..most {
            let commit = self.repository.find_commit(id)?;
            if commit.parent_count() != 1 {
                return Ok(false);
            }
            id = commit.parent_id(0)?;
            if id == base {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
