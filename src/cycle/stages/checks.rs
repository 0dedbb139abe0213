//! The checks that releases have to pass in the stages before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cluster::rollout::ImageChange;
use crate::cycle::context::Context;
use crate::cycle::evidence::question::{Finding, Findings, Question};
use crate::manifest::inventory::Inventory;
use crate::stage::board::Cell;
use crate::stage::candidate::{Outlook, Stay};
use crate::stage::check::CheckState;
use crate::stage::definition::Check;
use crate::stage::name::Name;
use crate::stage::release::Release;

/// The releases of a cell whose checks are queried; older ones are not promoted while newer ones may be.
const MOST: usize = 5;

/// What is known about the checks of releases, by the stage and the commit that deployed them.
#[derive(Debug, Default)]
pub struct Checks(BTreeMap<(Name, String), Findings>);

impl Checks {
    /// Queries the checks of the releases that `wants` selects, given the index of their cell. `confirms` queries those
    /// again that have passed before.
    pub async fn query(
        &mut self,
        context: &mut Context<'_>,
        cells: &[Cell<'_>],
        outlooks: &[Option<Outlook>],
        wants: &dyn Fn(usize, &Release) -> bool,
        confirms: bool,
    ) {
        let (tip, inventory) = (context.tip.commit.to_string(), Arc::clone(&context.inventory));
        let mut asked = Vec::new();
        let mut questions = Vec::new();
        for (index, (cell, outlook)) in cells.iter().zip(outlooks).enumerate() {
            let outlook = outlook.as_ref().filter(|_| !cell.stage.checks.is_empty());
            let soaked = outlook.into_iter().flat_map(|outlook| outlook.soaked.iter().take(MOST));
            for stay in soaked.filter(|soaked| wants(index, &soaked.release)).flat_map(|soaked| &soaked.stays) {
                let later = Some(tip.clone()).filter(|tip| stay.is_there && *tip != stay.since.commit);
                asked.push((stay.stage.clone(), stay.since.commit.clone()));
                questions.push(Question {
                    commit: stay.since.commit.clone(),
                    later: later.into_iter().collect(),
                    until: stay.until.clone(),
                    changes: changes(cell, cells, &stay.stage, &inventory),
                    checks: cell.stage.checks.clone(),
                    confirms,
                });
            }
        }
        if questions.is_empty() {
            return;
        }
        let contains = context.tip.clone.ancestry();
        let answers = context.services.evidence.answer(&questions, &mut context.state.evidence, &contains).await;
        for (key, findings) in asked.into_iter().zip(answers) {
            self.0.entry(key).or_default().extend(findings);
        }
    }

    /// Returns the state of a check on the commit that began a stay.
    pub fn state(&self, check: &Check, stay: &Stay) -> CheckState {
        let findings = self.0.get(&(stay.stage.clone(), stay.since.commit.clone()));
        match findings.and_then(|findings| findings.get(check)) {
            Some(Finding::Passed { url, .. }) => CheckState::Passed { url: url.clone() },
            Some(Finding::Failed { detail, .. }) => CheckState::Failed { detail: detail.clone() },
            Some(Finding::Waiting { detail }) => CheckState::Waiting { detail: detail.clone() },
            Some(Finding::Unknown { fault }) => CheckState::Unknown { detail: fault.to_string() },
            None => CheckState::Unknown { detail: "it was not queried".to_owned() },
        }
    }
}

/// Returns the files of a release in a stage before.
fn changes(cell: &Cell<'_>, cells: &[Cell<'_>], stage: &Name, inventory: &Inventory) -> Vec<ImageChange> {
    let upstream = cells.iter().filter(|other| other.stage.name == *stage && other.group == cell.group);
    let files: BTreeSet<&str> = upstream.flat_map(|cell| &cell.fields).map(|located| located.file.as_str()).collect();
    let change = |file: &str| {
        let from = inventory.deployed_from(file);
        let file = file.to_owned();
        ImageChange { file, deployed_from: from.folders, is_in_chart: from.is_in_chart, ..ImageChange::default() }
    };
    files.into_iter().map(change).collect()
}
