//! Notices when git does not return from a call.
//!
//! libgit2 1.9 reads an incomplete object in an endless loop, which nothing can interrupt but the end of the process. So calls
//! are registered while they run, and [`hang`] looks at them from outside.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::error::RepoError;
use super::folder;

/// The interval at which calls are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// The least time that a call may take, on whatever disk.
const LEAST: Duration = Duration::from_secs(5);

/// A call that transfers objects or walks through the history may take this many times as long as a response of the
/// server: twice as long as the server's responses in total.
const LONG: u32 = 40;

static CALLS: LazyLock<Mutex<HashMap<u64, Call>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(0);

struct Call {
    clone: PathBuf,
    until: Instant,
}

/// A call that is running, until this value is dropped.
pub(super) struct Running(u64);

impl Drop for Running {
    fn drop(&mut self) {
        CALLS.lock().remove(&self.0);
    }
}

/// Registers a call that reads or writes a few objects of a clone. `timeout` is the time limit for responses of its server.
pub(super) fn short(clone: &Path, timeout: Duration) -> Running {
    register(clone, timeout.max(LEAST))
}

/// Registers a call that transfers objects, or walks through the history.
pub(super) fn long(clone: &Path, timeout: Duration) -> Running {
    register(clone, (timeout * LONG).max(LEAST))
}

fn register(clone: &Path, limit: Duration) -> Running {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    CALLS.lock().insert(id, Call { clone: clone.to_owned(), until: Instant::now() + limit });
    Running(id)
}

/// Waits until a call takes too long, which usually never happens. Its clone is then replaced when it is opened next, which
/// has to be done by another process: the thread of the call cannot be ended.
pub async fn hang() -> RepoError {
    let mut suspects = HashSet::new();
    loop {
        tokio::time::sleep(INTERVAL).await;
        let overdue = overdue(Instant::now());
        // If the whole process was stopped for a while, its calls are late but go on.
        if let Some((_, clone)) = overdue.iter().find(|(id, _)| suspects.contains(id)) {
            folder::note_hang(clone);
            return RepoError::Hangs { folder: clone.clone() };
        }
        suspects = overdue.into_iter().map(|(id, _)| id).collect();
    }
}

/// Returns the calls that should have returned, with their clones.
fn overdue(now: Instant) -> Vec<(u64, PathBuf)> {
    let calls = CALLS.lock();
    let late = calls.iter().filter(|(_, call)| call.until < now);
    late.map(|(id, call)| (*id, call.clone.clone())).collect()
}
