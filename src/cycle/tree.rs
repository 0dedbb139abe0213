//! The image fields of a tip. A blob that was read once is not read again: its facts are kept by its id.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::manifest::find::{self, has_kustomization_name};
use crate::manifest::inventory::{Inventory, Reading};
use crate::manifest::kustomize::is_manifest_name;
use crate::manifest::paths::PathFilter;
use crate::repo::clone::{BareClone, BlobId, CommitId};
use crate::repo::error::RepoError;

/// The repository's own file with policies, at its root.
pub const REPOSITORY_FILE: &str = "tagalong.yaml";

/// The facts of blobs, by id. The name matters only as far as it makes a file a kustomization.
#[derive(Debug, Default)]
pub struct FactsCache {
    readings: Mutex<HashMap<(BlobId, bool), Reading>>,
}

impl FactsCache {
    /// Takes stock of a tip. What is not part of this tip any more is forgotten, so the cache is never larger than one
    /// tree.
    pub fn inventory(&self, clone: &BareClone, tip: CommitId, paths: &PathFilter) -> Result<Inventory, RepoError> {
        let entries = clone.entries(tip)?;
        let mut known = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut current = HashMap::new();
        let mut files: Vec<(String, Reading)> = Vec::new();
        let mut all_paths = BTreeSet::new();
        for entry in entries {
            if let Some(blob) = entry.blob.filter(|_| is_manifest_name(&entry.path)) {
                let key = (blob, has_kustomization_name(&entry.path));
                let reading = match known.get(&key).or_else(|| current.get(&key)) {
                    Some(reading) => Arc::clone(reading),
                    None => Arc::new(find::read(&entry.path, &clone.blob(blob)?)),
                };
                current.insert(key, Arc::clone(&reading));
                files.push((entry.path.clone(), reading));
            }
            all_paths.insert(entry.path);
        }
        *known = current;
        files.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Inventory::of(&files, &all_paths, paths))
    }
}
