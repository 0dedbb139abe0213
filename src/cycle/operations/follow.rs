//! Follows the policies: every field moves to the tag that its policy chooses, if all gates allow it.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::idle::{self, Thoroughness};
use crate::cycle::stages::planning as stages;
use crate::cycle::tip::Tip;
use crate::image::Repository;
use crate::manifest::file_kind::REPOSITORY_FILE;
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::manifest::prefilter::Prefilter;
use crate::plan::decide::{self, Plan};
use crate::plan::message::Purpose;
use crate::plan::together;
use crate::plan::tree_config::TreeConfig;
use crate::stage::group::groups;

use super::operation::{Operation, Planned};
use super::request;
use super::terms::Terms;

/// Follows the policies of all images.
#[derive(Debug, Clone, Copy)]
pub struct Follow;

/// Follows the policy of one image, which has to be in the tree.
#[derive(Debug, Clone, Copy)]
pub struct FollowOne<'i>(pub &'i Repository);

impl Operation for Follow {
    fn terms(&self) -> Terms {
        Terms::Policies
    }

    fn inventory(&self, tip: &Tip, config: &TreeConfig, _paths: &PathFilter) -> Result<Arc<Inventory>, CycleError> {
        Ok(tip.inventory(&config.field_rules, &config.prefilter())?)
    }

    fn plan<'o>(&'o self, context: &'o mut Context<'_>) -> Planned<'o> {
        let follow = async move {
            note_idle(context)?;
            plan(context).await
        };
        follow.boxed_local()
    }
}

impl Operation for FollowOne<'_> {
    fn terms(&self) -> Terms {
        Terms::Policies
    }

    fn inventory(&self, tip: &Tip, config: &TreeConfig, paths: &PathFilter) -> Result<Arc<Inventory>, CycleError> {
        let own = request::inventory_of(self.0, tip, config, paths)?;
        if config.stages.is_empty() {
            return Ok(own);
        }
        // What enters a stage depends on the other images of the release.
        let whole = tip.inventory(&config.field_rules, &Prefilter::Everything)?;
        match groups(&config.stages, &whole).into_iter().find(|group| group.images.contains(self.0)) {
            Some(group) => Ok(tip.inventory(&config.field_rules, &Prefilter::from_images(group.images.iter()))?),
            None => Ok(own),
        }
    }

    fn plan<'o>(&'o self, context: &'o mut Context<'_>) -> Planned<'o> {
        plan(context).boxed_local()
    }
}

/// Notes the policies and paths without effect. In the agent, where the notes of each cycle are the same, similar names are
/// not searched for.
fn note_idle(context: &mut Context<'_>) -> Result<(), CycleError> {
    let thoroughness = match context.state.budget {
        Some(_) => Thoroughness::Quick,
        None => Thoroughness::WithSimilar,
    };
    let notes =
        block_in_place(|| idle::notes(context.tip, &context.config, &context.inventory, context.paths, thoroughness))?;
    notes.into_iter().for_each(|note| context.note(note));
    Ok(())
}

async fn plan(context: &mut Context<'_>) -> Result<(Plan, Purpose), CycleError> {
    if context.config.policies.rules.is_empty() {
        context.note("no policy is configured, so no image is followed".to_owned());
    }
    if !context.findings_cache.begin(context.tip.file(REPOSITORY_FILE)?) {
        // The policies have changed since the registries were scanned.
        context.state.findings.clear();
    }
    context.scan().await;
    let together = together::images(&context.inventory, &context.config);
    context.scan_all_tags(&together).await;
    block_in_place(|| context.services.registry.flush());
    let Context { inventory, config, state, .. } = context;
    let first = state.first_inventory(inventory);
    let mut plan = decide::by_policy(inventory, config, &state.findings);
    if !Arc::ptr_eq(&first, inventory) {
        decide::leave_moved(&mut plan, &first);
    }
    plan.skipped.extend(state.broken.iter().cloned());
    let overdue = plan.incomplete.iter().filter(|incomplete| incomplete.due <= context.now);
    context.concerns.incomplete = overdue.map(|incomplete| incomplete.detail.clone()).collect();
    context.concerns.incomplete.clone().into_iter().for_each(|note| context.note(note));
    stages::plan(context, &mut plan, None).await?;
    let notes: Vec<String> =
        context.state.notes.iter().map(|note| &note.text).chain(&context.state.progress).cloned().collect();
    notes.into_iter().for_each(|note| context.note(note));
    Ok((plan, Purpose::default()))
}
