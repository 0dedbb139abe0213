//! The image fields of a tip. What was read once is not read again: folders that did not change are not walked again,
//! and what a file says is kept by the id of its blob.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::manifest::conventions::Conventions;
use crate::manifest::find::{self, has_kustomization_name, ties};
use crate::manifest::interest::{Interest, Need};
use crate::manifest::inventory::{self, Inventory, Reading};
use crate::manifest::kustomize::{Graph, is_manifest_name};
use crate::manifest::paths::PathFilter;
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;
use crate::repo::tree::{BlobId, Entry, EntryKind, TreeId};

/// The repository's own file with policies, at its root.
pub const REPOSITORY_FILE: &str = "tagalong.yaml";

/// What is known of the tree that was looked at last.
#[derive(Debug)]
pub struct TreeCache {
    paths: PathFilter,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// What the readings were made with.
    view: Option<View>,
    /// All folders of the last tip, by path.
    folders: HashMap<String, Folder>,
    /// What files say; `None` for those that cannot hold an image of interest.
    readings: HashMap<File, Option<Reading>>,
    /// The graph of kustomizations, as long as it holds.
    graph: Option<Arc<Graph>>,
    /// What the last look came to.
    inventory: Option<(TreeId, Arc<Inventory>)>,
}

/// What readings depend on besides the files.
#[derive(Debug, Clone, PartialEq)]
struct View {
    conventions: Conventions,
    interest: Interest,
}

/// A folder.
#[derive(Debug)]
struct Folder {
    id: TreeId,
    /// The names in it, sorted.
    names: Vec<String>,
    /// Its folders, and the files in it that are read.
    folders: Vec<(String, TreeId)>,
    files: Vec<Held>,
}

/// A file in a folder.
#[derive(Debug)]
struct Held {
    path: Arc<str>,
    file: File,
    /// What it says, once that is known.
    reading: Option<Option<Reading>>,
}

/// A file, as far as what it says depends on it: its bytes, and as little of its path as matters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct File {
    blob: BlobId,
    is_kustomization: bool,
    /// Which rules concern it.
    rules: Vec<usize>,
}

impl TreeCache {
    /// Nothing is known yet. The fields of the files that `paths` wants will be told.
    pub fn new(paths: PathFilter) -> TreeCache {
        TreeCache { paths, known: Mutex::default() }
    }

    /// Takes stock of a tip, as far as `interest` goes.
    pub fn inventory(
        &self,
        clone: &BareClone,
        tip: CommitId,
        conventions: &Conventions,
        interest: &Interest,
    ) -> Result<Arc<Inventory>, RepoError> {
        let mut known = self.known();
        known.look_with(View { conventions: conventions.clone(), interest: interest.clone() });
        let root = clone.root(tip)?;
        if let Some((_, inventory)) = known.inventory.as_ref().filter(|(of, _)| *of == root) {
            return Ok(Arc::clone(inventory));
        }
        if let Err(error) = known.walk(clone, root, &self.paths) {
            // Half a walk would pass for a whole one.
            known.folders.clear();
            return Err(error);
        }
        let readings = known.readings(clone)?;
        let exists = |path: &str| known.exists(path);
        let graph = match &known.graph {
            Some(graph) => Arc::clone(graph),
            None => Arc::new(Graph::build(inventory::readable(&readings), &exists)),
        };
        let inventory = Arc::new(Inventory::of(&readings, &graph, &exists, &self.paths));
        known.graph = Some(graph);
        known.inventory = Some((root, Arc::clone(&inventory)));
        Ok(inventory)
    }

    /// What is known. Whoever panicked while it was being brought up to date left half a walk behind, which would pass
    /// for a whole one.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|poisoned| {
            self.known.clear_poison();
            let mut known = poisoned.into_inner();
            *known = Known::default();
            known
        })
    }
}

impl File {
    fn of(blob: BlobId, path: &str, conventions: &Conventions) -> File {
        let concerned = conventions.rules.iter().enumerate().filter(|(_, rule)| rule.concerns(path));
        let rules = concerned.map(|(index, _)| index).collect();
        File { blob, is_kustomization: has_kustomization_name(path), rules }
    }
}

impl Known {
    /// Drops what was made with another view.
    fn look_with(&mut self, view: View) {
        let last = self.view.replace(view);
        let (Some(last), Some(view)) = (last, &self.view) else { return };
        if last == *view {
            return;
        }
        self.inventory = None;
        if last.conventions == view.conventions && view.interest == Interest::Everything {
            // Only what was of no interest has to be looked at again, and that of which only a part may have been.
            self.readings.retain(|file, reading| reading.is_some() && !file.is_kustomization);
            let held = self.folders.values_mut().flat_map(|folder| &mut folder.files);
            let is_partly_read = |held: &&mut Held| held.reading == Some(None) || held.file.is_kustomization;
            held.filter(is_partly_read).for_each(|held| held.reading = None);
        } else {
            self.graph = None;
            self.readings.clear();
            self.folders.clear();
        }
    }

    /// Brings the folders up to date. Below one whose id is the same nothing has changed.
    fn walk(&mut self, clone: &BareClone, root: TreeId, paths: &PathFilter) -> Result<(), RepoError> {
        let conventions = self.view.as_ref().map(|view| view.conventions.clone()).unwrap_or_default();
        let mut open = vec![(String::new(), root)];
        while let Some((path, id)) = open.pop() {
            let before = self.folders.get(&path);
            if before.is_some_and(|before| before.id == id) {
                continue;
            }
            let folder = Folder::of(clone.folder(id)?, id, &path, &conventions, paths);
            let gone = before.map(|before| {
                let stays = |name: &str| folder.folders.iter().any(|(other, _)| other == name);
                before
                    .folders
                    .iter()
                    .map(|(name, _)| name)
                    .filter(|name| !stays(name))
                    .map(|name| join(&path, name))
                    .collect()
            });
            if !before.is_some_and(|before| before.ties_like(&folder)) {
                self.graph = None;
            }
            self.forget(gone.unwrap_or_default());
            open.extend(folder.folders.iter().map(|(name, id)| (join(&path, name), *id)));
            self.folders.insert(path, folder);
        }
        Ok(())
    }

    /// Forgets folders with all below them.
    fn forget(&mut self, mut gone: Vec<String>) {
        while let Some(path) = gone.pop() {
            if let Some(folder) = self.folders.remove(&path) {
                gone.extend(folder.folders.iter().map(|(name, _)| join(&path, name)));
            }
        }
    }

    /// What the files of all folders say, in the order of their paths. Files that were not read yet are read now.
    fn readings(&mut self, clone: &BareClone) -> Result<Vec<(Arc<str>, Reading)>, RepoError> {
        self.settle();
        let mut fresh = HashSet::new();
        let unread = self.held().filter(|held| held.reading.is_none() && fresh.insert(&held.file));
        let mut unread: Vec<(&Arc<str>, &File)> = unread.map(|held| (&held.path, &held.file)).collect();
        if let (false, Some(view)) = (unread.is_empty(), &self.view) {
            // Neighbours in the tree are neighbours in a pack.
            unread.sort_unstable();
            let blobs: Vec<BlobId> = unread.iter().map(|(_, file)| file.blob).collect();
            let search = view.interest.search();
            let made = clone.read_blobs(&blobs, |index, bytes| -> Option<Reading> {
                let path = unread[index].0;
                match search.need(path, bytes, &view.conventions) {
                    Need::Nothing => None,
                    Need::Ties => Some(Arc::new(ties::read_ties(path, bytes))),
                    Need::Whole => Some(Arc::new(find::read(path, bytes, &view.conventions))),
                }
            })?;
            let parsed = made.iter().flatten().count();
            tracing::debug!(files = unread.len(), parsed, "read what changed");
            let made: Vec<(File, Option<Reading>)> =
                unread.into_iter().map(|(_, file)| file.clone()).zip(made).collect();
            self.readings.extend(made);
            self.settle();
        }
        let reading = |held: &Held| Some((Arc::clone(&held.path), Arc::clone(held.reading.as_ref()?.as_ref()?)));
        let mut readings: Vec<(Arc<str>, Reading)> = self.held().filter_map(reading).collect();
        readings.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        self.forget_readings();
        Ok(readings)
    }

    fn held(&self) -> impl Iterator<Item = &Held> {
        self.folders.values().flat_map(|folder| &folder.files)
    }

    /// Gives files the readings that are known.
    fn settle(&mut self) {
        let held = self.folders.values_mut().flat_map(|folder| &mut folder.files);
        for held in held.filter(|held| held.reading.is_none()) {
            held.reading = self.readings.get(&held.file).cloned();
        }
    }

    /// Forgets what this tip does not need, once that is more than what it does: everything can be read again.
    fn forget_readings(&mut self) {
        let files: usize = self.folders.values().map(|folder| folder.files.len()).sum();
        if self.readings.len() > 2 * files + LEAST_KEPT {
            let needed: HashSet<&File> =
                self.folders.values().flat_map(|folder| &folder.files).map(|held| &held.file).collect();
            self.readings.retain(|file, _| needed.contains(file));
        }
    }

    /// Whether there is a file or folder at a path.
    fn exists(&self, path: &str) -> bool {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = self.folders.get(folder);
        folder.is_some_and(|folder| folder.names.binary_search_by(|other| other.as_str().cmp(name)).is_ok())
    }
}

/// As many readings are kept whatever the size of the tree.
const LEAST_KEPT: usize = 1_000;

impl Folder {
    /// Whether another state of this folder ties the tree together in the same way.
    fn ties_like(&self, other: &Folder) -> bool {
        let kustomizations = |folder: &Folder| -> Vec<BlobId> {
            folder.files.iter().filter(|held| held.file.is_kustomization).map(|held| held.file.blob).collect()
        };
        self.names == other.names && kustomizations(self) == kustomizations(other)
    }

    fn of(entries: Vec<Entry>, id: TreeId, path: &str, conventions: &Conventions, paths: &PathFilter) -> Folder {
        let mut folder = Folder { id, names: Vec::new(), folders: Vec::new(), files: Vec::new() };
        for Entry { name, kind } in entries {
            match kind {
                EntryKind::Folder(id) => folder.folders.push((name.clone(), id)),
                EntryKind::File(blob) => {
                    let path = join(path, &name);
                    if is_manifest_name(&name) || paths.names(&path) {
                        let file = File::of(blob, &path, conventions);
                        folder.files.push(Held { path: path.into(), file, reading: None });
                    }
                }
                EntryKind::Other => {}
            }
            folder.names.push(name);
        }
        folder.names.sort_unstable();
        folder
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
