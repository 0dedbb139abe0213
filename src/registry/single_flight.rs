//! The same question, asked by several at once, is sent once.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

/// Work that is under way, by what it is for. Its result is handed to all that wait, and then forgotten.
pub struct SingleFlight<K, V: Clone> {
    flying: Mutex<HashMap<K, WeakShared<BoxFuture<'static, V>>>>,
}

impl<K: Eq + Hash + Clone, V: Clone> SingleFlight<K, V> {
    /// Joins the work under way for `key`, or starts it. Work that nobody waits for any more is dropped.
    pub async fn join(&self, key: &K, start: impl FnOnce() -> BoxFuture<'static, V>) -> V {
        let flight: Shared<BoxFuture<'static, V>> = {
            let mut flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
            match flying.get(key).and_then(WeakShared::upgrade) {
                // One that has landed is old news.
                Some(flight) if flight.peek().is_none() => flight,
                _ => {
                    let flight = start().shared();
                    if let Some(weak) = flight.downgrade() {
                        flying.insert(key.clone(), weak);
                    }
                    flight
                }
            }
        };
        let result = flight.clone().await;
        let mut flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
        let landed = flying.get(key).is_some_and(|weak| weak.upgrade().is_none_or(|other| other.ptr_eq(&flight)));
        if landed {
            flying.remove(key);
        }
        result
    }
}

impl<K, V: Clone> Default for SingleFlight<K, V> {
    fn default() -> Self {
        SingleFlight { flying: Mutex::default() }
    }
}

impl<K, V: Clone> fmt::Debug for SingleFlight<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_is_under_way_is_joined_and_what_is_done_is_asked_again() {
        let in_flight: SingleFlight<&str, usize> = SingleFlight::default();
        let started = Arc::new(AtomicUsize::new(0));
        let ask = |key: &'static str| {
            let started = Arc::clone(&started);
            let in_flight = &in_flight;
            async move {
                let work = || {
                    let number = started.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().map(move |()| number).boxed()
                };
                in_flight.join(&key, work).await
            }
        };
        let (a, b, c) = tokio::join!(ask("x"), ask("x"), ask("y"));
        assert_eq!((a, b, c), (0, 0, 1));
        assert_eq!(ask("x").await, 2);
        assert!(in_flight.flying.lock().expect("unpoisoned").is_empty());
    }
}
