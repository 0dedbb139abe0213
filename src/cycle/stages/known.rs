//! The evidence that a cycle has gathered: holds, checks, windows, approvals.

use std::sync::Arc;

use jiff::Timestamp;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::schedules;
use crate::plan::hold::NamedHolds;
use crate::stage::board::Facts;
use crate::stage::candidate::{Gate, Stay, Wait};
use crate::stage::check::CheckState;
use crate::stage::definition::{Check, Stage};
use crate::stage::name::Name;
use crate::stage::promotion::Evidence;
use crate::stage::release::Release;
use crate::window::schedule::{Schedule, State};

use super::checks::Checks;

/// The evidence that a cycle has gathered.
#[derive(Debug)]
pub struct Known {
    /// The checks.
    pub checks: Checks,
    holds: Arc<NamedHolds>,
    schedules: Vec<Schedule>,
    now: Timestamp,
}

impl Known {
    /// Gathers what is in the repository.
    pub fn of(context: &mut Context<'_>) -> Result<Known, CycleError> {
        let holds = context.memory.holds(context.tip, &mut context.history)?.named;
        let schedules = schedules::of(context.tip, &context.config.stages)?;
        Ok(Known { checks: Checks::default(), holds, schedules, now: context.now })
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
        schedule.map_or_else(unknown, |schedule| schedule.state_at(self.now))
    }

    fn approval(&self, stage: &Stage, _release: &Release) -> Result<Vec<Evidence>, Wait> {
        match &stage.approval {
            None => Ok(Vec::new()),
            Some(approval) => {
                let detail = format!("0 of {} approvals by {}", approval.need, approval.by.name());
                Err(Wait { gate: Gate::Approval, detail, until: None })
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}
