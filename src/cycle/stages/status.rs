//! What the stages hold and what comes next, for reports.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::image::Tag;
use crate::plan::gate::GatedPlan;
use crate::plan::skip::Skipped;
use crate::stage::board::{Cell, Next};
use crate::stage::candidate::{Gate, Wait};
use crate::stage::name::Name;
use crate::stage::promotion::Evidence;

/// What a stage holds of a release, and what comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CellStatus {
    /// The stage.
    pub stage: Name,
    /// The name of the release: its group, or its image.
    pub release: String,
    /// The tag that all of its images share, or null if they differ.
    pub tag: Option<Tag>,
    /// The ID of the release, or null if its digests are not recorded.
    pub id: Option<String>,
    /// The time since when the stage has held it.
    pub since: Option<Timestamp>,
    /// What may enter the stage next.
    pub next: Option<NextStatus>,
    /// Its fields, by file and path.
    #[serde(skip)]
    fields: Vec<(String, String)>,
}

/// What may enter a stage next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NextStatus {
    /// The tag that all images of the release share.
    pub tag: Option<Tag>,
    /// The ID of the release, or null if it comes from the registry.
    pub id: Option<String>,
    /// What it waits for; nothing if the next cycle deploys it.
    pub waits: Vec<WaitStatus>,
    /// What proves it so far.
    #[serde(skip)]
    pub evidence: Vec<Evidence>,
}

/// Something that a release waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitStatus {
    /// The gate: `soak`, `check`, `window`, `approval`, `image`, or a reason for which fields stay.
    pub gate: String,
    /// What is missing.
    pub detail: String,
    /// When it will be fulfilled, if only time is missing.
    pub until: Option<Timestamp>,
    /// True for a check that has failed.
    #[serde(skip)]
    pub has_failed: bool,
}

impl From<&Wait> for WaitStatus {
    fn from(wait: &Wait) -> WaitStatus {
        let has_failed = wait.gate == Gate::FailedCheck;
        WaitStatus { gate: wait.gate.to_string(), detail: wait.detail.clone(), until: wait.until, has_failed }
    }
}

impl NextStatus {
    /// Returns the status of a version that a policy chose.
    fn of_registry(tag: Option<Tag>) -> NextStatus {
        NextStatus { tag, id: None, waits: Vec::new(), evidence: Vec::new() }
    }

    /// Returns its name for people: its tag, or the start of its ID.
    pub fn short(&self) -> String {
        let id = || self.id.iter().flat_map(|id| id.chars().take(12)).collect();
        self.tag.as_ref().map_or_else(id, |tag| tag.short().to_owned())
    }
}

impl CellStatus {
    /// Returns the status of a cell.
    pub fn of(cell: &Cell<'_>, next: Option<&Next>) -> CellStatus {
        let held = cell.held();
        let next = next.map(|next| NextStatus {
            tag: next.release.tag().cloned(),
            id: Some(next.release.id().to_string()),
            waits: next.waits.iter().map(WaitStatus::from).collect(),
            evidence: next.evidence.clone(),
        });
        CellStatus {
            stage: cell.stage.name.clone(),
            release: cell.group.name.clone(),
            tag: held.and_then(|tenure| tenure.held.tag().cloned()),
            id: held.and_then(|tenure| tenure.held.release()).map(|release| release.id().to_string()),
            since: held.and_then(|tenure| tenure.since.as_ref()).map(|since| since.when),
            next,
            fields: cell.fields.iter().map(|located| (located.file.clone(), located.field.path.clone())).collect(),
        }
    }

    /// Returns a cell of a release without fields, for tests of what shows cells.
    #[cfg(test)]
    pub fn example(stage: Name, release: &str, next: Option<NextStatus>) -> CellStatus {
        let (release, fields) = (release.to_owned(), Vec::new());
        CellStatus { stage, release, tag: None, id: None, since: Some(Timestamp::UNIX_EPOCH), next, fields }
    }

    /// Returns the version that the stage holds, for people.
    pub fn version(&self) -> &str {
        self.tag.as_ref().map_or("(several)", |tag| tag.short())
    }

    /// Returns for how long the stage has held it, in its two largest units.
    pub fn age(&self, now: Timestamp) -> Option<String> {
        let minutes = now.duration_since(self.since?).as_mins().max(0);
        Some(match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
            (0, 0, minutes) => format!("{minutes}m"),
            (0, hours, minutes) => format!("{hours}h {minutes}m"),
            (days, hours, _) => format!("{days}d {hours}h"),
        })
    }

    /// Returns whether a field is one of its fields.
    pub fn has(&self, file: &str, path: &str) -> bool {
        self.fields.iter().any(|(own, at)| own == file && at == path)
    }
}

/// Returns the stages of a board in their order, and the cells of each release by its name.
pub fn table(board: &[CellStatus]) -> (Vec<&Name>, BTreeMap<&str, Vec<&CellStatus>>) {
    let mut stages: Vec<&Name> = Vec::new();
    let mut releases: BTreeMap<&str, Vec<&CellStatus>> = BTreeMap::new();
    for cell in board {
        if !stages.contains(&&cell.stage) {
            stages.push(&cell.stage);
        }
        releases.entry(&cell.release).or_default().push(cell);
    }
    (stages, releases)
}

/// Adds what the gates found to a board: updates from registries, and what keeps updates back.
pub fn complete(board: &mut [CellStatus], gated: &GatedPlan, skipped: &[Skipped]) {
    for cell in board.iter_mut() {
        let update = gated.updates().iter().find(|update| cell.has(&update.file, &update.field.path));
        if let Some(update) = update.filter(|_| cell.next.is_none()) {
            cell.next = Some(NextStatus::of_registry(update.to.tag.clone()));
        }
        if update.is_some() || cell.next.as_ref().is_some_and(|next| !next.waits.is_empty()) {
            continue;
        }
        for skipped in skipped.iter().filter(|skipped| skipped.reason.keeps_a_candidate()) {
            let is_here = skipped.field.as_ref().is_some_and(|field| cell.has(&field.file, &field.path));
            if !is_here {
                continue;
            }
            let next = cell.next.get_or_insert_with(|| NextStatus::of_registry(skipped.tag.clone()));
            let (gate, detail) = (skipped.reason.to_string(), skipped.detail.clone());
            let wait = WaitStatus { gate, detail, until: None, has_failed: false };
            if !next.waits.contains(&wait) {
                next.waits.push(wait);
            }
        }
    }
}
