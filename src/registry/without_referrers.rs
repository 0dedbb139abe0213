//! The registries that lack the referrers API, so that it costs a request only once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The time until a registry without the referrers API is asked again: it may have been upgraded.
const AGAIN: Duration = Duration::from_secs(3600);

/// The registries that lack the referrers API, by host, with the time when that was found out.
#[derive(Debug, Default)]
pub(super) struct WithoutReferrers(Mutex<HashMap<String, Instant>>);

impl WithoutReferrers {
    /// Returns whether a registry is known to lack it.
    pub fn contains(&self, host: &str) -> bool {
        self.0.lock().get(host).is_some_and(|since| since.elapsed() < AGAIN)
    }

    /// Takes note of a registry that lacks it.
    pub fn add(&self, host: &str) {
        self.0.lock().insert(host.to_owned(), Instant::now());
    }
}
