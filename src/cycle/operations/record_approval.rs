//! Records who approved a promotion at the forge, in a commit that changes no file.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::stages::planning;
use crate::cycle::tip::Tip;
use crate::manifest::edit::FollowRefs;
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::manifest::prefilter::Prefilter;
use crate::plan::approved_promotion::ApprovedPromotion;
use crate::plan::decide::Plan;
use crate::plan::message::{Act, Purpose};
use crate::plan::tree_config::TreeConfig;

use super::operation::{Operation, Planned};
use super::terms::Terms;

/// Records who approved a promotion, unless history tells that already.
#[derive(Debug, Clone)]
pub struct RecordApproval(pub ApprovedPromotion);

impl Operation for RecordApproval {
    fn terms(&self) -> Terms {
        Terms::ByName { respects_holds: false }
    }

    fn inventory(&self, tip: &Tip, config: &TreeConfig, _paths: &PathFilter) -> Result<Arc<Inventory>, CycleError> {
        Ok(tip.inventory(&config.field_rules, &Prefilter::Everything)?)
    }

    fn plan<'o>(&'o self, context: &'o mut Context<'_>) -> Planned<'o> {
        let ApprovedPromotion { stage, id, .. } = &self.0;
        // Another agent may have been faster.
        let open = block_in_place(|| planning::unrecorded(context));
        let act = open.map(|open| match open.iter().any(|open| open.stage == *stage && open.id == *id) {
            true => Act::Approved(self.0.clone()),
            false => Act::Deploy,
        });
        let purpose = act.map(|act| (Plan::default(), Purpose { act, ..Purpose::default() }));
        std::future::ready(purpose).boxed_local()
    }

    fn follow_refs(&self) -> FollowRefs {
        FollowRefs::No
    }
}
