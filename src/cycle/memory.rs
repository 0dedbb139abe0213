//! What an engine remembers between cycles. All of it is a cache.

use std::sync::{Arc, Mutex, PoisonError};

use crate::plan::hold::NamedHolds;
use crate::repo::clone::CommitId;
use crate::repo::error::RepoError;

use super::history::branch::History;
use super::history::read_back::Horizon;
use super::state::CycleState;
use super::tip::Tip;

/// What an engine remembers between cycles.
#[derive(Default)]
pub struct Memory(Mutex<Remembered>);

/// What is remembered of the last cycle.
#[derive(Default)]
pub struct Remembered {
    /// What it learned, for a cycle that is about some images only.
    pub state: Option<CycleState>,
    /// Where the branch was.
    pub tip: Option<CommitId>,
    /// The tips of the branch and of the branch for proposals for which no pull request was left to be closed.
    pub settled: Option<(CommitId, CommitId)>,
    /// What was held by name on a tip.
    holds: Option<(CommitId, KnownHolds)>,
}

/// What is held by name, and how far back that is known.
#[derive(Clone)]
pub struct KnownHolds {
    /// The holds.
    pub named: Arc<NamedHolds>,
    /// Where reading history ended, if it was not read as far back as it should have been.
    pub horizon: Option<Horizon>,
}

impl Memory {
    /// Reads or changes what is remembered.
    pub fn with<T>(&self, act: impl FnOnce(&mut Remembered) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns what is held by name on a tip, without reading history if it is still the last one.
    pub fn holds(&self, tip: &mut Tip, history: &mut History) -> Result<KnownHolds, RepoError> {
        let remembered = self.with(|memory| memory.holds.clone());
        if let Some((_, known)) = remembered.filter(|(of, _)| *of == tip.commit) {
            return Ok(known);
        }
        let named = Arc::new(history.named(tip)?.clone());
        let known = KnownHolds { named, horizon: history.horizon().cloned() };
        self.with(|memory| memory.holds = Some((tip.commit, known.clone())));
        Ok(known)
    }
}
