//! Replays the history of a branch: every move of every field, and the moves that lack what their stage requires.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::block_in_place;

use crate::clock;
use crate::image::Repository;
use crate::manifest::file_kind::is_manifest_name;
use crate::manifest::inventory::Inventory;
use crate::plan::audit::{self, Audit};
use crate::plan::figures::{self, Figures};
use crate::plan::history_entry::{self, HistoryEntry};
use crate::plan::tree_config::TreeConfig;
use crate::stage::board::closed;
use crate::stage::name::Name;
use crate::stage::request;
use crate::stage::timeline::Point;

use super::engine::Engine;
use super::error::CycleError;
use super::history::moves::{FieldHistory, Followed};
use super::schedules;
use super::tip::Tip;

/// The moves to return.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Of this image.
    pub image: Option<Repository>,
    /// In this stage.
    pub stage: Option<Name>,
    /// At this time or later.
    pub since: Option<Timestamp>,
}

/// A replayed history, with notes for people.
#[derive(Debug)]
pub struct Replayed<T> {
    /// What was found.
    pub found: T,
    /// What people should know about it.
    pub notes: Vec<String>,
}

/// Returns the moves of fields on the branch, newest first.
pub fn history(engine: &Engine, selection: &Selection) -> Result<Replayed<Vec<HistoryEntry>>, CycleError> {
    block_in_place(|| {
        let Replayed { mut found, notes } = all(engine, selection)?;
        found.retain(|entry| {
            selection.covers(&entry.image, entry.stage.as_ref())
                && selection.since.is_none_or(|since| entry.at >= since)
        });
        Ok(Replayed { found, notes })
    })
}

/// Returns how often and how fast versions were deployed and taken back since a time, or else in the last weeks.
pub fn figures(engine: &Engine, selection: &Selection) -> Result<Replayed<Figures>, CycleError> {
    block_in_place(|| {
        let Replayed { found, notes } = all(engine, selection)?;
        let (deployments, now) = (figures::deployments(&found), clock::now());
        let since = selection.since.unwrap_or_else(|| figures::weeks_before(now, figures::WEEKS));
        let selected = deployments.iter().filter(|one| selection.covers(&one.image, one.stage.as_ref()));
        Ok(Replayed { found: Figures::of(selected, since, now), notes })
    })
}

/// Returns all moves, after checking that the stage of a selection exists.
fn all(engine: &Engine, selection: &Selection) -> Result<Replayed<Vec<HistoryEntry>>, CycleError> {
    let (mut tip, config, inventory) = engine.read()?;
    if let Some(stage) = &selection.stage {
        request::stage(&config.stages, stage)?;
    }
    let wants = |file: &str| is_manifest_name(file) || config.field_rules.take(file);
    let history = read(&mut tip, &config, &inventory, &wants)?;
    let found = history_entry::entries(&history.moves, &history.records, &config.stages);
    Ok(Replayed { found, notes: notes(&history) })
}

impl Selection {
    fn covers(&self, image: &Repository, stage: Option<&Name>) -> bool {
        self.image.as_ref().is_none_or(|own| own == image) && self.stage.as_ref().is_none_or(|own| Some(own) == stage)
    }
}

/// Returns the moves into stages that lack what the stage requires.
pub fn audit(engine: &Engine, since: Option<Timestamp>) -> Result<Replayed<Audit>, CycleError> {
    block_in_place(|| {
        let (mut tip, config, inventory) = engine.read()?;
        let wants = |file: &str| config.stages.of(file).is_some();
        let history = read(&mut tip, &config, &inventory, &wants)?;
        let tip = &tip;
        let evidence = audit::Evidence {
            stages: &config.stages,
            fields: &inventory.fields,
            moves: &history.moves,
            records: &history.records,
            orders: &history.orders,
            closed: &|name: &Name, at: &Point| was_closed(tip, &config, name, at),
        };
        let mut notes = notes(&history);
        if config.stages.is_empty() {
            notes.push("no stages are defined, so there is nothing to audit".to_owned());
        }
        Ok(Replayed { found: audit::audit(&evidence, since), notes })
    })
}

fn read(
    tip: &mut Tip,
    config: &TreeConfig,
    inventory: &Arc<Inventory>,
    wants: &(dyn Fn(&str) -> bool + Sync),
) -> Result<FieldHistory, CycleError> {
    let followed = Followed { field_rules: &config.field_rules, inventory, wants };
    Ok(FieldHistory::read(tip, followed, None, clock::now())?)
}

fn notes(history: &FieldHistory) -> Vec<String> {
    history.horizon.iter().map(|horizon| horizon.note()).collect()
}

/// Returns the reason why a window was closed when a commit was made. Its calendar counts as it was then.
fn was_closed(tip: &Tip, config: &TreeConfig, name: &Name, at: &Point) -> Option<String> {
    let window = config.stages.windows.iter().find(|window| window.name == name.as_str())?;
    let commit = at.commit.parse().ok()?;
    let schedule = schedules::schedule(&|path| tip.clone.file(commit, path), window).ok()?;
    closed(name, &schedule.state_at(at.when)).map(|wait| wait.detail)
}
