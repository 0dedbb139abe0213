//! The folders of a tip, with those of their files that are read.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::manifest::field_rules::{FieldRule, FieldRules};
use crate::manifest::file_kind::{
    REPOSITORY_FILE, has_kustomization_name, is_argo_override, is_chart, is_manifest_name,
};
use crate::manifest::inventory::Reading;
use crate::manifest::paths::PathFilter;
use crate::repo::clone::BareClone;
use crate::repo::error::RepoError;
use crate::repo::tree::{BlobId, Entry, EntryKind, TreeId};

/// All regular files of a tip, by path.
pub type Listing = BTreeMap<String, BlobId>;

/// A folder with everything below it.
#[derive(Debug)]
pub(super) struct Folder {
    id: TreeId,
    /// The number of files and folders in it, at any depth.
    entries: usize,
    /// Its entries in git's order, which is that of whole paths: folders are sorted as if their names ended in `/`.
    children: Vec<Child>,
}

#[derive(Debug)]
struct Child {
    name: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Folder(Folder),
    File(ReadableFile),
    /// A file that is not read.
    Unread(BlobId),
    /// A symbolic link; its blob is the target.
    Link(BlobId),
    /// A folder that is nested too deeply.
    TooDeep,
    /// A submodule.
    Other,
}

/// A file that is read.
#[derive(Debug)]
pub(super) struct ReadableFile {
    pub path: Arc<str>,
    pub file: File,
    /// Its reading, once it was read; `Some(None)` if it cannot contain an image of the prefilter.
    pub reading: Option<Option<Reading>>,
}

/// The parts of a file that determine its reading: its bytes, and as little of its path as matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub blob: BlobId,
    pub is_kustomization: bool,
    is_chart: bool,
    is_repository_file: bool,
    is_argo_override: bool,
    /// The indexes of the field rules that apply to it.
    rules: Vec<usize>,
    /// Its path, if the images of one of these rules depend on it.
    path: Option<Arc<str>>,
}

impl Folder {
    /// Returns whether there is a file or folder at a path.
    pub fn has(&self, path: &str) -> bool {
        match path.split_once('/') {
            None => self.find(path).is_some(),
            Some((name, rest)) => match self.find(name).map(|at| &self.children[at].kind) {
                Some(Kind::Folder(folder)) => folder.has(rest),
                _ => false,
            },
        }
    }

    /// Returns all files that are read, in the order of their paths.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut ReadableFile> {
        let mut open = vec![self.children.iter_mut()];
        std::iter::from_fn(move || {
            loop {
                match open.last_mut()?.next().map(|child| &mut child.kind) {
                    Some(Kind::File(readable)) => return Some(readable),
                    Some(Kind::Folder(folder)) => open.push(folder.children.iter_mut()),
                    Some(Kind::Unread(_) | Kind::Link(_) | Kind::TooDeep | Kind::Other) => {}
                    None => drop(open.pop()),
                }
            }
        })
    }

    /// Adds all regular files below it to a listing. `path` is its own path, and is unchanged afterwards.
    ///
    /// # Errors
    /// A folder is nested too deeply, so its files are not known.
    pub fn list(&self, path: &mut String, listing: &mut Listing) -> Result<(), RepoError> {
        let here = path.len();
        for Child { name, kind } in &self.children {
            if here > 0 {
                path.push('/');
            }
            path.push_str(name);
            match kind {
                Kind::Folder(folder) => folder.list(path, listing)?,
                Kind::File(ReadableFile { file: File { blob, .. }, .. }) | Kind::Unread(blob) => {
                    listing.insert(path.clone(), *blob);
                }
                Kind::TooDeep => return Err(RepoError::TooDeep { folder: path.clone(), most: DEEPEST }),
                Kind::Link(_) | Kind::Other => {}
            }
            path.truncate(here);
        }
        Ok(())
    }

    /// Adds all symbolic links below it, with the blobs of their targets. `path` is its own path, and is unchanged
    /// afterwards.
    pub fn links(&self, path: &mut String, links: &mut Vec<(String, BlobId)>) {
        let here = path.len();
        for Child { name, kind } in &self.children {
            if !matches!(kind, Kind::Link(_) | Kind::Folder(_)) {
                continue;
            }
            if here > 0 {
                path.push('/');
            }
            path.push_str(name);
            match kind {
                Kind::Link(blob) => links.push((path.clone(), *blob)),
                Kind::Folder(folder) => folder.links(path, links),
                _ => {}
            }
            path.truncate(here);
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        let named = |is_folder| self.children.binary_search_by(|child| child.order(name, is_folder)).ok();
        named(false).or_else(|| named(true))
    }
}

impl Child {
    /// Returns its position relative to another entry in git's order.
    fn order(&self, name: &str, is_folder: bool) -> Ordering {
        let (own, other) = (self.name.as_bytes(), name.as_bytes());
        let common = own.len().min(other.len());
        let next = |name: &[u8], is_folder: bool| name.get(common).copied().or(is_folder.then_some(b'/'));
        let of_next = || next(own, self.kind.is_folder()).cmp(&next(other, is_folder));
        own[..common].cmp(&other[..common]).then_with(of_next)
    }
}

impl Kind {
    fn is_folder(&self) -> bool {
        matches!(self, Kind::Folder(_))
    }

    /// Returns the blob, if this is a kustomization or a link.
    fn references(&self) -> Option<BlobId> {
        match self {
            Kind::Link(blob) => Some(*blob),
            Kind::File(readable) if readable.file.is_kustomization => Some(readable.file.blob),
            _ => None,
        }
    }
}

impl Hash for File {
    /// Hashes the blob only, which distinguishes nearly all files.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.blob.hash(state);
    }
}

impl File {
    fn of(blob: BlobId, path: &Arc<str>, field_rules: &FieldRules) -> File {
        let concerned = field_rules.rules.iter().enumerate().filter(|(_, rule)| rule.concerns(path));
        let concerned: Vec<(usize, &FieldRule)> = concerned.collect();
        let depends_on_path = concerned.iter().any(|(_, rule)| rule.depends_on_path());
        let rules = concerned.iter().map(|(index, _)| *index).collect();
        File {
            blob,
            is_kustomization: has_kustomization_name(path),
            is_chart: is_chart(path),
            is_repository_file: **path == *REPOSITORY_FILE,
            is_argo_override: is_argo_override(path),
            rules,
            path: depends_on_path.then(|| Arc::clone(path)),
        }
    }
}

/// A walk through the folders of a tip.
pub(super) struct Walk<'w> {
    clone: &'w BareClone,
    field_rules: &'w FieldRules,
    /// Files that this names are read regardless of their extension.
    paths: &'w PathFilter,
    /// The readings of files that were removed from the tree earlier.
    known: &'w HashMap<File, Option<Reading>>,
    /// The current path.
    path: String,
    depth: usize,
    /// The number of files and folders so far.
    entries: usize,
    /// True if references between files may have changed: a file was added or removed, or a kustomization or link changed.
    pub references_changed: bool,
    /// The readings of files that were removed or changed.
    pub left: Vec<(File, Option<Reading>)>,
}

/// The greatest depth of folders that are read. Nobody nests them deeper, and every level takes some of the stack.
const DEEPEST: usize = 200;

/// The number of files and folders that are read. A few kilobytes of trees that contain the same tree many times over
/// unfold to any number.
const MOST_ENTRIES: usize = 500_000;

impl<'w> Walk<'w> {
    /// Makes a walk that starts at the root.
    pub fn new(
        clone: &'w BareClone,
        field_rules: &'w FieldRules,
        paths: &'w PathFilter,
        known: &'w HashMap<File, Option<Reading>>,
    ) -> Walk<'w> {
        let (path, left) = Default::default();
        Walk { clone, field_rules, paths, known, path, depth: 0, entries: 0, references_changed: false, left }
    }

    /// Reads a folder with everything below it. Whatever has not changed since `before` is reused.
    pub fn folder(&mut self, id: TreeId, before: Option<Folder>) -> Result<Folder, RepoError> {
        let before = match before {
            Some(folder) if folder.id == id => {
                self.count(folder.entries)?;
                return Ok(folder);
            }
            before => before.map(|folder| folder.children).unwrap_or_default(),
        };
        let entries = self.clone.folder(id)?;
        let entries_before = self.entries;
        self.count(entries.len())?;
        self.references_changed |= !entries.iter().map(|entry| &entry.name).eq(before.iter().map(|child| &child.name));
        let mut before: HashMap<String, Kind> = before.into_iter().map(|child| (child.name, child.kind)).collect();
        let mut children = Vec::with_capacity(entries.len());
        let here = self.path.len();
        self.depth += 1;
        for Entry { name, kind } in entries {
            if here > 0 {
                self.path.push('/');
            }
            self.path.push_str(&name);
            let last = if before.is_empty() { None } else { before.remove(&name) };
            let last_references = last.as_ref().and_then(Kind::references);
            let kind = self.child(kind, last)?;
            self.references_changed |= kind.references() != last_references;
            children.push(Child { name, kind });
            self.path.truncate(here);
        }
        self.depth -= 1;
        before.into_values().for_each(|kind| self.forget(kind));
        Ok(Folder { id, entries: self.entries - entries_before, children })
    }

    fn count(&mut self, entries: usize) -> Result<(), RepoError> {
        self.entries += entries;
        if self.entries > MOST_ENTRIES { Err(RepoError::TooManyFiles { most: MOST_ENTRIES }) } else { Ok(()) }
    }

    /// Reads the entry at the current path.
    fn child(&mut self, entry: EntryKind, before: Option<Kind>) -> Result<Kind, RepoError> {
        let before = match (entry, before) {
            (EntryKind::File(blob), Some(Kind::File(readable))) if readable.file.blob == blob => {
                return Ok(Kind::File(readable));
            }
            (EntryKind::Folder(id), Some(Kind::Folder(before))) => {
                return self.folder(id, Some(before)).map(Kind::Folder);
            }
            (_, before) => before,
        };
        before.into_iter().for_each(|kind| self.forget(kind));
        Ok(match entry {
            EntryKind::Folder(_) if self.depth > DEEPEST => {
                tracing::warn!(path = self.path, "skipped: folders nested this deeply are not read");
                Kind::TooDeep
            }
            EntryKind::Folder(id) => Kind::Folder(self.folder(id, None)?),
            EntryKind::File(blob) if self.is_read() => {
                let path: Arc<str> = self.path.as_str().into();
                let file = File::of(blob, &path, self.field_rules);
                let reading = self.known.get(&file).cloned();
                Kind::File(ReadableFile { path, file, reading })
            }
            EntryKind::File(blob) => Kind::Unread(blob),
            EntryKind::Link(blob) => Kind::Link(blob),
            EntryKind::Other => Kind::Other,
        })
    }

    /// Returns whether the file at the current path is read.
    fn is_read(&self) -> bool {
        is_manifest_name(&self.path) || self.paths.names(&self.path) || self.field_rules.take(&self.path)
    }

    fn forget(&mut self, kind: Kind) {
        let reading = |readable: &mut ReadableFile| Some((readable.file.clone(), readable.reading.take()?));
        match kind {
            Kind::File(mut readable) => self.left.extend(reading(&mut readable)),
            Kind::Folder(mut folder) => self.left.extend(folder.files_mut().filter_map(reading)),
            Kind::Unread(_) | Kind::Link(_) | Kind::TooDeep | Kind::Other => {}
        }
    }
}
