//! A push to a repository on this machine. libgit2's own local push overwrites a commit that landed in between; so the
//! objects are brought over as a pack, and the ref is moved by compare and swap.

use git2::{ErrorCode, Repository};

use super::clone::{BareClone, CommitId};
use super::error::RepoError;
use super::push::{Lease, Push};

pub(super) fn push(clone: &BareClone, path: &str, commit: CommitId, lease: Lease<'_>) -> Result<Push, RepoError> {
    if !clone.config.push_options.is_empty() {
        // Nobody would see them: hooks of a local repository do not run.
        return Err(RepoError::NoPushOptions { url: clone.config.url.clone() });
    }
    let doing = || RepoError::git(format!("pushing to {path}"));
    let target = Repository::open(path).map_err(doing())?;
    let branch = lease.branch.reference();
    let checked_out = target.head().is_ok_and(|head| head.name().ok() == Some(branch.as_str()));
    if !target.is_bare() && checked_out {
        return Err(RepoError::Refused {
            url: clone.config.url.clone(),
            branch: lease.branch.clone(),
            words: "the branch is checked out there; use a bare repository".to_owned(),
        });
    }
    bring_over(clone, &target, commit).map_err(doing())?;
    let moved = match lease.expected {
        Some(expected) => target.reference_matching(&branch, commit.0, true, expected.0, REFLOG),
        None => target.reference(&branch, commit.0, false, REFLOG),
    };
    match moved {
        Ok(_) => Ok(Push::Done),
        Err(error)
            if matches!(
                error.code(),
                ErrorCode::Modified | ErrorCode::Locked | ErrorCode::NotFound | ErrorCode::Exists
            ) =>
        {
            Ok(Push::LostRace { words: error.message().to_owned() })
        }
        Err(error) => Err(doing()(error)),
    }
}

/// What the target notes in its reflog.
const REFLOG: &str = "push by tagalong";

/// Writes a pack with all that the commit has and the target's branch has not.
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
