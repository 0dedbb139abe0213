//! A push to a repository on this machine.
//!
//! libgit2's own local push overwrites commits that arrive in the meantime. So new objects are transferred as a pack, and
//! the ref is updated with compare-and-swap.

use git2::{ErrorCode, Repository};

use super::clone::{BareClone, CommitId};
use super::config::{Branch, Config};
use super::error::RepoError;
use super::local;

/// Updates a branch from the expected commit to `commit`. Returns the reason if someone else updated it first.
pub(super) fn push(
    clone: &BareClone,
    path: &str,
    commit: CommitId,
    branch: &Branch,
    expected: Option<CommitId>,
) -> Result<Option<String>, RepoError> {
    if !clone.config.push_options.is_empty() {
        // Hooks of a local repository do not run, so nothing would receive them.
        return Err(RepoError::NoPushOptions { url: clone.config.url.clone() });
    }
    let doing = || RepoError::git(format!("pushing to {path}"));
    let target = local::open(&clone.config, path)?;
    let reference = branch.reference();
    accepts(&clone.config, &target, branch)?;
    bring_over(clone, &target, commit).map_err(doing())?;
    let moved = match expected {
        Some(expected) => target.reference_matching(&reference, commit.0, true, expected.0, REFLOG),
        None => target.reference(&reference, commit.0, false, REFLOG),
    };
    match moved {
        Ok(_) => Ok(None),
        Err(error)
            if matches!(
                error.code(),
                ErrorCode::Modified | ErrorCode::Locked | ErrorCode::NotFound | ErrorCode::Exists
            ) =>
        {
            Ok(Some(error.message().to_owned()))
        }
        Err(error) => Err(doing()(error)),
    }
}

/// Checks that a push to the configured branch could be written, without writing anything: temporary files have no name.
pub(super) fn probe(config: &Config, path: &str) -> Result<(), RepoError> {
    let target = local::open(config, path)?;
    let branch = config.push_branch.as_ref().unwrap_or(&config.branch);
    accepts(config, &target, branch)?;
    let reference = target.commondir().join(branch.reference());
    // A branch with slashes in its name may be the first in its folder.
    let references = reference.ancestors().skip(1).find(|folder| folder.is_dir()).unwrap_or(target.commondir());
    for folder in [&*target.commondir().join("objects"), references] {
        tempfile::tempfile_in(folder).map_err(|source| RepoError::NotWritable { folder: folder.to_owned(), source })?;
    }
    Ok(())
}

/// Checks that a branch may be pushed to: the files of a checkout would no longer be those of its branch.
fn accepts(config: &Config, target: &Repository, branch: &Branch) -> Result<(), RepoError> {
    let reference = branch.reference();
    let checked_out = target.head().is_ok_and(|head| head.name().ok() == Some(reference.as_str()));
    if target.is_bare() || !checked_out {
        return Ok(());
    }
    Err(RepoError::Refused {
        url: config.url.clone(),
        branch: branch.clone(),
        words: "the branch is checked out there; use a bare repository".to_owned(),
    })
}

/// The entry in the target's reflog.
const REFLOG: &str = "push by tagalong";

/// Writes a pack with everything in the commit that the target's branch does not have.
fn bring_over(clone: &BareClone, target: &Repository, commit: CommitId) -> Result<(), git2::Error> {
    let mut walk = clone.repository.revwalk()?;
    walk.push(commit.0)?;
    if let Ok(tip) = clone.repository.refname_to_id(&clone.mirror())
        && target.find_commit(tip).is_ok()
    {
        walk.hide(tip)?;
    }
    let mut pack = clone.repository.packbuilder()?;
    pack.insert_walk(&mut walk)?;
    let folder = target.commondir().join("objects").join("pack");
    pack.write(&folder, 0o444)
}
