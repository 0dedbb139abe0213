//! A repository on this machine.
//!
//! Nothing is copied from it: the clone reads its objects where they are (gitrepository-layout,
//! `objects/info/alternates`), as `git clone --shared` does. libgit2's own local push overwrites a commit that landed in
//! between; so for a push new objects are brought over as a pack, and the ref is moved by compare and swap.

use std::fs;
use std::io;
use std::path::Path;

use git2::{ErrorCode, Oid, Repository};

use super::clone::{BareClone, CommitId};
use super::config::Config;
use super::error::{Outage, RepoError};
use super::push::{Lease, Push};

/// Where a clone says whose objects it reads.
pub(super) const ALTERNATES: &str = "objects/info/alternates";

/// Lets a clone read the objects of a repository, as much of its history as it has itself. The clone has to be opened
/// after that.
pub(super) fn share(config: &Config, path: &str, clone: &Path) -> Result<(), RepoError> {
    let origin = open(config, path)?;
    let objects = origin.commondir().join("objects");
    let fail = |source| RepoError::Folder { folder: clone.to_owned(), source };
    write_if_new(&clone.join(ALTERNATES), format!("{}\n", objects.display()).as_bytes()).map_err(fail)?;
    match fs::read(origin.commondir().join("shallow")) {
        Ok(boundary) => write_if_new(&clone.join("shallow"), &boundary).map_err(fail),
        Err(_) => match fs::remove_file(clone.join("shallow")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fail(error)),
            _ => Ok(()),
        },
    }
}

fn write_if_new(file: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::read(file) {
        Ok(there) if there == bytes => Ok(()),
        _ => {
            file.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(file, bytes)
        }
    }
}

/// The branches of a repository, each with its tip.
pub(super) fn branches(config: &Config, path: &str) -> Result<Vec<(String, Oid)>, RepoError> {
    let doing = || RepoError::git(format!("reading the branches of {path}"));
    let origin = open(config, path)?;
    let references = origin.references_glob("refs/heads/*").map_err(doing())?;
    let mut branches = Vec::new();
    for reference in references {
        let reference = reference.and_then(|reference| reference.resolve()).map_err(doing())?;
        let name = reference.name().ok().map(str::to_owned);
        branches.extend(name.zip(reference.target()));
    }
    Ok(branches)
}

/// Branches as [`super::remote::tip_of`] takes them.
pub(super) fn named(branches: &[(String, Oid)]) -> impl Iterator<Item = (&str, Oid)> + Clone {
    branches.iter().map(|(name, at)| (name.as_str(), *at))
}

fn open(config: &Config, path: &str) -> Result<Repository, RepoError> {
    Repository::open(path).map_err(|error| match error.code() {
        ErrorCode::NotFound => RepoError::Missing { url: config.url.clone() },
        _ => {
            RepoError::Unreachable { url: config.url.clone(), source: Outage::NoConnection(error.message().to_owned()) }
        }
    })
}

pub(super) fn push(clone: &BareClone, path: &str, commit: CommitId, lease: Lease<'_>) -> Result<Push, RepoError> {
    if !clone.config.push_options.is_empty() {
        // Nobody would see them: hooks of a local repository do not run.
        return Err(RepoError::NoPushOptions { url: clone.config.url.clone() });
    }
    let doing = || RepoError::git(format!("pushing to {path}"));
    let target = open(&clone.config, path)?;
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
