//! Releases that a person names.

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::stages::planning;
use crate::stage::name::Name;
use crate::stage::release_name::{self, KnownRelease};
use crate::stage::request::StageRequestError;

/// Returns the release that a person means: any by its whole ID, or a known one.
pub fn release(name: &str, stage: &Name, context: &mut Context<'_>) -> Result<KnownRelease, CycleError> {
    let known = known(stage, context)?;
    Ok(release_name::find(name, &known).map_err(StageRequestError::from)?)
}

/// Returns the releases that names may refer to: those that the stages before have held, and those that were approved for the
/// stage.
fn known(stage: &Name, context: &mut Context<'_>) -> Result<Vec<KnownRelease>, CycleError> {
    let orders = context.memory.stage_orders(context.tip, &mut context.history)?;
    let approved = orders.approvals.iter().filter(|approval| approval.what.stage == *stage);
    let approved = approved.map(|approval| approval.what.release.clone());
    Ok(planning::releases_before(stage, context)?.into_iter().chain(approved).collect())
}
