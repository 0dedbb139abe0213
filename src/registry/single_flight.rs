//! Runs identical concurrent work once.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;

/// The number of entries from which on those of dropped work are looked for.
const MANY: usize = 512;

/// Work in progress, by key. Its result goes to all that wait for it, and is then forgotten.
pub struct SingleFlight<K, V: Clone> {
    in_progress: Mutex<HashMap<K, WeakShared<BoxFuture<'static, V>>>>,
}

impl<K: Eq + Hash + Clone, V: Clone> SingleFlight<K, V> {
    /// Joins the work in progress for `key`, or starts it. Work that nobody waits for any more is dropped.
    pub async fn join(&self, key: &K, start: impl FnOnce() -> BoxFuture<'static, V>) -> V {
        let flight: Shared<BoxFuture<'static, V>> = {
            let mut in_progress = self.in_progress.lock();
            match in_progress.get(key).and_then(WeakShared::upgrade) {
                // Finished work is outdated.
                Some(flight) if flight.peek().is_none() => flight,
                _ => {
                    // Dropped work leaves its entry behind.
                    if in_progress.len() >= MANY {
                        in_progress.retain(|_, weak| weak.upgrade().is_some());
                    }
                    let flight = start().shared();
                    if let Some(weak) = flight.downgrade() {
                        in_progress.insert(key.clone(), weak);
                    }
                    flight
                }
            }
        };
        let result = flight.clone().await;
        let mut in_progress = self.in_progress.lock();
        let is_ours = in_progress.get(key).is_some_and(|weak| weak.upgrade().is_none_or(|other| other.ptr_eq(&flight)));
        if is_ours {
            in_progress.remove(key);
        }
        result
    }
}

impl<K, V: Clone> Default for SingleFlight<K, V> {
    fn default() -> Self {
        SingleFlight { in_progress: Mutex::default() }
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
    async fn work_in_progress_is_joined_and_finished_work_runs_again() {
        let single_flight: SingleFlight<&str, usize> = SingleFlight::default();
        let started = Arc::new(AtomicUsize::new(0));
        let run = |key: &'static str| {
            let started = Arc::clone(&started);
            let single_flight = &single_flight;
            async move {
                let work = || {
                    let number = started.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().map(move |()| number).boxed()
                };
                single_flight.join(&key, work).await
            }
        };
        let (a, b, c) = tokio::join!(run("x"), run("x"), run("y"));
        assert_eq!((a, b, c), (0, 0, 1));
        assert_eq!(run("x").await, 2);
        assert!(single_flight.in_progress.lock().is_empty());
    }

    #[tokio::test]
    async fn dropped_work_is_forgotten() {
        let single_flight: SingleFlight<usize, ()> = SingleFlight::default();
        for key in 0..MANY * 4 {
            let never = single_flight.join(&key, || std::future::pending().boxed());
            assert!(never.now_or_never().is_none());
        }
        assert!(single_flight.in_progress.lock().len() <= MANY);
    }
}
