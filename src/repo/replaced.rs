//! What a commit did to files, as far as it is compared with what its message says.

use git2::Oid;
use memchr::{memchr, memrchr};

use super::clone::{BareClone, CommitId};
use super::error::RepoError;
use super::history::{Logged, blob_at};

/// The lines of a file that a commit replaced, from the first to the last one that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacedLines {
    /// The lines before.
    pub before: Vec<u8>,
    /// The lines after.
    pub after: Vec<u8>,
}

impl BareClone {
    /// Returns whether a commit has exactly the files of its only parent; `None` if that is not in the clone.
    pub fn changes_nothing(&self, logged: &Logged) -> Result<Option<bool>, RepoError> {
        let doing = || RepoError::git(format!("reading commit {}", logged.id));
        let _call = self.short_call();
        match logged.parents.as_slice() {
            _ if logged.is_cut => Ok(None),
            [parent] => {
                let tree = |id: Oid| self.repository.find_commit(id).map(|commit| commit.tree_id()).map_err(doing());
                Ok(Some(tree(logged.id.0)? == tree(parent.0)?))
            }
            _ => Ok(Some(false)),
        }
    }

    /// Returns the paths of the files that differ between two commits.
    pub fn changed_files(&self, before: CommitId, after: CommitId) -> Result<Vec<String>, RepoError> {
        let _call = self.long_call();
        let tree = |id: CommitId| self.repository.find_commit(id.0)?.tree();
        let read = || -> Result<Vec<String>, git2::Error> {
            let diff = self.repository.diff_tree_to_tree(Some(&tree(before)?), Some(&tree(after)?), None)?;
            let sides = diff.deltas().flat_map(|delta| [delta.old_file().path_bytes(), delta.new_file().path_bytes()]);
            let mut paths: Vec<String> =
                sides.flatten().map(|path| String::from_utf8_lossy(path).into_owned()).collect();
            paths.dedup();
            Ok(paths)
        };
        read().map_err(RepoError::git(format!("comparing {before} with {after}")))
    }

    /// Returns the lines of a file that a commit with a single parent replaced; `None` if it did not change the file, or
    /// made, moved or removed it.
    pub fn replaced_lines(&self, id: CommitId, path: &str) -> Result<Option<ReplacedLines>, RepoError> {
        self.replaced(id, path).map_err(RepoError::git(format!("reading what commit {id} did to {path}")))
    }

    fn replaced(&self, id: CommitId, path: &str) -> Result<Option<ReplacedLines>, git2::Error> {
        let _call = self.short_call();
        let commit = self.repository.find_commit(id.0)?;
        if commit.parent_count() != 1 {
            return Ok(None);
        }
        let (before, after) = (blob_at(&commit.parent(0)?.tree()?, path)?, blob_at(&commit.tree()?, path)?);
        let Some((before, after)) = before.zip(after).filter(|(before, after)| before != after) else {
            return Ok(None);
        };
        let (before, after) = (self.repository.find_blob(before.0)?, self.repository.find_blob(after.0)?);
        Ok(Some(ReplacedLines::between(before.content(), after.content())))
    }
}

impl ReplacedLines {
    fn between(before: &[u8], after: &[u8]) -> ReplacedLines {
        let equal = |(one, other): &(&u8, &u8)| one == other;
        let start = before.iter().zip(after).take_while(equal).count();
        let start = memrchr(b'\n', &before[..start]).map_or(0, |end| end + 1);
        let (before, after) = (&before[start..], &after[start..]);
        let rest = before.iter().rev().zip(after.iter().rev()).take_while(equal).count();
        let lines = |bytes: &[u8]| {
            let end = bytes.len() - rest;
            let end = memchr(b'\n', &bytes[end..]).map_or(bytes.len(), |line| end + line);
            bytes[..end].to_vec()
        };
        ReplacedLines { before: lines(before), after: lines(after) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_are_returned() {
        let replaced = |before: &str, after: &str| {
            let lines = ReplacedLines::between(before.as_bytes(), after.as_bytes());
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
            (text(lines.before), text(lines.after))
        };
        let both = |before: &str, after: &str| (before.to_owned(), after.to_owned());
        assert_eq!(replaced("a\nimage: x:v1\nb\n", "a\nimage: x:v12\nb\n"), both("image: x:v1", "image: x:v12"));
        assert_eq!(replaced("x:1", "x:2"), both("x:1", "x:2"));
        assert_eq!(replaced("a: 1\nb\nc: 1\nd\n", "a: 2\nb\nc: 2\nd\n"), both("a: 1\nb\nc: 1", "a: 2\nb\nc: 2"));
        assert_eq!(replaced("a\na\n", "a\na\na\n"), both("", "a\n"));
        assert_eq!(replaced("", "x\n"), both("", "x\n"));
    }
}
