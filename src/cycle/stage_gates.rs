//! Explains what the stages of an image wait for: every condition in order, with its evidence.

use jiff::Timestamp;
use serde::Serialize;

use crate::image::Tag;
use crate::stage::definition::Stage;
use crate::stage::name::Name;
use crate::stage::stages::Stages;

use super::stages::status::{CellStatus, NextStatus};

/// The kinds of conditions of a stage, in order.
const CONDITIONS: [&str; 4] = ["soak", "check", "window", "approval"];

/// What a stage holds of the release of an image, and why the next one does or does not enter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedStage {
    /// The stage.
    pub stage: Name,
    /// The name of the release: its group, or its image.
    pub release: String,
    /// The tag that all of its images share, or null if they differ.
    pub tag: Option<Tag>,
    /// The time since when the stage has held it.
    pub since: Option<Timestamp>,
    /// The tag of the release that comes next, or the start of its ID.
    pub next: Option<String>,
    /// The conditions for that one, in order.
    pub gates: Vec<StageGate>,
}

/// A condition of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageGate {
    /// The kind of condition.
    pub gate: String,
    /// The result.
    pub result: GateState,
    /// The evidence, or what is missing.
    pub detail: String,
    /// A link to the evidence.
    pub url: Option<String>,
    /// When it will be fulfilled, if only time is missing.
    pub until: Option<Timestamp>,
}

/// The state of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateState {
    /// It is fulfilled.
    Passed,
    /// It is not fulfilled.
    Waiting,
    /// It is looked at only once conditions before it are fulfilled.
    Later,
}

/// Explains the cells of a board that have fields of an image.
pub fn explain(
    board: &[CellStatus],
    stages: &Stages,
    concerns_image: impl Fn(&CellStatus) -> bool,
) -> Vec<ExplainedStage> {
    let explanation = |cell: &CellStatus| ExplainedStage {
        stage: cell.stage.clone(),
        release: cell.release.clone(),
        tag: cell.tag.clone(),
        since: cell.since,
        next: cell.next.as_ref().map(NextStatus::short),
        gates: match (stages.named(&cell.stage), &cell.next) {
            (Some(stage), Some(next)) => gates(stage, next),
            _ => Vec::new(),
        },
    };
    board.iter().filter(|cell| concerns_image(cell)).map(explanation).collect()
}

fn gates(stage: &Stage, next: &NextStatus) -> Vec<StageGate> {
    let mut gates = Vec::new();
    for condition in CONDITIONS {
        let before = gates.len();
        let evidence = next.evidence.iter().filter(|evidence| evidence.kind == condition);
        gates.extend(evidence.map(|evidence| StageGate {
            url: evidence.url.clone(),
            ..gate(condition, GateState::Passed, evidence.detail.clone())
        }));
        let waits = next.waits.iter().filter(|wait| wait.gate == condition);
        gates.extend(
            waits.map(|wait| StageGate {
                until: wait.until,
                ..gate(condition, GateState::Waiting, wait.detail.clone())
            }),
        );
        if gates.len() == before {
            gates.extend(without_finding(condition, stage));
        }
    }
    let others = next.waits.iter().filter(|wait| !CONDITIONS.contains(&wait.gate.as_str()));
    gates.extend(others.map(|wait| gate(&wait.gate, GateState::Waiting, wait.detail.clone())));
    gates
}

/// Returns the conditions of a kind about which nothing was found: windows that are open, and what comes later.
fn without_finding(condition: &str, stage: &Stage) -> Vec<StageGate> {
    let later = |detail: String| gate(condition, GateState::Later, detail);
    match condition {
        "check" => stage.checks.iter().map(|check| later(format!("{check}, once it has soaked"))).collect(),
        "window" => {
            let open = |name: &Name| gate(condition, GateState::Passed, format!("the window {name} is open"));
            stage.windows.iter().map(open).collect()
        }
        "approval" => {
            let text = |need: u32, by: &str| format!("{need} by {by}, once it has soaked");
            stage.approval.iter().map(|approval| later(text(approval.need, approval.by.name()))).collect()
        }
        _ => Vec::new(),
    }
}

fn gate(gate: &str, result: GateState, detail: String) -> StageGate {
    StageGate { gate: gate.to_owned(), result, detail, url: None, until: None }
}
