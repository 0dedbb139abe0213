//! What is kept of findings from one cycle to the next. While a registry lists the same tags, and policies and fields are
//! the same, what follows for the fields is the same: it costs one request and nothing per tag.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::image::{Repository, Tag, Version};
use crate::plan::findings::NoFindings;
use crate::plan::findings::{Findings, Settled};
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::integrity::PartCache;
use crate::registry::listing::Fingerprint;

use super::scan_notes::ScanNotes;
use super::validity::{Presence, Validity};

/// What is kept of the scan of a repository.
#[derive(Debug)]
pub struct Entry {
    /// The listing that it was made of.
    pub fingerprint: Fingerprint,
    result: Result<Arc<Settled>, NoFindings>,
    scan_notes: ScanNotes,
    validity: Validity,
}

impl Entry {
    /// What it says.
    pub fn findings(&self) -> (Result<Findings, NoFindings>, ScanNotes) {
        (self.result.clone().map(Findings::Settled), self.scan_notes.clone())
    }

    /// Whether everything that the listing does not tell is as it was. That is asked of the registry.
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

/// What is kept of all findings.
#[derive(Debug, Default)]
pub struct FindingsCache(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What the repository's own file says, which may hold policies.
    file: Option<Vec<u8>>,
    entries: HashMap<Repository, Arc<Entry>>,
    /// The pass in which each repository was asked for last.
    asked: HashMap<Repository, u64>,
    pass: u64,
}

impl FindingsCache {
    /// Begins a cycle under the policies that come of the repository's own file; gives whether they are the same as before.
    /// Else nothing that was kept counts any more.
    pub fn begin(&self, file: Option<Vec<u8>>) -> bool {
        let mut state = self.state();
        state.pass += 1;
        let is_same = state.file == file;
        if !is_same {
            state.entries.clear();
            state.file = file;
        }
        is_same
    }

    /// What is kept of a repository, where it tells what follows for fields that hold these tags.
    pub fn get(&self, repository: &Repository, held: &BTreeSet<&Tag>, now: Timestamp) -> Option<Arc<Entry>> {
        let entry = Arc::clone(self.state().entries.get(repository)?);
        let tells = match &entry.result {
            Ok(settled) => settled.tells_of(held),
            Err(_) => true,
        };
        let is_ripe = entry.validity.has_ended(now);
        (tells && !is_ripe).then_some(entry)
    }

    /// Keeps what a scan came to, if it is good for longer than this cycle.
    pub fn put(
        &self,
        repository: &Repository,
        fingerprint: Fingerprint,
        result: &Result<Findings, NoFindings>,
        scan_notes: &ScanNotes,
        validity: Validity,
    ) {
        let result = match result {
            Ok(Findings::Settled(settled)) => Some(Ok(Arc::clone(settled))),
            Ok(Findings::Whole(_)) => None,
            Err(no) => Some(Err(no.clone())),
        };
        let mut state = self.state();
        match result.filter(|_| validity.outlasts_cycle()) {
            Some(result) => {
                let entry = Entry { fingerprint, result, scan_notes: scan_notes.clone(), validity };
                state.entries.insert(repository.clone(), Arc::new(entry));
            }
            None => drop(state.entries.remove(repository)),
        }
    }

    /// Notes that a repository was asked for in this cycle.
    pub fn note_asked(&self, repository: &Repository) {
        let mut state = self.state();
        let pass = state.pass;
        state.asked.insert(repository.clone(), pass);
    }

    /// The pass in which a repository was asked for last.
    pub fn asked(&self, repository: &Repository) -> u64 {
        self.state().asked.get(repository).copied().unwrap_or_default()
    }

    /// Lets go of repositories that are not followed any more.
    pub fn keep_only(&self, is_followed: impl Fn(&Repository) -> bool) {
        let mut state = self.state();
        state.entries.retain(|repository, _| is_followed(repository));
        state.asked.retain(|repository, _| is_followed(repository));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
