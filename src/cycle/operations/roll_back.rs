//! Returns fields to earlier versions.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::history::learn;
use crate::cycle::history::read_back::Horizon;
use crate::cycle::tip::Tip;
use crate::image::{Reference, Repository, Tag, Version};
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::plan::decide::{Plan, RequestError};
use crate::plan::gate::wanted;
use crate::plan::message::{Act, Purpose};
use crate::plan::rollback;
use crate::plan::tree_config::TreeConfig;
use crate::stage::name::Name;

use super::operation::{Operation, Planned};
use super::request;
use super::terms::{Attribution, Terms};

/// Returns the fields of an image to an earlier version.
#[derive(Debug, Clone)]
pub struct RollBack {
    /// The image.
    pub image: Repository,
    /// The tag to return to, or `None` for the previous version of each field.
    pub to: Option<Tag>,
    /// The stage whose fields return; required if the image is in several.
    pub stage: Option<Name>,
    /// The person or job that requested it, and the reason.
    pub by: Attribution,
}

impl Operation for RollBack {
    fn terms(&self) -> Terms {
        Terms::ByName { respects_holds: false }
    }

    fn inventory(&self, tip: &Tip, config: &TreeConfig, paths: &PathFilter) -> Result<Arc<Inventory>, CycleError> {
        let check = |inventory: &Inventory| rollback::fields(inventory, &self.image, paths).map(drop);
        request::inventory(tip, config, paths, [&self.image], check)
    }

    fn plan<'o>(&'o self, context: &'o mut Context<'_>) -> Planned<'o> {
        self.plan_on(context).boxed_local()
    }
}

impl RollBack {
    async fn plan_on(&self, context: &mut Context<'_>) -> Result<(Plan, Purpose), CycleError> {
        learn::merged_proposals(context).await?;
        let plan = block_in_place(|| self.targets(context))?;
        let reference = |version| Reference { repository: self.image.clone(), version };
        let references: Vec<Reference> = plan.updates.iter().map(|update| reference(wanted(update).1)).collect();
        request::verify(&references, context).await?;
        Ok((plan, request::purpose(Act::RollBack, &self.by)))
    }

    /// Finds the version to which each field returns. A field without an earlier version stays, unless that is true of
    /// all fields.
    fn targets(&self, context: &mut Context<'_>) -> Result<Plan, CycleError> {
        let inventory = Arc::clone(&context.inventory);
        let mut targets = Vec::new();
        let mut without = None;
        let fields = rollback::fields(&inventory, &self.image, context.paths)?;
        for located in rollback::in_stage(fields, self.stage.as_ref(), &context.config.stages, context.paths)? {
            let before = match &self.to {
                Some(tag) => Some(Version::from(tag.clone())),
                None => context.history.previous(context.tip, &located.file, &located.field)?,
            };
            match before {
                Some(version) => targets.push((located, version)),
                None => {
                    let (file, path) = (located.file.clone(), located.field.path.clone());
                    let error = RequestError::NothingBefore { file, path, held: located.field.version.clone() };
                    context.note(error.to_string());
                    without = Some(error);
                }
            }
        }
        let horizon = context.history.horizon().map(Horizon::note);
        horizon.into_iter().for_each(|note| context.note(note));
        if let (true, Some(error)) = (targets.is_empty(), without) {
            context.notes.iter().for_each(|note| tracing::warn!("{note}"));
            return Err(error.into());
        }
        Ok(rollback::plan(&inventory, targets))
    }
}
