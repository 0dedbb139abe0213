//! Files below `--dir`: read whole, written whole, links never followed.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::num::NonZero;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use walkdir::{DirEntry, WalkDir};

use crate::config::repository_file::TreeConfigReader;
use crate::cycle::engine::Hosts;
use crate::cycle::secrets::verify::Progress;
use crate::manifest::field_rules::FieldRules;
use crate::manifest::file_kind::REPOSITORY_FILE;
use crate::manifest::file_kind::is_manifest_name;
use crate::manifest::find;
use crate::manifest::graph::Graph;
use crate::manifest::inventory::{self, Inventory};
use crate::manifest::paths::PathFilter;
use crate::path::Links;
use crate::plan::tree_config::TreeConfig;
use crate::repo::tree::{Content, LARGE};
use crate::sops::audit::FileVerdict;
use crate::sops::exposure::reference::Reference;
use crate::sops::inspect::{self, Inspection};
use crate::sops::keyring::Keyring;
use crate::sops::rulebook::{RULES_FILE, RuleBook};
use crate::sops::verdicts::{Inspector, Tree, verdicts};
use crate::yaml::node::{MAX_BYTES, ScanError};

use super::error::CliError;
use super::secrets::error::SecretsError;

/// A folder of manifests.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// Held by the thread that works on a large file.
    large: Mutex<()>,
}

impl Folder {
    /// A folder that is there.
    pub fn open(root: &Path) -> Result<Folder, CliError> {
        let is_folder = std::fs::metadata(root).and_then(|found| match found.is_dir() {
            true => Ok(()),
            false => Err(std::io::Error::new(ErrorKind::NotFound, "it is not a folder")),
        });
        is_folder.map_err(|source| failed("open", root, source))?;
        Ok(Folder { root: root.to_owned(), large: Mutex::default() })
    }

    /// Takes stock of the files, with what the folder's own file and the configuration ask of them. Nothing works on
    /// these files whose hosts could be abused. A file that was named is read whatever its name ends in.
    pub fn inventory(
        &self,
        paths: &PathFilter,
        reader: &TreeConfigReader,
    ) -> Result<(Inventory, TreeConfig), CliError> {
        let own = self.root.join(REPOSITORY_FILE).is_file().then(|| self.read(REPOSITORY_FILE)).transpose()?;
        let tree_config = reader.read(own.as_deref(), Hosts::Any)?;
        let (all_paths, files) = self.files(paths, &tree_config.field_rules)?;
        let links = self.links()?;
        let readings = in_parallel(&files, |path| {
            let facts = self.with(path, |content| match content {
                Content::Bytes(bytes) => find::read(path, bytes, &tree_config.field_rules),
                Content::TooLarge(size) => Err(ScanError::TooLarge { size }),
            })?;
            Ok((Arc::from(path), Arc::new(facts)))
        })?;
        let exists = |path: &str| all_paths.contains(path);
        let graph = Graph::build(inventory::readable(&readings), &exists, &links);
        Ok((Inventory::of(&readings, &graph, &exists, paths), tree_config))
    }

    /// Returns the verdicts on the secrets of files, in the order of their paths.
    pub fn verify_secrets(
        &self,
        files: &[String],
        keyring: &Keyring,
        progress: &Progress<'_>,
    ) -> Result<Vec<FileVerdict>, CliError> {
        let rules = self.rules(files.iter().map(String::as_str).filter(|file| RuleBook::is_rules(file)))?;
        let links = self.links()?;
        let exists = |path: &str| files.binary_search_by(|file| file.as_str().cmp(path)).is_ok();
        let all: Vec<&str> = files.iter().map(String::as_str).collect();
        let done = AtomicUsize::new(0);
        let progress = || progress(done.fetch_add(1, Ordering::Relaxed) + 1, files.len());
        let mut inspector = FolderInspector { folder: self, keyring, rules: &rules, progress: &progress };
        verdicts(&all, Tree { exists: &exists, links: &links }, &mut inspector)
    }

    /// These `.sops.yaml`, and where the root has none the nearest one above it, as sops finds them.
    pub fn rules<'f>(&self, files: impl Iterator<Item = &'f str>) -> Result<RuleBook, CliError> {
        let mut book = RuleBook::default();
        for file in files {
            book.add(file, &self.read(file)?);
        }
        if self.root.join(RULES_FILE).is_file() {
            return Ok(book);
        }
        let root = self.root.canonicalize().map_err(|source| failed("open", &self.root, source))?;
        for above in root.ancestors().skip(1) {
            let file = above.join(RULES_FILE);
            if file.is_file() {
                let bytes = std::fs::read(&file).map_err(|source| failed("read", &file, source))?;
                let way = root.strip_prefix(above).unwrap_or(&root).to_string_lossy().into_owned();
                let refused = |source| SecretsError::Rules { file: file.display().to_string(), source };
                book.add_above(&way, &bytes).map_err(refused)?;
                break;
            }
        }
        Ok(book)
    }

    /// The same for one file, which need not be there yet.
    pub fn rules_above(&self, file: &str) -> Result<RuleBook, CliError> {
        let slashes = file.match_indices('/').map(|(at, _)| at + 1);
        let places = [0].into_iter().chain(slashes).map(|at| format!("{}{RULES_FILE}", &file[..at]));
        let there: Vec<String> = places.filter(|place| self.root.join(place).is_file()).collect();
        self.rules(there.iter().map(String::as_str))
    }

    /// All files and folders, and in order those files that may be manifests.
    fn files(&self, paths: &PathFilter, field_rules: &FieldRules) -> Result<(HashSet<String>, Vec<String>), CliError> {
        let (all_paths, mut files) = self.walk()?;
        files.retain(|path| is_manifest_name(path) || paths.names(path) || field_rules.take(path));
        Ok((all_paths, files))
    }

    /// All symbolic links. One whose target is not UTF-8 leads out of the folder.
    fn links(&self) -> Result<Links, CliError> {
        let mut links = Vec::new();
        for entry in self.entries() {
            let (path, entry) = entry?;
            if entry.path_is_symlink() {
                let target = std::fs::read_link(entry.path()).map_err(|source| failed("read", entry.path(), source))?;
                links.push((path, target.to_str().unwrap_or("/").to_owned()));
            }
        }
        Ok(Links::new(links))
    }

    /// All files and folders, and in order all files.
    pub fn walk(&self) -> Result<(HashSet<String>, Vec<String>), CliError> {
        let (mut all_paths, mut files) = (HashSet::new(), Vec::new());
        for entry in self.entries() {
            let (path, entry) = entry?;
            if entry.file_type().is_file() {
                files.push(path.clone());
            }
            all_paths.insert(path);
        }
        files.sort();
        Ok((all_paths, files))
    }

    /// Everything below the folder except git's own files, with its path.
    fn entries(&self) -> impl Iterator<Item = Result<(String, DirEntry), CliError>> + '_ {
        let is_git = |entry: &DirEntry| entry.depth() > 0 && entry.file_name() == ".git";
        let entries = WalkDir::new(&self.root).into_iter().filter_entry(move |entry| !is_git(entry));
        entries.filter_map(|entry| match entry {
            Ok(entry) => Some(Ok((self.relative(entry.path())?, entry))),
            Err(error) => {
                let path = error.path().unwrap_or(&self.root).to_owned();
                Some(Err(failed("read", &path, error.into())))
            }
        })
    }

    /// Returns whether there is a file at a path, and not a link to one.
    pub fn has(&self, path: &str) -> bool {
        std::fs::symlink_metadata(self.root.join(path)).is_ok_and(|found| found.is_file())
    }

    /// The bytes of a file. One that is too large to be read is an error.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, CliError> {
        self.with(path, |content| match content {
            Content::Bytes(bytes) => Ok(bytes.to_vec()),
            Content::TooLarge(size) => {
                let large = std::io::Error::new(ErrorKind::FileTooLarge, ScanError::TooLarge { size }.to_string());
                Err(failed("read", &self.root.join(path), large))
            }
        })?
    }

    /// Applies a function to a file, one at a time if they are large.
    pub fn with<T>(&self, path: &str, work: impl FnOnce(Content<'_>) -> T) -> Result<T, CliError> {
        let file = self.root.join(path);
        let fail = |source| failed("read", &file, source);
        let opened = File::open(&file).map_err(fail)?;
        let size = opened.metadata().map_err(fail)?.len();
        let _alone = (size > LARGE as u64).then(|| self.large.lock());
        let mut bytes = Vec::new();
        opened.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(fail)?;
        Ok(work(if bytes.len() > MAX_BYTES { Content::TooLarge(size) } else { Content::Bytes(&bytes) }))
    }

    /// The bytes of a file that may be missing.
    pub fn read_if_there(&self, path: &str) -> Result<Option<Vec<u8>>, CliError> {
        match self.root.join(path).exists() {
            true => self.read(path).map(Some),
            false => Ok(None),
        }
    }

    /// Replaces a file whole, as [`replace`] does.
    pub fn write(&self, path: &str, bytes: &[u8]) -> Result<(), CliError> {
        let file = self.root.join(path);
        replace(&file, bytes).map_err(|source| failed("write", &file, source))
    }

    /// The path from the root with `/`; `None` for the root itself and for names that are not UTF-8.
    fn relative(&self, path: &Path) -> Option<String> {
        let parts: Option<Vec<&str>> = path.strip_prefix(&self.root).ok()?.iter().map(|part| part.to_str()).collect();
        parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join("/"))
    }
}

/// Replaces a file whole: it is at every moment either the old one or the new one. Its mode is kept; a new file, which makes
/// its folder, can be read by all.
pub fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mode = match std::fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Permissions::from_mode(0o644),
        there => there?.permissions(),
    };
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(bytes)?;
    new.as_file().set_permissions(mode)?;
    new.persist(file)?;
    Ok(())
}

/// Inspects the files of a folder.
struct FolderInspector<'f> {
    folder: &'f Folder,
    keyring: &'f Keyring,
    rules: &'f RuleBook,
    progress: &'f (dyn Fn() + Sync),
}

impl Inspector for FolderInspector<'_> {
    type Error = CliError;

    fn files(&mut self, files: &[&str]) -> Result<BTreeMap<String, Arc<Inspection>>, CliError> {
        let found = in_parallel(files, |file| {
            let inspection = self.folder.with(file, |content| match content {
                Content::Bytes(bytes) => inspect::inspect(file, bytes, self.keyring, self.rules),
                Content::TooLarge(size) => inspect::inspect_large(file, size),
            })?;
            (self.progress)();
            Ok((file.to_owned(), Arc::new(inspection)))
        })?;
        Ok(found.into_iter().collect())
    }

    fn references(&mut self, references: &[Reference]) -> Result<Vec<Arc<Inspection>>, CliError> {
        let inspect = |reference: &Reference| {
            self.folder.with(&reference.path, |content| match content {
                Content::Bytes(bytes) => Arc::new(inspect::inspect_reference(reference, bytes)),
                Content::TooLarge(size) => Arc::new(inspect::inspect_large_reference(reference, size)),
            })
        };
        references.iter().map(inspect).collect()
    }
}

/// What a function makes of each file, in their order. All processors take part.
pub fn in_parallel<F: AsRef<str> + Sync, T: Send>(
    files: &[F],
    make: impl Fn(&str) -> Result<T, CliError> + Sync,
) -> Result<Vec<T>, CliError> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let make = &make;
    let mut made = Vec::with_capacity(files.len());
    std::thread::scope(|scope| {
        let shares = files.chunks(files.len().div_ceil(threads).max(1));
        let share = |share: &'_ [F]| share.iter().map(|file| make(file.as_ref())).collect::<Result<Vec<T>, CliError>>();
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
