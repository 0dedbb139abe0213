//! The latest moves of all fields on the branch, for a process that keeps running. They are read from the clone while cycles
//! use it, and only newer commits are read each time.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::clock;
use crate::image::Repository;
use crate::manifest::file_kind::is_manifest_name;
use crate::plan::figures::{Deployment, deployments};
use crate::plan::history_entry::{self, HistoryEntry};
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::fetch::Deepened;

use super::engine::Engine;
use super::error::CycleError;
use super::history::moves::{FieldHistory, Followed, Newer, Scope};
use super::memory::FollowedTip;

/// The number of moves that are remembered.
const MOST: usize = 10_000;
/// The time for which more history is fetched if the clone does not go back so far: what figures are computed for.
const REACH: SignedDuration = SignedDuration::from_hours(24 * 7 * 13);

/// The latest moves of all fields.
#[derive(Debug)]
pub struct MoveLog {
    /// The moves, newest first.
    pub entries: Vec<Arc<HistoryEntry>>,
    /// The deployments among them, newest first.
    pub deployments: Vec<Deployment>,
    /// The time before which moves are not known, if history goes on.
    pub since: Option<Timestamp>,
    /// The index of the latest move of each image.
    latest: HashMap<Repository, usize>,
    tip: CommitId,
    scope: Scope,
    position: FieldHistory,
}

impl MoveLog {
    /// Makes a log of moves, for tests of what shows them.
    #[cfg(test)]
    pub fn example(entries: Vec<HistoryEntry>) -> MoveLog {
        let entries: Vec<Arc<HistoryEntry>> = entries.into_iter().map(Arc::new).collect();
        MoveLog {
            deployments: deployments(&entries),
            latest: latest(&entries),
            entries,
            since: None,
            tip: "c0ffee0c0ffee0c0ffee0c0ffee0c0ffee0c0ffe".parse().expect("an ID"),
            scope: Scope { paths: Vec::new(), field_rules: Default::default() },
            position: FieldHistory::default(),
        }
    }

    /// Adds the known moves to newer ones.
    fn of(newer: &Newer, followed: &FollowedTip, scope: Scope, known: Option<&MoveLog>) -> MoveLog {
        let history = &newer.history;
        let found = history_entry::entries(&history.moves, &history.records, &followed.config.stages);
        let mut entries: Vec<Arc<HistoryEntry>> = found.into_iter().map(Arc::new).collect();
        entries.extend(known.filter(|_| newer.continues).iter().flat_map(|known| known.entries.iter().cloned()));
        let is_cut = entries.len() > MOST;
        entries.truncate(MOST);
        let last = entries.last().filter(|_| is_cut).map(|entry| entry.at);
        MoveLog {
            deployments: deployments(&entries),
            latest: latest(&entries),
            since: last.or_else(|| history.horizon.as_ref().map(|horizon| horizon.when())),
            entries,
            tip: followed.commit,
            scope,
            position: history.position(),
        }
    }
}

impl MoveLog {
    /// Returns the latest move of an image.
    pub fn latest(&self, image: &Repository) -> Option<&HistoryEntry> {
        self.latest.get(image).map(|at| self.entries[*at].as_ref())
    }
}

/// Returns the index of the latest move of each image, given the moves newest first.
fn latest(entries: &[Arc<HistoryEntry>]) -> HashMap<Repository, usize> {
    // The last value of a key stays.
    entries.iter().enumerate().rev().map(|(at, entry)| (entry.image.clone(), at)).collect()
}

impl Engine {
    /// Returns the moves up to the tip of the last cycle that followed the policies, given those that are known. Cycles do
    /// not wait for this, unless more history has to be fetched. Blocks.
    ///
    /// # Errors
    /// The clone cannot be read, for example because it was just replaced.
    pub fn move_log(&self, known: Option<&Arc<MoveLog>>) -> Result<Option<Arc<MoveLog>>, CycleError> {
        let (_, memory) = self.style_and_memory();
        let Some(followed) = memory.with(|memory| memory.followed.clone()) else { return Ok(None) };
        let FollowedTip { commit, config, inventory } = &followed;
        let paths = config.stages.stages.iter().map(|stage| stage.paths.patterns().map(str::to_owned).collect());
        let scope = Scope { paths: paths.collect(), field_rules: config.field_rules.clone() };
        let known = known.filter(|known| known.scope == scope);
        if let Some(known) = known.filter(|known| known.tip == *commit) {
            return Ok(Some(Arc::clone(known)));
        }
        let wants = |file: &str| is_manifest_name(file) || config.field_rules.take(file);
        let fields = Followed { field_rules: &config.field_rules, inventory, wants: &wants };
        loop {
            let (clone, now) = (BareClone::reader(self.repo().clone())?, clock::now());
            let position = known.map(|known| &known.position);
            let newer = FieldHistory::newer(&clone, *commit, fields, position, MOST, now)?;
            let oldest = newer.history.horizon.as_ref().map(|horizon| horizon.when());
            let is_short = newer.is_cut && oldest.is_some_and(|oldest| now.duration_since(oldest) < REACH);
            if is_short && BareClone::open(self.repo().clone())?.deepen()? == Deepened::More {
                continue;
            }
            return Ok(Some(Arc::new(MoveLog::of(&newer, &followed, scope, known.map(Arc::as_ref)))));
        }
    }
}
