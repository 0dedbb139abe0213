//! Writes the given references into every field of their images.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::tip::Tip;
use crate::image::{Reference, Repository, Version, chart};
use crate::manifest::edit::FollowRefs;
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::plan::decide::{self, Plan, Requested, Update};
use crate::plan::gate::{Verification, Verifications, wanted};
use crate::plan::message::{Act, Purpose};
use crate::plan::tree_config::TreeConfig;
use crate::policy::dates::is_ahead;
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::stage::name::Name;
use crate::stage::request as stages;

use super::operation::{Operation, Planned};
use super::request;
use super::terms::{Attribution, Terms};

/// Writes the given references.
#[derive(Debug, Clone)]
pub struct Set {
    /// The references to write into every field of their images.
    pub references: Vec<Reference>,
    /// Allows fields to go back to an older build.
    pub allow_downgrade: bool,
    /// Allows versions that are held.
    pub force: bool,
    /// The stage to write into; without one, stages that receive their releases from others are left alone.
    pub stage: Option<Name>,
    /// Determines whether the refs of remote bases are updated too.
    pub follow: FollowRefs,
    /// The time to wait for an image that is not in its registry yet.
    pub wait_image: Duration,
    /// The person or job that requested it, and the reason.
    pub by: Attribution,
}

impl Operation for Set {
    fn terms(&self) -> Terms {
        Terms::ByName { respects_holds: !self.force }
    }

    fn inventory(&self, tip: &Tip, config: &TreeConfig, paths: &PathFilter) -> Result<Arc<Inventory>, CycleError> {
        let images = self.references.iter().map(|reference| &reference.repository);
        let check = |inventory: &Inventory| decide::as_requested(inventory, &self.references, paths).map(drop);
        request::inventory(tip, config, paths, images, check)
    }

    fn plan<'o>(&'o self, context: &'o mut Context<'_>) -> Planned<'o> {
        self.plan_on(context).boxed_local()
    }

    fn awaited(&self) -> (&[Reference], Duration) {
        (&self.references, self.wait_image)
    }

    fn follow_refs(&self) -> FollowRefs {
        self.follow
    }
}

impl Set {
    async fn plan_on(&self, context: &mut Context<'_>) -> Result<(Plan, Purpose), CycleError> {
        let Requested { mut plan, notes } = decide::as_requested(&context.inventory, &self.references, context.paths)?;
        notes.into_iter().for_each(|note| context.note(note));
        self.keep_to_stages(&mut plan, context)?;
        request::verify(&self.references, context).await?;
        for update in &mut plan.updates {
            match direction(update, &context.state.verifications, &context.services.registry, context.now).await? {
                Direction::Back if !self.allow_downgrade => {
                    return Err(CycleError::Downgrade {
                        image: update.field.repository.clone(),
                        held: update.field.version.to_string(),
                        to: wanted(update).1.to_string(),
                        file: update.file.clone(),
                    });
                }
                Direction::Forward => {}
                // A version that was replaced on purpose must not return by itself.
                Direction::Back | Direction::Unknown => update.goes_back = self.allow_downgrade,
            }
        }
        let forced = if self.force { block_in_place(|| held(&plan, context))? } else { Vec::new() };
        Ok((plan, Purpose { forced, ..request::purpose(Act::Deploy, &self.by) }))
    }
}

impl Set {
    /// Removes the fields of other stages than the one that is named, or of those that receive releases.
    fn keep_to_stages(&self, plan: &mut Plan, context: &mut Context<'_>) -> Result<(), CycleError> {
        let stages = &context.config.stages;
        if let Some(stage) = &self.stage {
            stages::stage(stages, stage)?;
        }
        let is_left = |update: &mut Update| match (&self.stage, stages.of(&update.file)) {
            (Some(wanted), own) => own.is_none_or(|own| own.name != *wanted),
            (None, Some(own)) => own.from.is_some() && context.paths.is_everything(),
            (None, None) => false,
        };
        let left: Vec<Update> = plan.updates.extract_if(.., is_left).collect();
        for update in left {
            let Some(own) = stages.of(&update.file).filter(|_| self.stage.is_none()) else { continue };
            let (file, path, name) = (&update.file, &update.field.path, &own.name);
            let note = format!(
                "{file}: {path} is left alone, because the stage {name} receives its releases from another one; use \
                 `tagalong promote {name}`, or --stage {name} to write it anyway"
            );
            if !context.notes.contains(&note) {
                context.notes.push(note);
            }
        }
        Ok(())
    }
}

/// Returns the versions in a plan that are held.
fn held(plan: &Plan, context: &mut Context<'_>) -> Result<Vec<(Repository, Version)>, CycleError> {
    let Context { history, tip, state, .. } = context;
    let mut held = Vec::new();
    for update in &plan.updates {
        if history.hold(tip, update, &state.findings, &state.verifications)?.is_some() {
            held.push(wanted(update));
        }
    }
    Ok(held)
}

/// The direction in which a field would move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// To an image that was built later.
    Forward,
    /// To an image that was built earlier.
    Back,
    /// The age of one of them is not known.
    Unknown,
}

async fn direction(
    update: &Update,
    verifications: &Verifications,
    registry: &Client,
    now: Timestamp,
) -> Result<Direction, RegistryError> {
    let version = &update.field.version;
    // The index of a repository can be made again, with new dates for all versions.
    if let (true, Some(old), Some(new)) = (update.field.repository.is_chart(), &version.tag, &update.tag)
        && let Some(order) = chart::compare(new, old)
    {
        return Ok(if order.is_lt() { Direction::Back } else { Direction::Forward });
    }
    let old = if version.is_empty() {
        None
    } else {
        match registry.image(&update.field.repository, version).await {
            Ok(image) => image.created.filter(|built| !is_ahead(*built, now)),
            Err(error) if error.is_not_found() => None,
            Err(RegistryError::InvalidResponse { .. }) => None,
            Err(error) => return Err(error),
        }
    };
    let new = match verifications.get(&wanted(update)) {
        Some(Verification::Complete { dates, .. }) => dates.built,
        _ => None,
    };
    Ok(match (old, new) {
        (Some(old), Some(new)) if old > new => Direction::Back,
        (Some(_), Some(_)) => Direction::Forward,
        _ => Direction::Unknown,
    })
}
