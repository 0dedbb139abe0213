//! What the stages hold and what comes next, for reports.

use jiff::Timestamp;
use serde::Serialize;

use crate::image::Tag;
use crate::plan::gate::GatedPlan;
use crate::plan::skip::Skipped;
use crate::stage::board::{Cell, Next};
use crate::stage::candidate::Wait;
use crate::stage::name::Name;

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
}

impl From<&Wait> for WaitStatus {
    fn from(wait: &Wait) -> WaitStatus {
        WaitStatus { gate: wait.gate.to_string(), detail: wait.detail.clone(), until: wait.until }
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

    fn has(&self, file: &str, path: &str) -> bool {
        self.fields.iter().any(|(own, at)| own == file && at == path)
    }
}

/// Adds what the gates found to a board: updates from registries, and what keeps updates back.
pub fn complete(board: &mut [CellStatus], gated: &GatedPlan, skipped: &[Skipped]) {
    for cell in board.iter_mut() {
        let update = gated.updates().iter().find(|update| cell.has(&update.file, &update.field.path));
        if let Some(update) = update.filter(|_| cell.next.is_none()) {
            cell.next = Some(NextStatus { tag: update.to.tag.clone(), id: None, waits: Vec::new() });
        }
        if update.is_some() || cell.next.as_ref().is_some_and(|next| !next.waits.is_empty()) {
            continue;
        }
        for skipped in skipped.iter().filter(|skipped| skipped.reason.keeps_a_candidate()) {
            let is_here = skipped.field.as_ref().is_some_and(|field| cell.has(&field.file, &field.path));
            if !is_here {
                continue;
            }
            let next =
                cell.next.get_or_insert_with(|| NextStatus { tag: skipped.tag.clone(), id: None, waits: Vec::new() });
            let wait = WaitStatus { gate: skipped.reason.to_string(), detail: skipped.detail.clone(), until: None };
            if !next.waits.contains(&wait) {
                next.waits.push(wait);
            }
        }
    }
}
