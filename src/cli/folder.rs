//! Files below `--dir`: read whole, written whole, links never followed.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::{DirEntry, WalkDir};

use crate::config::load::IntentReader;
use crate::cycle::engine::Hosts;
use crate::cycle::tree::REPOSITORY_FILE;
use crate::manifest::find;
use crate::manifest::inventory::{self, Inventory};
use crate::manifest::kustomize::{Graph, is_manifest_name};
use crate::manifest::paths::PathFilter;
use crate::plan::intent::Intent;
use crate::sops::audit::Verdict;
use crate::sops::inspect;
use crate::sops::keyring::Keyring;
use crate::sops::rulebook::RuleBook;

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
        let readings = in_parallel(&files, |path| {
            let facts = find::read(path, &self.read(path)?, &intent.conventions);
            Ok((Arc::from(path), Arc::new(facts)))
        })?;
        let exists = |path: &str| all_paths.contains(path);
        let graph = Graph::build(inventory::readable(&readings), &exists);
        Ok((Inventory::of(&readings, &graph, &exists, paths), intent))
    }

    /// What is to be said about the secrets of files, in the order of their paths.
    pub fn verify_secrets(&self, files: &[String], keyring: &Keyring) -> Result<Vec<Verdict>, CliError> {
        let mut rules = RuleBook::default();
        for file in files.iter().filter(|file| RuleBook::is_rules(file)) {
            rules.add(file, &self.read(file)?);
        }
        let found = in_parallel(files, |file| Ok(inspect::inspect(file, &self.read(file)?, keyring, &rules)))?;
        let mut verdicts: Vec<Verdict> = Vec::new();
        let mut sources: BTreeMap<&str, &str> = BTreeMap::new();
        for (file, inspection) in files.iter().zip(&found) {
            verdicts.extend(inspection.verdicts.iter().cloned());
            for source in inspection.sources.iter().filter(|source| files.binary_search(source).is_ok()) {
                sources.entry(source).or_insert(file);
            }
        }
        for (source, by) in sources {
            let verdict = inspect::inspect_source(source, &self.read(source)?, by);
            // One word about a file is enough, and the first is the more exact one.
            let said = verdicts.iter().any(|other| other.file == source);
            verdicts.extend(verdict.filter(|_| !said));
        }
        verdicts.sort_by(|a, b| (&a.file, a.document).cmp(&(&b.file, b.document)));
        Ok(verdicts)
    }

    /// All files and folders, and in order those files that may be manifests.
    fn files(&self, paths: &PathFilter) -> Result<(HashSet<String>, Vec<String>), CliError> {
        let (all_paths, mut files) = self.walk()?;
        files.retain(|path| is_manifest_name(path) || paths.names(path));
        Ok((all_paths, files))
    }

    /// All files and folders, and in order all files.
    pub fn walk(&self) -> Result<(HashSet<String>, Vec<String>), CliError> {
        let (mut all_paths, mut files) = (HashSet::new(), Vec::new());
        let is_git = |entry: &DirEntry| entry.depth() > 0 && entry.file_name() == ".git";
        for entry in WalkDir::new(&self.root).into_iter().filter_entry(|entry| !is_git(entry)) {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(&self.root).to_owned();
                failed("read", &path, error.into())
            })?;
            let Some(path) = self.relative(entry.path()) else { continue };
            if entry.file_type().is_file() {
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

/// What a function makes of each file, in their order. All processors take part.
fn in_parallel<T: Send>(
    files: &[String],
    make: impl Fn(&str) -> Result<T, CliError> + Sync,
) -> Result<Vec<T>, CliError> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let make = &make;
    let mut made = Vec::with_capacity(files.len());
    std::thread::scope(|scope| {
        let shares = files.chunks(files.len().div_ceil(threads).max(1));
        let share = |share: &'_ [String]| share.iter().map(|file| make(file)).collect::<Result<Vec<T>, CliError>>();
        let workers: Vec<_> = shares.map(|files| scope.spawn(move || share(files))).collect();
        for worker in workers {
            made.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(made)
    })
}

fn failed(doing: &'static str, path: &Path, source: std::io::Error) -> CliError {
    CliError::File { doing, path: path.to_owned(), source }
}
