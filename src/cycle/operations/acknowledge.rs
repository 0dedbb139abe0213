//! Acknowledges that gates of a stage were skipped, by a commit that changes no file.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::tip::Tip;
use crate::manifest::edit::FollowRefs;
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::plan::decide::Plan;
use crate::plan::message::{Act, Purpose};
use crate::plan::stage_order::StageOrder;
use crate::plan::tree_config::TreeConfig;
use crate::repo::signers::people::Role;
use crate::stage::name::Name;
use crate::stage::request as stages;

use super::operation::{Operation, Planned};
use super::request;
use super::terms::{Attribution, Terms};

/// Acknowledges that gates of a stage were skipped.
#[derive(Debug, Clone)]
pub struct Acknowledge {
    /// The stage.
    pub stage: Name,
    /// The person who requested it, and the reason.
    pub by: Attribution,
}

impl Operation for Acknowledge {
    fn terms(&self) -> Terms {
        Terms::ByName { respects_holds: false }
    }

    fn inventory(&self, _tip: &Tip, _config: &TreeConfig, _paths: &PathFilter) -> Result<Arc<Inventory>, CycleError> {
        Ok(Arc::default())
    }

    fn plan<'o>(&'o self, context: &'o mut Context<'_>) -> Planned<'o> {
        let purpose = block_in_place(|| self.purpose(context));
        std::future::ready(purpose.map(|purpose| (Plan::default(), purpose))).boxed_local()
    }

    fn follow_refs(&self) -> FollowRefs {
        FollowRefs::No
    }
}

impl Acknowledge {
    fn purpose(&self, context: &Context<'_>) -> Result<Purpose, CycleError> {
        stages::stage(&context.config.stages, &self.stage)?;
        // Where nobody can prove who they are, the name is taken as it is claimed.
        if !context.tip.clone.people().is_empty() {
            context.tip.clone.own_signer(&[Role::Approver, Role::GlassBreaker])?;
        }
        Ok(request::purpose(Act::Stage(StageOrder::Acknowledge(self.stage.clone())), &self.by))
    }
}
