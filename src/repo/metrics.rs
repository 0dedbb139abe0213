//! Measures how long fetches and pushes take.

use std::time::Instant;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The buckets of durations, in seconds. A server that trickles data can hold an operation up for many minutes.
const DURATIONS: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0];

/// The metrics of clones. Clones of this value count into the same families.
#[derive(Debug, Clone)]
pub struct GitMetrics {
    duration: Family<[(&'static str, &'static str); 1], Histogram>,
}

/// An operation that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitOperation {
    /// Asking the remote for its branches, and downloading what is new.
    Fetch,
    /// Pushing a commit.
    Push,
}

impl GitOperation {
    /// All operations.
    pub const ALL: [GitOperation; 2] = [GitOperation::Fetch, GitOperation::Push];

    fn label(self) -> &'static str {
        match self {
            GitOperation::Fetch => "fetch",
            GitOperation::Push => "push",
        }
    }
}

impl Default for GitMetrics {
    fn default() -> Self {
        GitMetrics { duration: Family::new_with_constructor(|| Histogram::new(DURATIONS)) }
    }
}

impl GitMetrics {
    /// Registers the families. All series exist from the start.
    pub fn register(&self, registry: &mut Registry) {
        let help = "How long git operations on the infrastructure repository took, including failed ones";
        registry.register_with_unit("git_duration", help, Unit::Seconds, self.duration.clone());
        for operation in GitOperation::ALL {
            drop(self.duration.get_or_create(&[("operation", operation.label())]));
        }
    }

    /// Measures an operation, whatever its result.
    pub(super) fn measure<T>(&self, operation: GitOperation, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = work();
        let labels = [("operation", operation.label())];
        self.duration.get_or_create(&labels).observe(begun.elapsed().as_secs_f64());
        result
    }
}
