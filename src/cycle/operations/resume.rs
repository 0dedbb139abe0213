//! Ends the holds on an image or on one version of it, by a commit that changes no file.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::history::learn;
use crate::cycle::history::read_back::Depth;
use crate::cycle::stages::reviews;
use crate::cycle::tip::Tip;
use crate::cycle::write::pull_requests;
use crate::manifest::edit::FollowRefs;
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::plan::decide::Plan;
use crate::plan::message::{Act, Purpose};
use crate::plan::trailer::Target;
use crate::plan::tree_config::TreeConfig;

use super::operation::{Operation, Planned};
use super::request;
use super::terms::{Attribution, Terms};

/// Ends the holds on an image or on one version of it.
#[derive(Debug, Clone)]
pub struct Resume {
    /// The image, or one version of it.
    pub target: Target,
    /// The person or job that requested it, and the reason.
    pub by: Attribution,
}

impl Operation for Resume {
    fn terms(&self) -> Terms {
        Terms::ByName { respects_holds: false }
    }

    fn inventory(&self, tip: &Tip, config: &TreeConfig, paths: &PathFilter) -> Result<Arc<Inventory>, CycleError> {
        request::inventory_of(&self.target.image, tip, config, paths)
    }

    fn plan<'o>(&'o self, context: &'o mut Context<'_>) -> Planned<'o> {
        self.plan_on(context).boxed_local()
    }

    fn follow_refs(&self) -> FollowRefs {
        FollowRefs::No
    }
}

impl Resume {
    async fn plan_on(&self, context: &mut Context<'_>) -> Result<(Plan, Purpose), CycleError> {
        let forge = context.services.forge.as_deref();
        let pull_requests = pull_requests::query(forge, &mut context.state.pull_requests).await?.clone();
        pull_requests.stale.into_iter().for_each(|why| context.note(why));
        context.history.add_closed(pull_requests.closed);
        learn::keep(context, &pull_requests.merged);
        reviews::add_closed(context).await;
        let act = if block_in_place(|| self.is_held(context))? {
            Act::Resume(self.target.clone())
        } else {
            context.note(format!("{}: there is no hold to end", self.target));
            Act::Deploy
        };
        Ok((Plan::default(), request::purpose(act, &self.by)))
    }

    /// Returns whether there is a hold to end: by name, by a closed pull request, or from the history of a field.
    fn is_held(&self, context: &mut Context<'_>) -> Result<bool, CycleError> {
        let Context { history, tip, inventory, .. } = context;
        let (image, target) = (&self.target.image, &self.target);
        if history.named(tip)?.all().iter().any(|hold| target.covers(&hold.target))
            || history.held_by_closing(tip, image)?.iter().any(|hold| target.covers(&hold.target))
        {
            return Ok(true);
        }
        for depth in [Depth::Usual, Depth::Everything] {
            for located in inventory.fields.iter().filter(|located| located.field.repository == *image) {
                let holds = history.held_by_history(tip, &located.file, &located.field, depth)?;
                if holds.iter().any(|hold| target.covers(&hold.target)) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
