//! What operations and gates work with: a tip, what is configured for its tree, and what the cycle has learned so far.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::image::Repository;
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::plan::tree_config::TreeConfig;
use crate::registry::integrity::PartCache;

use super::candidates::findings_cache::FindingsCache;
use super::candidates::round::Round;
use super::history::branch::History;
use super::operations::terms::{Mode, Terms};
use super::services::Services;
use super::state::CycleState;
use super::tip::Tip;

/// What operations and gates work with.
pub struct Context<'c> {
    /// The systems around the repository.
    pub services: &'c Services,
    /// What registries had in the last cycle.
    pub kept: &'c FindingsCache,
    /// The files that are worked on.
    pub paths: &'c PathFilter,
    /// The tip that is planned on.
    pub tip: &'c mut Tip,
    /// The history behind it.
    pub history: History,
    /// What is configured for its tree.
    pub config: TreeConfig,
    /// Its image fields, as far as the operation is about them.
    pub inventory: Arc<Inventory>,
    /// What the cycle has learned so far.
    pub state: &'c mut CycleState,
    /// Whether the cycle writes.
    pub mode: Mode,
    /// How strictly the operation is judged.
    pub terms: Terms,
    /// The time.
    pub now: Timestamp,
    /// What a person should know.
    pub notes: Vec<String>,
}

impl<'c> Context<'c> {
    /// Adds a note, unless it is there already.
    pub fn note(&mut self, text: String) {
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Scans the repositories of all images that policies govern, as far as that is not done.
    pub async fn scan(&mut self) {
        let part_cache = self.state.part_cache.clone();
        let round = self.round(&part_cache);
        let found = round.complete(&mut self.state.findings, &self.inventory, &self.config.policies).await;
        self.state.broken.extend(found.broken);
        self.state.notes.extend(found.notes);
        if !found.progress.is_empty() {
            self.state.progress = found.progress;
        }
    }

    /// Scans repositories again for all of their tags, where only what follows for the fields is known.
    pub async fn scan_all_tags(&mut self, images: &BTreeSet<Repository>) {
        let part_cache = self.state.part_cache.clone();
        let round = self.round(&part_cache);
        round.make_whole(&mut self.state.findings, images, &self.inventory, &self.config.policies).await;
    }

    fn round<'r>(&self, part_cache: &'r PartCache) -> Round<'r>
    where
        'c: 'r,
    {
        let Services { registry, sources, .. } = self.services;
        let until = self.state.budget.and_then(|budget| budget.scans());
        Round { registry, sources, part_cache, kept: self.kept, extent: self.state.extent, until, now: self.now }
    }
}
