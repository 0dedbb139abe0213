//! Proposes the promotions to a stage in a pull request, where they wait for approval.

use std::sync::Arc;

use futures_util::FutureExt;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::stages::planning::{self, Wanted};
use crate::cycle::tip::Tip;
use crate::cycle::write::stage_pull_request::StageBranch;
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::manifest::prefilter::Prefilter;
use crate::plan::decide::Plan;
use crate::plan::message::Purpose;
use crate::plan::tree_config::TreeConfig;

use super::operation::{Operation, Planned};
use super::terms::Terms;

/// Proposes all promotions to a stage that only lack an approval or an open window.
#[derive(Debug, Clone)]
pub struct Propose(pub StageBranch);

impl Operation for Propose {
    fn terms(&self) -> Terms {
        Terms::Proposal
    }

    fn inventory(&self, tip: &Tip, config: &TreeConfig, _paths: &PathFilter) -> Result<Arc<Inventory>, CycleError> {
        Ok(tip.inventory(&config.field_rules, &Prefilter::Everything)?)
    }

    fn plan<'o>(&'o self, context: &'o mut Context<'_>) -> Planned<'o> {
        let plan = async move {
            let mut plan = Plan::default();
            planning::plan(context, &mut plan, Some(Wanted { stage: &self.0.stage, name: None })).await?;
            Ok((plan, Purpose::default()))
        };
        plan.boxed_local()
    }

    fn proposes_to(&self) -> Option<&StageBranch> {
        Some(&self.0)
    }
}
