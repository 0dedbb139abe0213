//! Images that a person names: their fields and their verification.

use std::sync::Arc;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::gates::image;
use crate::cycle::tip::Tip;
use crate::image::{Reference, Repository};
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::manifest::prefilter::Prefilter;
use crate::plan::decide::RequestError;
use crate::plan::message::{Act, Purpose};
use crate::plan::rollback;
use crate::plan::tree_config::TreeConfig;

use super::terms::Attribution;

/// Returns the fields of images that `check` accepts. If there are none, the whole tree is read, because only then are
/// similar names known.
pub fn inventory<'n>(
    tip: &Tip,
    config: &TreeConfig,
    paths: &PathFilter,
    images: impl IntoIterator<Item = &'n Repository>,
    check: impl Fn(&Inventory) -> Result<(), RequestError>,
) -> Result<Arc<Inventory>, CycleError> {
    let inventory = tip.inventory(&config.field_rules, &Prefilter::from_images(images.into_iter()))?;
    if check(&inventory).is_ok() {
        return Ok(inventory);
    }
    let inventory = tip.inventory(&config.field_rules, &Prefilter::Everything)?;
    match check(&inventory) {
        Ok(()) => Ok(inventory),
        Err(error) => {
            inventory.notes(paths)?.iter().for_each(|note| tracing::warn!("{note}"));
            Err(error.into())
        }
    }
}

/// Returns the fields of an image that has to be in the tree, even if all of them are overridden.
pub fn inventory_of(
    image: &Repository,
    tip: &Tip,
    config: &TreeConfig,
    paths: &PathFilter,
) -> Result<Arc<Inventory>, CycleError> {
    inventory(tip, config, paths, [image], |inventory| rollback::known(inventory, image))
}

/// Verifies references, unless that was done for an earlier tip.
pub async fn verify(references: &[Reference], context: &mut Context<'_>) -> Result<(), CycleError> {
    let Context { services, state, config, now, .. } = context;
    if state.verifications.is_empty() {
        state.verifications =
            image::requested(&services.registry, &state.part_cache, references, &config.policies, *now).await?;
    }
    Ok(())
}

/// Returns the purpose of a commit that a person requested.
pub fn purpose(act: Act, by: &Attribution) -> Purpose {
    Purpose { act, actor: by.actor.clone(), reason: by.reason.clone(), ..Purpose::default() }
}
