//! The evidence that a cycle has gathered: holds, checks, windows, approvals.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::operations::terms::Terms;
use crate::cycle::schedules;
use crate::cycle::write::stage_pull_request::StagePullRequest;
use crate::plan::approvals::StageOrders;
use crate::plan::hold::NamedHolds;
use crate::plan::stage_order::RefusedApproval;
use crate::stage::board::Facts;
use crate::stage::candidate::{Gate, Stay, Wait};
use crate::stage::check::CheckState;
use crate::stage::definition::{ApprovalBy, Check, Stage};
use crate::stage::name::Name;
use crate::stage::promotion::{APPROVAL, Evidence};
use crate::stage::release::{Release, ReleaseId};
use crate::window::schedule::{Schedule, State};

use super::checks::Checks;
use super::reviews;

/// The evidence that a cycle has gathered.
#[derive(Debug)]
pub struct Known {
    /// The checks.
    pub checks: Checks,
    /// The pull requests of stages.
    pub pull_requests: BTreeMap<Name, StagePullRequest>,
    /// True if promotions are only proposed, so that neither approvals nor open windows are necessary yet.
    is_for_proposal: bool,
    holds: Arc<NamedHolds>,
    orders: Arc<StageOrders>,
    schedules: Vec<Schedule>,
    now: Timestamp,
}

impl Known {
    /// Gathers what is in the repository.
    pub fn of(context: &mut Context<'_>) -> Result<Known, CycleError> {
        let holds = context.memory.holds(context.tip, &mut context.history)?.named;
        let orders = context.memory.stage_orders(context.tip, &mut context.history)?;
        let schedules = schedules::of(context.tip, &context.config.stages)?;
        let (checks, pull_requests) = Default::default();
        let (is_for_proposal, now) = (context.terms == Terms::Proposal, context.now);
        Ok(Known { checks, pull_requests, is_for_proposal, holds, orders, schedules, now })
    }

    /// Returns what people should know about the windows.
    pub fn warnings(&self) -> Vec<String> {
        self.schedules.iter().filter_map(|schedule| schedule.state_at(self.now).warning).collect()
    }
}

impl Facts for Known {
    fn hold_on(&self, _stage: &Name, release: &Release) -> Option<String> {
        let hold = |image| self.holds.on(image, &release.version_of(image)?);
        release.images().keys().find_map(hold).map(ToString::to_string)
    }

    fn check(&self, check: &Check, stay: &Stay) -> CheckState {
        self.checks.state(check, stay)
    }

    fn window(&self, name: &Name) -> State {
        let schedule = self.schedules.iter().find(|schedule| schedule.name() == name.as_str());
        let unknown =
            || State { closed_by: Some("it is not defined".to_owned()), opened_by: None, until: None, warning: None };
        let state = schedule.map_or_else(unknown, |schedule| schedule.state_at(self.now));
        State { closed_by: state.closed_by.filter(|_| !self.is_for_proposal), ..state }
    }

    fn approval(&self, stage: &Stage, release: &Release) -> Result<Vec<Evidence>, Wait> {
        let Some(approval) = &stage.approval else { return Ok(Vec::new()) };
        if approval.by != ApprovalBy::Signature {
            let found = self.pull_requests.get(&stage.name);
            return match reviews::approval(stage, approval, release, found) {
                Err(wait) if wait.gate == Gate::Approval && self.is_for_proposal => Ok(Vec::new()),
                Ok(_) if self.is_for_proposal => Ok(Vec::new()),
                found => found,
            };
        }
        let (id, way) = (release.id(), approval.by.name());
        let given = self.orders.approvals_of(&stage.name, &id);
        let given: Vec<Evidence> = given
            .map(|given| Evidence {
                kind: APPROVAL.to_owned(),
                detail: format!("{} by {way} (commit {})", given.by.who, given.by.commit),
                url: None,
            })
            .collect();
        if given.len() >= approval.need as usize {
            return Ok(given);
        }
        let refused: String = latest_refused(&self.orders, stage, &id);
        let detail =
            format!("{} of {} approvals by {way} for {}{refused}", given.len(), approval.need, release.short());
        Err(Wait { gate: Gate::Approval, detail, until: None })
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}

/// The number of approvals that do not count and are named, the latest ones.
const REFUSED: usize = 3;

/// Returns why approvals of a release do not count, as the end of a sentence.
fn latest_refused(orders: &StageOrders, stage: &Stage, release: &ReleaseId) -> String {
    let all: Vec<_> = orders.refused_for(&stage.name, release).collect();
    let latest = all.iter().skip(all.len().saturating_sub(REFUSED));
    let one = |refused: &&RefusedApproval| {
        let commit: String = refused.commit.chars().take(7).collect();
        format!("; the approval in commit {commit} does not count: {}", refused.why)
    };
    latest.map(one).collect()
}
