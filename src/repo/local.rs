//! A push to a repository on this machine. libgit2's own local push overwrites a commit that landed in between; so the
//! objects are brought over as a pack, and the ref is moved by compare and swap.

use git2::{ErrorCode, Repository};

use super::clone::{BareClone, CommitId};
use super::error::RepoError;
use super::push::Push;

pub(super) fn push(clone: &BareClone, path: &str, commit: CommitId, expected: CommitId) -> Result<Push, RepoError> {
    let doing = || RepoError::git(format!("pushing to {path}"));
    let target = Repository::open(path).map_err(doing())?;
    let branch = clone.config.branch.reference();
    let checked_out = target.head().is_ok_and(|head| head.name().ok() == Some(branch.as_str()));
    if !target.is_bare() && checked_out {
        return Err(RepoError::Refused {
            url: clone.config.url.clone(),
            branch: clone.config.branch.clone(),
            words: "the branch is checked out there; use a bare repository".to_owned(),
        });
    }
    bring_over(clone, &target, commit, expected).map_err(doing())?;
    match target.reference_matching(&branch, commit.0, true, expected.0, "push by tagalong") {
        Ok(_) => Ok(Push::Done),
        Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::Locked | ErrorCode::NotFound) => {
            Ok(Push::LostRace { words: error.message().to_owned() })
        }
        Err(error) => Err(doing()(error)),
    }
}

/// Writes a pack with all that the commit has and the expected tip has not.
fn bring_over(clone: &BareClone, target: &Repository, commit: CommitId, expected: CommitId) -> Result<(), git2::Error> {
    let mut walk = clone.repository.revwalk()?;
    walk.push(commit.0)?;
    walk.hide(expected.0)?;
    let mut pack = clone.repository.packbuilder()?;
    pack.insert_walk(&mut walk)?;
    let folder = target.commondir().join("objects").join("pack");
    pack.write(&folder, 0o444)
}
