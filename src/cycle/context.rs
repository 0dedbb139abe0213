//! The context of operations and gates: a tip, its configuration, and what the cycle has learned so far.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::image::Repository;
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::plan::tree_config::TreeConfig;
use crate::registry::integrity::PartCache;
use crate::stage::name::Name;

use super::candidates::findings_cache::FindingsCache;
use super::candidates::round::Round;
use super::history::branch::History;
use super::memory::Memory;
use super::operations::terms::{Mode, Terms};
use super::services::Services;
use super::stages::report::Concerns;
use super::stages::status::CellStatus;
use super::stages::unrecorded::Unrecorded;
use super::state::CycleState;
use super::time_limit::TimeLimit;
use super::tip::Tip;

/// The context of operations and gates.
pub struct Context<'c> {
    /// The external systems.
    pub services: &'c Services,
    /// The findings of earlier cycles.
    pub findings_cache: &'c FindingsCache,
    /// The memory of earlier cycles.
    pub memory: &'c Memory,
    /// The files that may be edited.
    pub paths: &'c PathFilter,
    /// The tip that is planned on.
    pub tip: &'c mut Tip,
    /// The history of the branch up to it.
    pub history: History,
    /// The policies and field rules for its tree.
    pub config: TreeConfig,
    /// Its image fields that the operation concerns.
    pub inventory: Arc<Inventory>,
    /// The knowledge of the cycle.
    pub state: &'c mut CycleState,
    /// Determines whether the cycle writes.
    pub mode: Mode,
    /// The strictness that applies to the operation.
    pub terms: Terms,
    /// The current time.
    pub now: Timestamp,
    /// Notes for people.
    pub notes: Vec<String>,
    /// What the stages hold, and what comes next.
    pub board: Vec<CellStatus>,
    /// What people should look at in the stages.
    pub concerns: Concerns,
    /// The stages whose promotions are proposed in pull requests.
    pub proposes: BTreeSet<Name>,
    /// The promotions whose approvals are not in history yet.
    pub unrecorded: Vec<Unrecorded>,
}

impl<'c> Context<'c> {
    /// Adds a note, unless it is there already.
    pub fn note(&mut self, text: String) {
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Scans the repositories of all images that policies govern, unless that was done already.
    pub async fn scan(&mut self) {
        self.state.note_queried();
        let part_cache = self.state.part_cache.clone();
        let round = self.round(&part_cache, self.state.budget.map(|budget| budget.scans()));
        let found = round.complete(&mut self.state.findings, &self.inventory, &self.config).await;
        self.state.broken.extend(found.broken);
        self.state.notes.extend(found.notes);
        if !found.progress.is_empty() {
            self.state.progress = found.progress;
        }
    }

    /// Scans repositories again for all of their tags, if only the choices for fields are known.
    pub async fn scan_all_tags(&mut self, images: &BTreeSet<Repository>) {
        let part_cache = self.state.part_cache.clone();
        let round = self.round(&part_cache, self.state.budget.map(|budget| budget.verifications()));
        round.complete_all_tags(&mut self.state.findings, images, &self.inventory, &self.config).await;
    }

    fn round<'r>(&self, part_cache: &'r PartCache, limit: Option<TimeLimit>) -> Round<'r>
    where
        'c: 'r,
    {
        let Services { registry, sources, .. } = self.services;
        Round {
            registry,
            sources,
            part_cache,
            findings_cache: self.findings_cache,
            detail: self.state.detail,
            limit: limit.unwrap_or_default(),
            now: self.now,
        }
    }
}
