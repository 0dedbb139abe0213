//! The tree of the last tip. Folders that did not change are not walked again, and what a file says is kept by the id of
//! its blob.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::manifest::field_rules::FieldRules;
use crate::manifest::graph::Graph;
use crate::manifest::inventory::{self, Inventory, Reading};
use crate::manifest::paths::PathFilter;
use crate::manifest::prefilter::{Need, Prefilter};
use crate::manifest::{file_references, find};
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;
use crate::repo::tree::{BlobId, TreeId};

use super::walk::{File, Folder, Listing, ReadableFile, Walk};

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
    view: View,
    /// All folders of the last tip; none after one that could not be read.
    root: Option<Folder>,
    /// What files said that are not in the tree any more: they may have moved, and what was taken back may come again.
    gone: HashMap<File, Option<Reading>>,
    /// The graph of kustomizations, as long as it holds.
    graph: Option<Arc<Graph>>,
    /// The inventory of a tree.
    inventory: Option<(TreeId, Arc<Inventory>)>,
    /// The files of a tree.
    listing: Option<(TreeId, Arc<Listing>)>,
}

/// What readings depend on besides the files.
#[derive(Debug, Clone, PartialEq)]
struct View {
    field_rules: FieldRules,
    prefilter: Prefilter,
}

impl Default for View {
    fn default() -> View {
        View { field_rules: FieldRules::default(), prefilter: Prefilter::Everything }
    }
}

impl TreeCache {
    /// Nothing is known yet. The fields of the files that `paths` wants will be told.
    pub fn new(paths: PathFilter) -> TreeCache {
        TreeCache { paths, known: Mutex::default() }
    }

    /// Returns all regular files of a tip.
    pub fn listing(&self, clone: &BareClone, tip: CommitId) -> Result<Arc<Listing>, RepoError> {
        let mut known = self.known();
        let root = clone.root(tip)?;
        if let Some((_, listing)) = known.listing.as_ref().filter(|(of, _)| *of == root) {
            return Ok(Arc::clone(listing));
        }
        let mut listing = Listing::new();
        known.walk(clone, root, &self.paths)?.list(&mut String::new(), &mut listing);
        let listing = Arc::new(listing);
        known.listing = Some((root, Arc::clone(&listing)));
        Ok(listing)
    }

    /// Returns the image fields of a tip, as far as `prefilter` goes.
    pub fn inventory(
        &self,
        clone: &BareClone,
        tip: CommitId,
        field_rules: &FieldRules,
        prefilter: &Prefilter,
    ) -> Result<Arc<Inventory>, RepoError> {
        let mut known = self.known();
        known.look_with(View { field_rules: field_rules.clone(), prefilter: prefilter.clone() });
        let root = clone.root(tip)?;
        if let Some((_, inventory)) = known.inventory.as_ref().filter(|(of, _)| *of == root) {
            return Ok(Arc::clone(inventory));
        }
        let readings = known.readings(clone, root, &self.paths)?;
        let exists = |path: &str| known.root.as_ref().is_some_and(|root| root.has(path));
        let graph = match &known.graph {
            Some(graph) => Arc::clone(graph),
            None => Arc::new(Graph::build(inventory::readable(&readings), &exists)),
        };
        let inventory = Arc::new(Inventory::of(&readings, &graph, &exists, &self.paths));
        known.graph = Some(graph);
        known.inventory = Some((root, Arc::clone(&inventory)));
        Ok(inventory)
    }

    /// What is known. Whoever panicked while it was being brought up to date left half of something behind.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|poisoned| {
            self.known.clear_poison();
            let mut known = poisoned.into_inner();
            *known = Known::default();
            known
        })
    }
}

impl Known {
    /// Drops what was made with another view.
    fn look_with(&mut self, view: View) {
        if self.view == view {
            return;
        }
        let listing = self.listing.take();
        let mut last = std::mem::replace(self, Known { view, listing, ..Known::default() });
        if last.view.field_rules == self.view.field_rules && self.view.prefilter == Prefilter::Everything {
            // What was read of files of prefilter still holds; of kustomizations it may have been a part.
            let held = last.root.iter_mut().flat_map(Folder::files_mut);
            let readings = held.filter_map(|held| Some((held.file.clone(), held.reading.take()?)));
            let is_whole = |(file, reading): &(File, Option<Reading>)| reading.is_some() && !file.is_kustomization;
            self.gone = readings.chain(last.gone).filter(is_whole).collect();
        }
    }

    /// Brings the folders up to date. When that fails, nothing is known any more of the tree or its graph.
    fn walk(&mut self, clone: &BareClone, root: TreeId, paths: &PathFilter) -> Result<&mut Folder, RepoError> {
        let mut walk = Walk::new(clone, &self.view.field_rules, paths, &self.gone);
        let graph = self.graph.take();
        let root = walk.folder(root, self.root.take())?;
        let (left, references_changed) = (walk.left, walk.references_changed);
        self.graph = graph.filter(|_| !references_changed);
        self.gone.extend(left);
        Ok(self.root.insert(root))
    }

    /// What the files of a tip say, in the order of their paths. Files that were not read yet are read now.
    fn readings(
        &mut self,
        clone: &BareClone,
        root: TreeId,
        paths: &PathFilter,
    ) -> Result<Vec<(Arc<str>, Reading)>, RepoError> {
        self.walk(clone, root, paths)?;
        let Known { view, root: Some(root), gone, .. } = self else { return Ok(Vec::new()) };
        let is_unread = |held: &&mut ReadableFile| held.reading.is_none();
        let unread: Vec<_> =
            root.files_mut().filter(is_unread).map(|held| (Arc::clone(&held.path), held.file.blob)).collect();
        let mut made = read(&unread, clone, view)?.into_iter();
        let (mut files, mut readings) = (0, Vec::new());
        for held in root.files_mut() {
            files += 1;
            // Those without a reading are those that were not read, in the same order.
            let reading = held.reading.get_or_insert_with(|| made.next().flatten());
            readings.extend(reading.as_ref().map(|reading| (Arc::clone(&held.path), Arc::clone(reading))));
        }
        if gone.len() > files + LEAST_KEPT {
            gone.clear();
        }
        Ok(readings)
    }
}

/// What files say. Those that cannot hold an image of prefilter are only searched.
fn read(files: &[(Arc<str>, BlobId)], clone: &BareClone, view: &View) -> Result<Vec<Option<Reading>>, RepoError> {
    let blobs: Vec<BlobId> = files.iter().map(|(_, blob)| *blob).collect();
    let search = view.prefilter.search();
    let made = clone.read_blobs(&blobs, |index, bytes| -> Option<Reading> {
        let path = &files[index].0;
        match search.need(path, bytes, &view.field_rules) {
            Need::Nothing => None,
            Need::FileReferences => Some(Arc::new(file_references::read_file_references(path, bytes))),
            Need::Whole => Some(Arc::new(find::read(path, bytes, &view.field_rules))),
        }
    })?;
    if !made.is_empty() {
        let parsed = made.iter().flatten().count();
        tracing::debug!(files = made.len(), parsed, "read what changed");
    }
    Ok(made)
}

/// As many readings of what is gone are kept whatever the size of the tree.
const LEAST_KEPT: usize = 1_000;
