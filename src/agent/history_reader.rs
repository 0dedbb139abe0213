//! Reads the history of the branch in the background after a cycle, so that neither cycles nor requests wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;

use super::outcome::Outcome;
use super::snapshot::SnapshotStore;
use super::worker::CycleRunner;

/// Reads the history, one reading at a time.
#[derive(Debug)]
pub struct HistoryReader {
    snapshots: Arc<SnapshotStore>,
    reading: Option<JoinHandle<()>>,
    /// Whether the last reading failed, which is logged once.
    has_failed: Arc<AtomicBool>,
}

impl HistoryReader {
    /// A reader that gives what it reads to these snapshots.
    pub fn new(snapshots: Arc<SnapshotStore>) -> HistoryReader {
        HistoryReader { snapshots, reading: None, has_failed: Arc::default() }
    }

    /// Reads what is new after a cycle, unless an earlier reading goes on: then the next cycle will do.
    pub fn cycle_ended(&mut self, runner: &Arc<dyn CycleRunner>, outcome: &Outcome) {
        if outcome.result.is_err() || self.reading.as_ref().is_some_and(|reading| !reading.is_finished()) {
            return;
        }
        let (runner, snapshots) = (Arc::clone(runner), Arc::clone(&self.snapshots));
        let has_failed = Arc::clone(&self.has_failed);
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let known = snapshots.snapshot().history.clone();
            match runner.move_log(known.as_ref()) {
                Ok(log) => {
                    has_failed.store(false, Ordering::Relaxed);
                    let is_new = |log: &Arc<_>| known.as_ref().is_none_or(|known| !Arc::ptr_eq(known, log));
                    log.filter(is_new).into_iter().for_each(|log| snapshots.history_read(log));
                }
                Err(error) if !has_failed.swap(true, Ordering::Relaxed) => {
                    tracing::warn!(%error, "cannot read the history for the status page");
                }
                Err(_) => {}
            }
        }));
    }
}
