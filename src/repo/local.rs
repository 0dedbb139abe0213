//! Repositories on this machine.
//!
//! Nothing is copied: the clone reads their objects in place (gitrepository-layout,
//! `objects/info/alternates`), as `git clone --shared` does.

use std::fs;
use std::io;
use std::path::Path;

use git2::{ErrorCode, Oid, Repository};

use super::config::Config;
use super::error::{Outage, RepoError};

/// The file of a clone that names the folders of further objects.
pub(super) const ALTERNATES: &str = "objects/info/alternates";

/// Gives a clone access to the objects of a repository, with exactly its history. The clone must be opened afterwards.
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

/// Returns the branches of a repository with their tips.
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

/// Returns branches in the form of [`super::remote::tip_of`].
pub(super) fn named(branches: &[(String, Oid)]) -> impl Iterator<Item = (&str, Oid)> + Clone {
    branches.iter().map(|(name, at)| (name.as_str(), *at))
}

/// Opens the repository at a path.
pub(super) fn open(config: &Config, path: &str) -> Result<Repository, RepoError> {
    Repository::open(path).map_err(|error| match error.code() {
        ErrorCode::NotFound => RepoError::Missing { url: config.url.clone() },
        _ => {
            RepoError::Unreachable { url: config.url.clone(), source: Outage::NoConnection(error.message().to_owned()) }
        }
    })
}
