//! What is kept of surveys from one cycle to the next. While a registry lists the same tags, and policies and fields are
//! the same, what follows for the fields is the same: it costs one request and nothing per tag.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::image::{Repository, Tag, Version};
use crate::plan::decide::NoSurvey;
use crate::plan::findings::{Findings, Settled};
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::integrity::PartCache;
use crate::registry::listing::Fingerprint;

use super::scan::Aside;

/// What was asked for by name, because a listing does not tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It was there.
    There,
    /// It was not there.
    Gone,
    /// Its image was too broken to tell when it was built.
    Broken(String),
}

/// How long a survey is good for while the registry lists the same tags.
#[derive(Debug, Clone, Default)]
pub struct Lasting {
    is_over: bool,
    until: Option<Timestamp>,
    as_long_as: Vec<(Tag, Found)>,
}

impl Lasting {
    /// It is good for this pass only.
    pub fn is_over(&mut self) {
        self.is_over = true;
    }

    /// Whether it is good for longer than this pass.
    pub fn lasts(&self) -> bool {
        !self.is_over
    }

    /// It is good until then at most.
    pub fn until(&mut self, at: Option<Timestamp>) {
        self.until = self.until.into_iter().chain(at).min();
    }

    /// It is good as long as a tag is found as it was this time.
    pub fn as_long_as(&mut self, tag: Tag, found: Found) {
        self.as_long_as.push((tag, found));
    }
}

/// What is kept of the survey of a repository.
#[derive(Debug)]
pub struct Entry {
    /// The listing that it was made of.
    pub fingerprint: Fingerprint,
    result: Result<Arc<Settled>, NoSurvey>,
    aside: Aside,
    lasting: Lasting,
}

impl Entry {
    /// What it says.
    pub fn findings(&self) -> (Result<Findings, NoSurvey>, Aside) {
        (self.result.clone().map(Findings::Settled), self.aside.clone())
    }

    /// Whether everything that the listing does not tell is as it was. That is asked of the registry.
    pub async fn holds(
        &self,
        registry: &Client,
        repository: &Repository,
        part_cache: &PartCache,
    ) -> Result<bool, RegistryError> {
        for (tag, before) in &self.lasting.as_long_as {
            let version = Version { tag: Some(tag.clone()), digest: None };
            let now = match before {
                Found::There | Found::Gone => registry.digest(repository, &version).await.map(drop),
                Found::Broken(_) => registry.inspect(repository, &version, part_cache).await.map(drop),
            };
            let now = match now {
                Ok(()) => Found::There,
                Err(error) if error.is_not_found() => Found::Gone,
                Err(error) if error.concerns_image() => Found::Broken(error.to_string()),
                Err(error) => return Err(error),
            };
            if now != *before {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What is kept of all surveys.
#[derive(Debug, Default)]
pub struct Kept(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What the repository's own file says, which may hold policies.
    file: Option<Vec<u8>>,
    entries: HashMap<Repository, Arc<Entry>>,
    /// The pass in which each repository was asked for last.
    asked: HashMap<Repository, u64>,
    pass: u64,
}

impl Kept {
    /// Begins a pass under the policies that come of the repository's own file; gives whether they are the same as before.
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
        let is_ripe = entry.lasting.until.is_some_and(|until| until <= now);
        (tells && !is_ripe).then_some(entry)
    }

    /// Keeps what a survey came to, if it is good for longer than this pass.
    pub fn put(
        &self,
        repository: &Repository,
        fingerprint: Fingerprint,
        result: &Result<Findings, NoSurvey>,
        aside: &Aside,
        lasting: Lasting,
    ) {
        let result = match result {
            Ok(Findings::Settled(settled)) => Some(Ok(Arc::clone(settled))),
            Ok(Findings::Whole(_)) => None,
            Err(no) => Some(Err(no.clone())),
        };
        let mut state = self.state();
        match result.filter(|_| lasting.lasts()) {
            Some(result) => {
                let entry = Entry { fingerprint, result, aside: aside.clone(), lasting };
                state.entries.insert(repository.clone(), Arc::new(entry));
            }
            None => drop(state.entries.remove(repository)),
        }
    }

    /// Notes that a repository was asked for in this pass.
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
