//! A checkout on this machine: where its repository is, which branch it has, and where it was cloned from.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use git2::Repository;

use crate::secret::SafeUrl;

use super::config::Branch;

/// Returns the root of the repository that contains a folder: that of its work tree, or of a bare repository.
pub fn root(folder: &Path) -> Option<PathBuf> {
    let repository = Repository::discover(folder).ok()?;
    repository.workdir().unwrap_or_else(|| repository.path()).canonicalize().ok()
}

/// Returns the branch that is checked out.
pub fn branch(root: &Path) -> Option<Branch> {
    let repository = Repository::open(root).ok()?;
    let head = repository.find_reference("HEAD").ok()?;
    let target = head.symbolic_target().ok()??.to_owned();
    Branch::from_str(target.strip_prefix("refs/heads/")?).ok()
}

/// Returns the URL of the remote `origin`, unless it is a path on this machine.
pub fn origin(root: &Path) -> Option<SafeUrl> {
    let repository = Repository::open(root).ok()?;
    let remote = repository.find_remote("origin").ok()?;
    remote.url().ok()?.parse::<SafeUrl>().ok().filter(|url| url.local_path().is_none())
}
