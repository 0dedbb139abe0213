//! What a cycle found out about stages, for reports and observers.

use std::collections::BTreeSet;

use crate::plan::broken_glass::BrokenGlass;
use crate::plan::gate::GatedPlan;
use crate::stage::name::Name;

use super::status::CellStatus;
use crate::cycle::stage_gates::ExplainedStage;

/// What a cycle found out about stages.
#[derive(Debug, Clone, Default)]
pub struct StageReport {
    /// What the stages hold, and what comes next.
    pub board: Vec<CellStatus>,
    /// The releases that enter a stage with the commit of the cycle.
    pub promoted: Vec<Promoted>,
    /// What people should look at.
    pub concerns: Concerns,
    /// The conditions of each cell of the board, in its order, for what comes next.
    pub explained: Vec<ExplainedStage>,
}

/// What people should look at, whatever the stages wait for.
#[derive(Debug, Clone, Default)]
pub struct Concerns {
    /// The stages whose conditions were skipped, and that nobody else has acknowledged.
    pub broken_glass: Vec<BrokenGlass>,
    /// The releases that have been incomplete for too long, each with what is missing.
    pub incomplete: Vec<String>,
}

/// A release that enters a stage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Promoted {
    /// The stage.
    pub stage: Name,
    /// The name of the release.
    pub release: String,
    /// Its tag, or the start of its ID.
    pub version: String,
    /// The stages in which it was proven.
    pub from: Vec<Name>,
    /// What proved it.
    pub evidence: Vec<String>,
}

impl Promoted {
    /// Returns the promotions of a plan.
    pub fn of(gated: &GatedPlan) -> Vec<Promoted> {
        let promotions = gated.updates().iter().filter_map(|update| update.promotion());
        let promoted: BTreeSet<Promoted> = promotions
            .map(|promotion| Promoted {
                stage: promotion.stage.clone(),
                release: promotion.group.clone(),
                version: promotion.release.short(),
                from: promotion.from.clone(),
                evidence: promotion.evidence.iter().map(ToString::to_string).collect(),
            })
            .collect();
        promoted.into_iter().collect()
    }
}
