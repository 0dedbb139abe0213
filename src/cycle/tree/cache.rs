//! The tree of the last tip. Unchanged folders are not walked again, and the reading of a file is kept by the ID of its
//! blob.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::manifest::field_rules::FieldRules;
use crate::manifest::graph::Graph;
use crate::manifest::inventory::{self, Inventory, Reading};
use crate::manifest::paths::PathFilter;
use crate::manifest::prefilter::{Need, Prefilter};
use crate::manifest::{file_references, find};
use crate::path::Links;
use crate::progress::Counter;
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;
use crate::repo::tree::{BlobId, Content, TreeId};
use crate::yaml::node::ScanError;

use super::walk::{File, Folder, Listing, ReadableFile, Walk};

/// The cache of the last tree.
#[derive(Debug)]
pub struct TreeCache {
    paths: PathFilter,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The rules that the readings were made with.
    reading_rules: ReadingRules,
    /// All folders of the last tip; none if it could not be read.
    root: Option<Folder>,
    /// The readings of files that are no longer in the tree: they may have moved, or a revert may restore them.
    gone: HashMap<File, Option<Reading>>,
    /// The graph of kustomizations, as long as it is valid.
    graph: Option<Arc<Graph>>,
    /// The inventory of a tree.
    inventory: Option<(TreeId, Arc<Inventory>)>,
    /// The files of a tree.
    listing: Option<(TreeId, Arc<Listing>)>,
    /// The symbolic links of a tree.
    links: Option<(TreeId, Arc<Links>)>,
}

/// The inputs of readings apart from the files.
#[derive(Debug, Clone, PartialEq)]
struct ReadingRules {
    field_rules: FieldRules,
    prefilter: Prefilter,
}

impl Default for ReadingRules {
    fn default() -> ReadingRules {
        ReadingRules { field_rules: FieldRules::default(), prefilter: Prefilter::Everything }
    }
}

impl TreeCache {
    /// Makes an empty cache for the files that `paths` selects.
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
        known.walk(clone, root, &self.paths)?.list(&mut String::new(), &mut listing)?;
        let listing = Arc::new(listing);
        known.listing = Some((root, Arc::clone(&listing)));
        Ok(listing)
    }

    /// Returns all symbolic links of a tip.
    pub fn links(&self, clone: &BareClone, tip: CommitId) -> Result<Arc<Links>, RepoError> {
        let root = clone.root(tip)?;
        self.known().links(clone, root, &self.paths)
    }

    /// Returns the image fields of a tip that `prefilter` lets through.
    pub fn inventory(
        &self,
        clone: &BareClone,
        tip: CommitId,
        field_rules: &FieldRules,
        prefilter: &Prefilter,
    ) -> Result<Arc<Inventory>, RepoError> {
        let mut known = self.known();
        known.use_rules(ReadingRules { field_rules: field_rules.clone(), prefilter: prefilter.clone() });
        let root = clone.root(tip)?;
        if let Some((_, inventory)) = known.inventory.as_ref().filter(|(of, _)| *of == root) {
            return Ok(Arc::clone(inventory));
        }
        let readings = known.readings(clone, root, &self.paths)?;
        let links = known.links(clone, root, &self.paths)?;
        let exists = |path: &str| known.root.as_ref().is_some_and(|root| root.has(path));
        let graph = match &known.graph {
            Some(graph) => Arc::clone(graph),
            None => Arc::new(Graph::build(inventory::readable(&readings), &exists, &links)),
        };
        let inventory = Arc::new(Inventory::of(&readings, &graph, &exists, &self.paths));
        known.graph = Some(graph);
        known.inventory = Some((root, Arc::clone(&inventory)));
        Ok(inventory)
    }

    /// Returns the known state. A panic during an update leaves it incomplete, so it is then cleared.
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
    /// Drops readings that were made with other rules.
    fn use_rules(&mut self, reading_rules: ReadingRules) {
        if self.reading_rules == reading_rules {
            return;
        }
        let listing = self.listing.take();
        let mut last = std::mem::replace(self, Known { reading_rules, listing, ..Known::default() });
        if last.reading_rules.field_rules == self.reading_rules.field_rules
            && self.reading_rules.prefilter == Prefilter::Everything
        {
            // Readings of prefiltered files are still valid, but those of kustomizations may be partial.
            let readable = last.root.iter_mut().flat_map(Folder::files_mut);
            let readings = readable.filter_map(|readable| Some((readable.file.clone(), readable.reading.take()?)));
            let is_whole = |(file, reading): &(File, Option<Reading>)| reading.is_some() && !file.is_kustomization;
            self.gone = readings.chain(last.gone).filter(is_whole).collect();
        }
    }

    /// Updates the folders. If that fails, the tree and its graph are unknown.
    fn walk(&mut self, clone: &BareClone, root: TreeId, paths: &PathFilter) -> Result<&mut Folder, RepoError> {
        let mut walk = Walk::new(clone, &self.reading_rules.field_rules, paths, &self.gone);
        let graph = self.graph.take();
        let root = walk.folder(root, self.root.take())?;
        let (left, references_changed) = (walk.left, walk.references_changed);
        self.graph = graph.filter(|_| !references_changed);
        self.gone.extend(left);
        Ok(self.root.insert(root))
    }

    /// Returns the symbolic links of a tree.
    fn links(&mut self, clone: &BareClone, root: TreeId, paths: &PathFilter) -> Result<Arc<Links>, RepoError> {
        if let Some((_, links)) = self.links.as_ref().filter(|(of, _)| *of == root) {
            return Ok(Arc::clone(links));
        }
        let mut found = Vec::new();
        self.walk(clone, root, paths)?.links(&mut String::new(), &mut found);
        let blobs: Vec<BlobId> = found.iter().map(|(_, blob)| *blob).collect();
        let targets = clone.read_blobs(&blobs, |_, content| target(content))?;
        let links = Arc::new(Links::new(found.into_iter().map(|(path, _)| path).zip(targets)));
        self.links = Some((root, Arc::clone(&links)));
        Ok(links)
    }

    /// Returns the readings of a tip's files, in the order of their paths. Files that were not read yet are read now.
    fn readings(
        &mut self,
        clone: &BareClone,
        root: TreeId,
        paths: &PathFilter,
    ) -> Result<Vec<(Arc<str>, Reading)>, RepoError> {
        self.walk(clone, root, paths)?;
        let Known { reading_rules, root: Some(root), gone, .. } = self else { return Ok(Vec::new()) };
        let is_unread = |readable: &&mut ReadableFile| readable.reading.is_none();
        let unread: Vec<_> = root
            .files_mut()
            .filter(is_unread)
            .map(|readable| (Arc::clone(&readable.path), readable.file.blob))
            .collect();
        let mut new_readings = read(&unread, clone, reading_rules)?.into_iter();
        let (mut files, mut readings) = (0, Vec::new());
        for readable in root.files_mut() {
            files += 1;
            // Files without a reading are those that were read just now, in the same order.
            let reading = readable.reading.get_or_insert_with(|| new_readings.next().flatten());
            readings.extend(reading.as_ref().map(|reading| (Arc::clone(&readable.path), Arc::clone(reading))));
        }
        if gone.len() > files + LEAST_KEPT {
            gone.clear();
        }
        Ok(readings)
    }
}

/// Returns the target of a link. One that no system would follow leads out of the tree.
fn target(content: Content<'_>) -> String {
    let Content::Bytes(bytes) = content else { return "/".to_owned() };
    let target = std::str::from_utf8(bytes).ok().filter(|target| target.len() <= LONGEST_TARGET);
    target.unwrap_or("/").to_owned()
}

/// The most bytes of a path, as on Linux.
const LONGEST_TARGET: usize = 4_096;

/// Reads files. Those that cannot contain an image of the prefilter are only searched.
fn read(
    files: &[(Arc<str>, BlobId)],
    clone: &BareClone,
    reading_rules: &ReadingRules,
) -> Result<Vec<Option<Reading>>, RepoError> {
    let blobs: Vec<BlobId> = files.iter().map(|(_, blob)| *blob).collect();
    let search = reading_rules.prefilter.search();
    let progress = Counter::new("changed files", blobs.len());
    let new_readings = clone.read_blobs(&blobs, |index, content| -> Option<Reading> {
        progress.advance();
        let path = &files[index].0;
        let bytes = match content {
            Content::Bytes(bytes) => bytes,
            Content::TooLarge(size) => return Some(Arc::new(Err(ScanError::TooLarge { size }))),
        };
        match search.need(path, bytes, &reading_rules.field_rules) {
            Need::Nothing => None,
            Need::FileReferences => Some(Arc::new(file_references::read_file_references(path, bytes))),
            Need::Whole => Some(Arc::new(find::read(path, bytes, &reading_rules.field_rules))),
        }
    })?;
    if !new_readings.is_empty() {
        let parsed = new_readings.iter().flatten().count();
        tracing::debug!(files = new_readings.len(), parsed, "read changed files");
    }
    Ok(new_readings)
}

/// The number of readings of removed files that are kept regardless of the size of the tree.
const LEAST_KEPT: usize = 1_000;
