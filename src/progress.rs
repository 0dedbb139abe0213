//! The progress of work that may take a while, reported as events of the tracing crate. Whoever shows it listens to them;
//! where nobody does, they cost next to nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The target of these events.
pub const TARGET: &str = "progress";

/// Reports how much of something is done, out of how much: 0 if that is not known.
pub fn report(what: &'static str, done: usize, of: usize) {
    tracing::trace!(target: TARGET, what, done, of);
}

/// Reports how much of something is done, if nobody knows out of how much.
pub fn report_open(what: &'static str, done: usize) {
    report(what, done, 0);
}

/// Counts things that are done, perhaps by several threads, and reports each.
#[derive(Debug)]
pub struct Counter {
    what: &'static str,
    of: usize,
    done: AtomicUsize,
}

impl Counter {
    /// Starts with nothing done of a number of things.
    pub fn new(what: &'static str, of: usize) -> Counter {
        if of > 0 {
            report(what, 0, of);
        }
        Counter { what, of, done: AtomicUsize::new(0) }
    }

    /// Counts one more.
    pub fn advance(&self) {
        report(self.what, self.done.fetch_add(1, Ordering::Relaxed) + 1, self.of);
    }
}
