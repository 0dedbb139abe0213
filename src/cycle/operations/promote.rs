//! Promotes releases to a stage on request: through all gates, or past some of them.

use std::sync::Arc;

use futures_util::FutureExt;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::stages::planning::{self, Wanted};
use crate::cycle::tip::Tip;
use crate::image::Reference;
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::manifest::prefilter::Prefilter;
use crate::plan::decide::{Plan, Update, WantedDigest};
use crate::plan::message::{Act, Purpose};
use crate::plan::tree_config::TreeConfig;
use crate::repo::signers::people::Role;
use crate::stage::definition::Stage;
use crate::stage::name::Name;
use crate::stage::release_name::ReleaseNameError;
use crate::stage::request::{self as stages, StageRequestError};

use super::operation::{Operation, Planned};
use super::request;
use super::terms::{Attribution, Terms};

/// Promotes releases to a stage.
#[derive(Debug, Clone)]
pub struct Promote {
    /// The stage.
    pub stage: Name,
    /// The release or image, as the person named it; all if `None`.
    pub name: Option<String>,
    /// The conditions to skip; nobody may do that without being listed.
    pub skip: Option<Vec<Condition>>,
    /// The person who requested it, and the reason.
    pub by: Attribution,
}

/// A condition of a stage that can be skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// The deployment windows.
    Windows,
    /// The time in the stage before.
    Soak,
    /// The checks there.
    Checks,
    /// The approval.
    Approval,
}

impl Condition {
    /// All of them.
    pub const ALL: [Condition; 4] = [Condition::Windows, Condition::Soak, Condition::Checks, Condition::Approval];

    /// Returns its name on the command line and in trailers.
    pub fn name(self) -> &'static str {
        match self {
            Condition::Windows => "windows",
            Condition::Soak => "soak",
            Condition::Checks => "checks",
            Condition::Approval => "approval",
        }
    }

    fn remove_from(self, stage: &mut Stage) {
        match self {
            Condition::Windows => stage.windows.clear(),
            Condition::Soak => stage.soak = std::time::Duration::ZERO,
            Condition::Checks => stage.checks.clear(),
            Condition::Approval => stage.approval = None,
        }
    }
}

impl Operation for Promote {
    fn terms(&self) -> Terms {
        Terms::Promotion
    }

    fn inventory(&self, tip: &Tip, config: &TreeConfig, _paths: &PathFilter) -> Result<Arc<Inventory>, CycleError> {
        Ok(tip.inventory(&config.field_rules, &Prefilter::Everything)?)
    }

    fn plan<'o>(&'o self, context: &'o mut Context<'_>) -> Planned<'o> {
        self.plan_on(context).boxed_local()
    }
}

impl Promote {
    async fn plan_on(&self, context: &mut Context<'_>) -> Result<(Plan, Purpose), CycleError> {
        let stage = stages::stage(&context.config.stages, &self.stage)?;
        if stage.from.is_none() {
            return Err(StageRequestError::FollowsRegistry { stage: self.stage.clone() }.into());
        }
        let mut purpose = request::purpose(Act::Deploy, &self.by);
        if let Some(skip) = &self.skip {
            context.tip.clone.own_signer(&[Role::GlassBreaker])?;
            let own = context.config.stages.stages.iter_mut().find(|stage| stage.name == self.stage);
            own.into_iter().for_each(|stage| skip.iter().for_each(|condition| condition.remove_from(stage)));
            purpose.break_glass = skip.iter().map(|condition| condition.name()).collect();
        }
        let mut plan = Plan::default();
        let wanted = Wanted { stage: &self.stage, name: self.name.as_deref() };
        planning::plan(context, &mut plan, Some(wanted)).await?;
        if let Some(name) = self.name.as_deref().filter(|_| plan.updates.is_empty()) {
            self.without_upstream(name, context, &mut plan)?;
        }
        Ok((plan, purpose))
    }

    /// Plans what the stages before have never held, which only breaking the glass allows. A name that means nothing is an
    /// error.
    fn without_upstream(&self, name: &str, context: &mut Context<'_>, plan: &mut Plan) -> Result<(), CycleError> {
        let is_coming = context.board.iter().any(|cell| cell.stage == self.stage && cell.next.is_some());
        if is_coming {
            return Ok(());
        }
        let reference: Option<Reference> = name.parse().ok();
        let reference = reference.filter(|reference| !reference.version.is_empty() && self.skip.is_some());
        let in_stage = |file: &str| context.config.stages.of(file).is_some_and(|stage| stage.name == self.stage);
        for located in &context.inventory.fields {
            let Some(Reference { repository, version }) = &reference else { break };
            if located.field.repository == *repository && located.shadowed_by.is_none() && in_stage(&located.file) {
                let digest = version.digest.clone().map_or(WantedDigest::Without, WantedDigest::Exactly);
                plan.updates.push(Update::new(located, version.tag.clone(), digest));
            }
        }
        if plan.updates.is_empty() {
            return Err(StageRequestError::from(ReleaseNameError::Unknown(name.to_owned())).into());
        }
        let note =
            format!("no stage before {} has ever held {name}; it is deployed because the glass is broken", self.stage);
        plan.skipped.clear();
        context.note(note);
        Ok(())
    }
}
