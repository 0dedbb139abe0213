//! The indexes of Helm repositories that were read last.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::chart_index::Charts;

/// The most indexes that are kept in memory, and their size in bytes.
const INDEXES: usize = 64;
const BYTES: usize = 24 << 20;

/// The indexes that were read last. Each is read by one task at a time.
#[derive(Debug, Default)]
pub(super) struct Indexes(Mutex<HashMap<IndexKey, Place>>);

/// The host and the target of an index.
pub(super) type IndexKey = (String, String);

/// An index, once it was read.
pub(super) type Slot = Arc<tokio::sync::Mutex<Option<KnownIndex>>>;

#[derive(Debug)]
struct Place {
    slot: Slot,
    used: Instant,
    bytes: usize,
}

/// An index that was read.
#[derive(Debug, Clone)]
pub(super) struct KnownIndex {
    /// Its ETag, if the server sent one.
    pub etag: Option<String>,
    /// The time when it was requested last.
    pub at: Instant,
    /// Its charts.
    pub charts: Arc<Charts>,
}

impl Indexes {
    /// Returns the place of an index.
    pub fn slot(&self, key: &IndexKey) -> Slot {
        let mut places = self.0.lock();
        let new = || Place { slot: Slot::default(), used: Instant::now(), bytes: 0 };
        let place = places.entry(key.clone()).or_insert_with(new);
        place.used = Instant::now();
        Arc::clone(&place.slot)
    }

    /// Takes note of the size of an index, and forgets those that were not used for the longest time.
    pub fn note_size(&self, key: &IndexKey, bytes: usize) {
        let mut places = self.0.lock();
        if let Some(place) = places.get_mut(key) {
            place.bytes = bytes;
        }
        while places.len() > INDEXES || places.values().map(|place| place.bytes).sum::<usize>() > BYTES {
            let others = places.iter().filter(|(other, _)| *other != key);
            let Some(oldest) = others.min_by_key(|(_, place)| place.used).map(|(key, _)| key.clone()) else { break };
            places.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_the_longest_time_is_forgotten() {
        let key = |name: &str| (name.to_owned(), "/index.yaml".to_owned());
        let indexes = Indexes::default();
        for name in ["a", "b", "c"] {
            indexes.slot(&key(name));
            indexes.note_size(&key(name), BYTES / 3);
        }
        let (a, b) = (indexes.slot(&key("a")), indexes.slot(&key("b")));
        indexes.slot(&key("d"));
        indexes.note_size(&key("d"), BYTES / 3);
        assert!(Arc::ptr_eq(&a, &indexes.slot(&key("a"))) && Arc::ptr_eq(&b, &indexes.slot(&key("b"))));
        indexes.note_size(&key("d"), BYTES * 2);
        assert!(!Arc::ptr_eq(&a, &indexes.slot(&key("a"))), "one that is too large is kept alone");
    }
}
