//! The findings that are kept from one cycle to the next. While a registry lists the same tags, and policies and fields
//! are the same, the choices for fields are the same: that costs one request per image, and nothing per tag.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use crate::image::{Repository, Tag, Version};
use crate::plan::findings::NoFindings;
use crate::plan::findings::{Choices, Findings};
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::integrity::PartCache;
use crate::registry::listing::Fingerprint;

use super::scan_notes::ScanNotes;
use super::validity::{Presence, Validity};

/// The cached findings of one repository.
#[derive(Debug)]
pub struct CachedFindings {
    /// The fingerprint of the listing that they were made from.
    pub fingerprint: Fingerprint,
    result: Result<Arc<Choices>, NoFindings>,
    scan_notes: ScanNotes,
    validity: Validity,
}

impl CachedFindings {
    /// Returns the findings.
    pub fn findings(&self) -> (Result<Findings, NoFindings>, ScanNotes) {
        (self.result.clone().map(Findings::Choices), self.scan_notes.clone())
    }

    /// Queries the registry, and returns whether everything that the listing does not show is unchanged.
    pub async fn holds(
        &self,
        registry: &Client,
        repository: &Repository,
        part_cache: &PartCache,
    ) -> Result<bool, RegistryError> {
        for (tag, before) in self.validity.conditions() {
            let version = Version::from(tag.clone());
            let now = match before {
                Presence::There | Presence::Gone => registry.digest(repository, &version).await.map(drop),
                Presence::Broken(_) => registry.inspect(repository, &version, part_cache).await.map(drop),
            };
            let now = match now {
                Ok(()) => Presence::There,
                Err(error) if error.is_not_found() => Presence::Gone,
                Err(error) if error.concerns_image() => Presence::Broken(error.to_string()),
                Err(error) => return Err(error),
            };
            if now != *before {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The cached findings of all repositories.
#[derive(Debug, Default)]
pub struct FindingsCache(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The repository's own file, which may contain policies.
    file: Option<Vec<u8>>,
    entries: HashMap<Repository, Arc<CachedFindings>>,
    /// The cycle in which each repository was queried last.
    queried: HashMap<Repository, u64>,
    cycle: u64,
}

impl FindingsCache {
    /// Begins a cycle with the repository's own file. Returns whether the file is unchanged; otherwise the cache is
    /// cleared.
    pub fn begin(&self, file: Option<Vec<u8>>) -> bool {
        let mut state = self.state();
        state.cycle += 1;
        let is_same = state.file == file;
        if !is_same {
            state.entries.clear();
            state.file = file;
        }
        is_same
    }

    /// Returns the cached findings of a repository, if they have choices for these current tags.
    pub fn get(
        &self,
        repository: &Repository,
        current: &BTreeSet<&Tag>,
        now: Timestamp,
    ) -> Option<Arc<CachedFindings>> {
        let entry = Arc::clone(self.state().entries.get(repository)?);
        let tells = match &entry.result {
            Ok(choices) => choices.covers(current),
            Err(_) => true,
        };
        let is_ripe = entry.validity.has_ended(now);
        (tells && !is_ripe).then_some(entry)
    }

    /// Caches the result of a scan, if it is valid beyond this cycle.
    pub fn put(
        &self,
        repository: &Repository,
        fingerprint: Fingerprint,
        result: &Result<Findings, NoFindings>,
        scan_notes: &ScanNotes,
        validity: Validity,
    ) {
        let result = match result {
            Ok(Findings::Choices(choices)) => Some(Ok(Arc::clone(choices))),
            Ok(Findings::AllTags(_)) => None,
            Err(no) => Some(Err(no.clone())),
        };
        let mut state = self.state();
        match result.filter(|_| validity.outlasts_cycle()) {
            Some(result) => {
                let entry = CachedFindings { fingerprint, result, scan_notes: scan_notes.clone(), validity };
                state.entries.insert(repository.clone(), Arc::new(entry));
            }
            None => drop(state.entries.remove(repository)),
        }
    }

    /// Records that a repository is queried in this cycle.
    pub fn note_query(&self, repository: &Repository) {
        let mut state = self.state();
        let cycle = state.cycle;
        state.queried.insert(repository.clone(), cycle);
    }

    /// Returns the cycle in which a repository was queried last.
    pub fn last_queried(&self, repository: &Repository) -> u64 {
        self.state().queried.get(repository).copied().unwrap_or_default()
    }

    /// Removes repositories that are no longer followed.
    pub fn keep_only(&self, is_followed: impl Fn(&Repository) -> bool) {
        let mut state = self.state();
        state.entries.retain(|repository, _| is_followed(repository));
        state.queried.retain(|repository, _| is_followed(repository));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}
