//! The files that a commit changed in place, with their contents before and after.

use git2::{Delta, Oid};

use super::clone::{BareClone, CommitId};
use super::error::RepoError;
use super::tree::size;

/// The size in bytes from which a file is passed over: nobody writes manifests of that size by hand.
const LARGEST: usize = 1 << 20;
/// The number of changed files from which a commit is passed over: it reorganises the repository.
const MOST_FILES: usize = 400;

/// A file that a commit changed in place.
#[derive(Debug)]
pub struct ModifiedFile<'f> {
    /// Its path.
    pub path: &'f str,
    /// Its bytes before.
    pub before: &'f [u8],
    /// Its bytes after.
    pub after: &'f [u8],
}

impl BareClone {
    /// Calls a function with each file that a commit changed in place, compared with its first parent. Only two blobs
    /// are in memory at a time. Files that were added, removed or moved do not count, nor do very large ones.
    pub fn modified_files(
        &self,
        id: CommitId,
        wants: &dyn Fn(&str) -> bool,
        visit: &mut dyn FnMut(ModifiedFile<'_>),
    ) -> Result<(), RepoError> {
        self.visit_modified(id.0, wants, visit).map_err(RepoError::git(format!("reading what commit {id} changed")))
    }

    fn visit_modified(
        &self,
        id: Oid,
        wants: &dyn Fn(&str) -> bool,
        visit: &mut dyn FnMut(ModifiedFile<'_>),
    ) -> Result<(), git2::Error> {
        let _call = self.long_call();
        let (repository, odb) = (&self.repository, self.repository.odb()?);
        let commit = repository.find_commit(id)?;
        let before = commit.parent(0)?.tree()?;
        let diff = repository.diff_tree_to_tree(Some(&before), Some(&commit.tree()?), None)?;
        if diff.deltas().len() > MOST_FILES {
            return Ok(());
        }
        for delta in diff.deltas().filter(|delta| delta.status() == Delta::Modified) {
            let Some(path) = delta.new_file().path().and_then(|path| path.to_str()).filter(|path| wants(path)) else {
                continue;
            };
            // A submodule has no blob.
            let is_small = |id: Oid| size(&odb, id).is_ok_and(|size| size <= LARGEST);
            let (before, after) = (delta.old_file().id(), delta.new_file().id());
            if is_small(before) && is_small(after) {
                let (before, after) = (repository.find_blob(before)?, repository.find_blob(after)?);
                visit(ModifiedFile { path, before: before.content(), after: after.content() });
            }
        }
        Ok(())
    }
}
