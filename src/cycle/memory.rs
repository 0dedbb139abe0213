//! The memory of an engine between cycles. All of it is a cache.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::forge::commit_status::NewStatus;
use crate::manifest::inventory::Inventory;
use crate::plan::approvals::StageOrders;
use crate::plan::hold::NamedHolds;
use crate::plan::tree_config::TreeConfig;
use crate::repo::clone::CommitId;
use crate::repo::error::RepoError;
use crate::stage::name::Name;
use crate::stage::release::ReleaseId;

use super::history::branch::History;
use super::history::moves::{FieldHistory, Scope};
use super::history::read_back::Horizon;
use super::state::CycleState;
use super::tip::Tip;
use super::write::stage_pull_request::Author;

/// The memory of an engine between cycles.
#[derive(Default)]
pub struct Memory(Mutex<Remembered>);

/// The memory of the last cycle.
#[derive(Default)]
pub struct Remembered {
    /// Its state, for a cycle that concerns only some images.
    pub state: Option<CycleState>,
    /// The tip of the branch.
    pub tip: Option<CommitId>,
    /// The tips of the branch and of the branch for proposals for which no open pull request was left.
    pub settled: Option<(CommitId, CommitId)>,
    /// The moves of fields up to a tip, and which fields these are.
    pub moves: Option<(Scope, Arc<FieldHistory>)>,
    /// The statuses that were set on the heads of pull requests of stages.
    pub statuses: BTreeMap<Name, (String, NewStatus)>,
    /// The authors of the source commits of releases.
    pub authors: BTreeMap<ReleaseId, Vec<Author>>,
    /// The promotions for which the forge knows no approvals, by the commits that made them.
    pub unapproved: BTreeSet<String>,
    /// The tip after the last cycle that followed the policies, with its configuration and image fields.
    pub followed: Option<FollowedTip>,
    /// The holds by name on a tip.
    holds: Option<(CommitId, KnownHolds)>,
    /// What the orders about stages amount to on a tip.
    stage_orders: Option<(CommitId, Arc<StageOrders>)>,
}

/// A tip with what a cycle found in its tree.
#[derive(Clone)]
pub struct FollowedTip {
    /// The tip.
    pub commit: CommitId,
    /// The configuration.
    pub config: TreeConfig,
    /// The image fields.
    pub inventory: Arc<Inventory>,
}

/// The holds by name, and how far back they are known.
#[derive(Clone)]
pub struct KnownHolds {
    /// The holds.
    pub named: Arc<NamedHolds>,
    /// The commit where reading ended, if history was not read as far back as necessary.
    pub horizon: Option<Horizon>,
}

impl Memory {
    /// Reads or changes the memory.
    pub fn with<T>(&self, act: impl FnOnce(&mut Remembered) -> T) -> T {
        act(&mut self.0.lock())
    }

    /// Returns the holds by name on a tip, without reading history if it is still the last one.
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

    /// Returns what the orders about stages amount to on a tip, without reading history if it is still the last one.
    pub fn stage_orders(&self, tip: &mut Tip, history: &mut History) -> Result<Arc<StageOrders>, RepoError> {
        let remembered = self.with(|memory| memory.stage_orders.clone());
        if let Some((_, known)) = remembered.filter(|(of, _)| *of == tip.commit) {
            return Ok(known);
        }
        let known = Arc::new(history.stage_orders(tip)?.clone());
        self.with(|memory| memory.stage_orders = Some((tip.commit, Arc::clone(&known))));
        Ok(known)
    }
}
