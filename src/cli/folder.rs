//! Files below `--dir`: read whole, written whole, links never followed.

use std::collections::HashSet;
use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::{DirEntry, WalkDir};

use crate::config::load::IntentReader;
use crate::cycle::engine::Hosts;
use crate::cycle::tree::REPOSITORY_FILE;
use crate::manifest::find;
use crate::manifest::inventory::{self, Inventory, Reading};
use crate::manifest::kustomize::{Graph, is_manifest_name};
use crate::manifest::paths::PathFilter;
use crate::plan::intent::Intent;

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

    /// Takes stock of the files, with what the folder's own file and the configuration ask of them. Nothing works on
    /// these files whose hosts could be abused. A file that was named is read whatever its name ends in.
    pub fn inventory(&self, paths: &PathFilter, reader: &IntentReader) -> Result<(Inventory, Intent), CliError> {
        let own = self.root.join(REPOSITORY_FILE).is_file().then(|| self.read(REPOSITORY_FILE)).transpose()?;
        let intent = reader.read(own.as_deref(), Hosts::Any)?;
        let (all_paths, files) = self.files(paths)?;
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let read = |files: &[String]| -> Result<Vec<(Arc<str>, Reading)>, CliError> {
            let read = |path: &String| {
                let facts = find::read(path, &self.read(path)?, &intent.conventions);
                Ok((path.as_str().into(), Arc::new(facts)))
            };
            files.iter().map(read).collect()
        };
        let mut readings = Vec::with_capacity(files.len());
        std::thread::scope(|scope| -> Result<(), CliError> {
            let shares = files.chunks(files.len().div_ceil(threads).max(1));
            let workers: Vec<_> = shares.map(|share| scope.spawn(|| read(share))).collect();
            for worker in workers {
                readings.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
            }
            Ok(())
        })?;
        let exists = |path: &str| all_paths.contains(path);
        let graph = Graph::build(inventory::readable(&readings), &exists);
        Ok((Inventory::of(&readings, &graph, &exists, paths), intent))
    }

    /// All files and folders, and in order those files that may be manifests.
    fn files(&self, paths: &PathFilter) -> Result<(HashSet<String>, Vec<String>), CliError> {
        let (mut all_paths, mut files) = (HashSet::new(), Vec::new());
        let is_git = |entry: &DirEntry| entry.depth() > 0 && entry.file_name() == ".git";
        for entry in WalkDir::new(&self.root).into_iter().filter_entry(|entry| !is_git(entry)) {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(&self.root).to_owned();
                failed("read", &path, error.into())
            })?;
            let Some(path) = self.relative(entry.path()) else { continue };
            if entry.file_type().is_file() && (is_manifest_name(&path) || paths.names(&path)) {
                files.push(path.clone());
            }
            all_paths.insert(path);
        }
        files.sort();
        Ok((all_paths, files))
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
