//! The image fields of a tip. What was read once is not read again: folders are kept by the id of their tree, what a
//! file says by the id of its blob.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::manifest::conventions::Conventions;
use crate::manifest::find::{self, has_kustomization_name};
use crate::manifest::interest::Interest;
use crate::manifest::inventory::{Inventory, Reading};
use crate::manifest::kustomize::is_manifest_name;
use crate::manifest::paths::PathFilter;
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;
use crate::repo::tree::{BlobId, Entry, EntryKind, TreeId};

/// The repository's own file with policies, at its root.
pub const REPOSITORY_FILE: &str = "tagalong.yaml";

/// What is known of trees that were looked at.
#[derive(Debug, Default)]
pub struct TreeCache {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// What the readings were made with.
    conventions: Conventions,
    interest: Option<Interest>,
    folders: HashMap<TreeId, Arc<[Entry]>>,
    /// What files say; `None` for those that cannot hold an image of interest.
    readings: HashMap<File, Option<Reading>>,
}

/// A file, as far as what it says depends on it: its bytes, and as little of its path as matters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct File {
    blob: BlobId,
    is_kustomization: bool,
    /// Which rules concern it.
    rules: Vec<usize>,
}

impl TreeCache {
    /// Takes stock of a tip, as far as `interest` goes.
    pub fn inventory(
        &self,
        clone: &BareClone,
        tip: CommitId,
        paths: &PathFilter,
        conventions: &Conventions,
        interest: &Interest,
    ) -> Result<Inventory, RepoError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.prepare(conventions, interest);
        let mut all_paths = HashSet::new();
        let mut files: Vec<(String, File)> = Vec::new();
        let mut open = vec![(String::new(), clone.root(tip)?)];
        while let Some((folder, id)) = open.pop() {
            for Entry { name, kind } in known.folder(clone, id)?.iter() {
                let path = format!("{folder}{name}");
                match kind {
                    EntryKind::Folder(id) => open.push((format!("{path}/"), *id)),
                    EntryKind::File(blob) if is_manifest_name(name) || paths.names(&path) => {
                        files.push((path.clone(), File::of(*blob, &path, conventions)));
                    }
                    EntryKind::File(_) | EntryKind::Other => {}
                }
                all_paths.insert(path);
            }
        }
        known.read(clone, &files, conventions, interest)?;
        let reading =
            |(path, file): &(String, File)| Some((path.clone(), Arc::clone(known.readings.get(file)?.as_ref()?)));
        let mut readings: Vec<(String, Reading)> = files.iter().filter_map(reading).collect();
        readings.sort_by(|a, b| a.0.cmp(&b.0));
        let inventory = Inventory::of(&readings, &|path| all_paths.contains(path), paths);
        known.forget_what_is_gone(&files);
        Ok(inventory)
    }
}

/// As many readings are kept whatever the size of the tree.
const LEAST_KEPT: usize = 1_000;

impl File {
    fn of(blob: BlobId, path: &str, conventions: &Conventions) -> File {
        let concerned = conventions.rules.iter().enumerate().filter(|(_, rule)| rule.concerns(path));
        let rules = concerned.map(|(index, _)| index).collect();
        File { blob, is_kustomization: has_kustomization_name(path), rules }
    }
}

impl Known {
    /// Drops what was made with other conventions, and looks again at what was of no interest.
    fn prepare(&mut self, conventions: &Conventions, interest: &Interest) {
        if self.conventions != *conventions {
            self.readings.clear();
            self.conventions = conventions.clone();
        }
        if self.interest.as_ref() != Some(interest) {
            self.readings.retain(|_, reading| reading.is_some());
            self.interest = Some(interest.clone());
        }
    }

    fn folder(&mut self, clone: &BareClone, id: TreeId) -> Result<Arc<[Entry]>, RepoError> {
        if let Some(entries) = self.folders.get(&id) {
            return Ok(Arc::clone(entries));
        }
        let entries: Arc<[Entry]> = clone.folder(id)?.into();
        self.folders.insert(id, Arc::clone(&entries));
        Ok(entries)
    }

    /// Reads the files that were not read yet.
    fn read(
        &mut self,
        clone: &BareClone,
        files: &[(String, File)],
        conventions: &Conventions,
        interest: &Interest,
    ) -> Result<(), RepoError> {
        let mut fresh = HashSet::new();
        let unread: Vec<&(String, File)> =
            files.iter().filter(|(_, file)| !self.readings.contains_key(file) && fresh.insert(file)).collect();
        if unread.is_empty() {
            return Ok(());
        }
        let blobs: Vec<BlobId> = unread.iter().map(|(_, file)| file.blob).collect();
        let search = interest.search();
        let readings = clone.read_blobs(&blobs, |index, bytes| -> Option<Reading> {
            let path = &unread[index].0;
            search.wants(path, bytes, conventions).then(|| Arc::new(find::read(path, bytes, conventions)))
        })?;
        tracing::debug!(
            files = unread.len(),
            parsed = readings.iter().filter(|reading| reading.is_some()).count(),
            "read what changed"
        );
        self.readings.extend(unread.into_iter().map(|(_, file)| file.clone()).zip(readings));
        Ok(())
    }

    /// Forgets what this tip does not need, once that is more than what it does: everything can be read again.
    fn forget_what_is_gone(&mut self, files: &[(String, File)]) {
        if self.readings.len() > 2 * files.len() + LEAST_KEPT {
            let needed: HashSet<&File> = files.iter().map(|(_, file)| file).collect();
            self.readings.retain(|file, _| needed.contains(file));
            self.folders.clear();
        }
    }
}
