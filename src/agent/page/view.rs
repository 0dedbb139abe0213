//! What every page is made from.

use jiff::Timestamp;

use crate::agent::link::CommitLink;
use crate::agent::snapshot::Snapshot;

/// The state of the agent, and where and when a page shows it.
#[derive(Debug, Clone)]
pub struct View<'s> {
    /// The state of the agent.
    pub snapshot: &'s Snapshot,
    /// The current time.
    pub now: Timestamp,
    /// The relative address of the overview's folder: addresses are relative, so that they also work behind a proxy that
    /// serves the agent below a path.
    pub root: String,
}

impl<'s> View<'s> {
    /// The view of a page that is so many folders deep.
    pub fn new(snapshot: &'s Snapshot, now: Timestamp, depth: usize) -> View<'s> {
        View { snapshot, now, root: "../".repeat(depth) }
    }

    /// Returns the address of commits at the forge.
    pub fn link(&self) -> Option<&'s CommitLink> {
        self.snapshot.commit_link.as_ref()
    }

    /// Returns the address of the overview.
    pub fn home(&self) -> &str {
        if self.root.is_empty() { "./" } else { &self.root }
    }

    /// Returns whether there are stages.
    pub fn has_stages(&self) -> bool {
        !self.snapshot.status.stages.stages.is_empty()
    }
}
