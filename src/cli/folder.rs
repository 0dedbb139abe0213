//! Files below `--dir`: read whole, written whole, links never followed.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::{DirEntry, WalkDir};

use crate::manifest::find;
use crate::manifest::inventory::{Inventory, Reading};
use crate::manifest::kustomize::is_manifest_name;
use crate::manifest::paths::PathFilter;

use super::error::CliError;

/// A folder of manifests.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// A folder that is there.
    pub fn open(root: &Path) -> Result<Folder, CliError> {
        let is_folder = std::fs::metadata(root).and_then(|found| match found.is_dir() {
            true => Ok(()),
            false => Err(std::io::Error::new(std::io::ErrorKind::NotFound, "it is not a folder")),
        });
        is_folder.map_err(|source| failed("open", root, source))?;
        Ok(Folder { root: root.to_owned() })
    }

    /// Takes stock of the files. A file that was named is read whatever its name ends in.
    pub fn inventory(&self, paths: &PathFilter) -> Result<Inventory, CliError> {
        let mut all_paths = BTreeSet::new();
        let mut files: Vec<(String, Reading)> = Vec::new();
        let is_git = |entry: &DirEntry| entry.depth() > 0 && entry.file_name() == ".git";
        for entry in WalkDir::new(&self.root).sort_by_file_name().into_iter().filter_entry(|entry| !is_git(entry)) {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(&self.root).to_owned();
                failed("read", &path, error.into())
            })?;
            let Some(path) = self.relative(entry.path()) else { continue };
            if entry.file_type().is_file() && (is_manifest_name(&path) || paths.names(&path)) {
                files.push((path.clone(), Arc::new(find::read(&path, &self.read(&path)?))));
            }
            all_paths.insert(path);
        }
        files.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Inventory::of(&files, &all_paths, paths))
    }

    /// The bytes of a file.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, CliError> {
        let file = self.root.join(path);
        std::fs::read(&file).map_err(|source| failed("read", &file, source))
    }

    /// Replaces a file whole: it is at every moment either the old one or the new one. Its mode is kept.
    pub fn write(&self, path: &str, bytes: &[u8]) -> Result<(), CliError> {
        let file = self.root.join(path);
        let folder = file.parent().unwrap_or(&self.root);
        let replace = || -> std::io::Result<()> {
            let mut new = tempfile::NamedTempFile::new_in(folder)?;
            new.write_all(bytes)?;
            new.as_file().set_permissions(std::fs::metadata(&file)?.permissions())?;
            new.persist(&file)?;
            Ok(())
        };
        replace().map_err(|source| failed("write", &file, source))
    }

    /// The path from the root with `/`; `None` for the root itself and for names that are not UTF-8.
    fn relative(&self, path: &Path) -> Option<String> {
        let parts: Option<Vec<&str>> = path.strip_prefix(&self.root).ok()?.iter().map(|part| part.to_str()).collect();
        parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join("/"))
    }
}

fn failed(doing: &'static str, path: &Path, source: std::io::Error) -> CliError {
    CliError::File { doing, path: path.to_owned(), source }
}
