//! How many requests a host was sent, by what it answered.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Requests of one kind to one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traffic {
    /// The host, as image names write it.
    pub host: String,
    /// The status of the answers; `None` where none came.
    pub status: Option<u16>,
    /// How many.
    pub requests: u64,
}

/// The counts of one host since they were taken last.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BTreeMap<Option<u16>, u64>>);

impl Tally {
    /// Counts a request.
    pub(super) fn count(&self, status: Option<u16>) {
        *self.0.lock().entry(status).or_default() += 1;
    }

    /// Takes the counts.
    pub(super) fn take(&self, host: &str) -> impl Iterator<Item = Traffic> + use<> {
        let counts = std::mem::take(&mut *self.0.lock());
        let host = host.to_owned();
        counts.into_iter().map(move |(status, requests)| Traffic { host: host.clone(), status, requests })
    }
}
