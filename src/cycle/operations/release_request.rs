//! Releases that a person names.

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::stages::planning::{self, Wanted};
use crate::plan::decide::Plan;
use crate::stage::candidate::Gate;
use crate::stage::name::Name;
use crate::stage::release::ReleaseId;
use crate::stage::release_name::{self, KnownRelease};
use crate::stage::request::StageRequestError;

/// Returns the release that a person means: any by its whole ID, or a known one.
pub fn release(name: &str, stage: &Name, context: &mut Context<'_>) -> Result<KnownRelease, CycleError> {
    let known = known(stage, context)?;
    Ok(release_name::find(name, &known).map_err(StageRequestError::from)?)
}

/// Returns the release that waits for an approval to enter a stage, if it is only one.
pub async fn awaited(stage: &Name, context: &mut Context<'_>) -> Result<KnownRelease, CycleError> {
    let wanted = Wanted { stage, name: None };
    planning::plan(context, &mut Plan::default(), Some(wanted)).await?;
    let next = context.board.iter().filter(|cell| cell.stage == *stage).filter_map(|cell| cell.next.as_ref());
    let waiting = next.filter(|next| next.waits.iter().any(|wait| wait.gate == Gate::Approval.to_string()));
    let known = waiting.filter_map(|next| {
        let id = ReleaseId::parse(next.id.as_deref()?)?;
        Some(KnownRelease { id, tag: next.tag.clone() })
    });
    let known: Vec<KnownRelease> = known.collect();
    match known.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(StageRequestError::NothingWaits { stage: stage.clone() }.into()),
        several => {
            let releases = several.iter().map(|release| release.short().to_owned()).collect();
            Err(StageRequestError::SeveralWait { stage: stage.clone(), releases }.into())
        }
    }
}

/// Returns the releases that names may refer to: those that the stages before have held, and those that were approved for the
/// stage.
fn known(stage: &Name, context: &mut Context<'_>) -> Result<Vec<KnownRelease>, CycleError> {
    let orders = context.memory.stage_orders(context.tip, &mut context.history)?;
    let approved = orders.approvals.iter().filter(|approval| approval.what.stage == *stage);
    let approved = approved.map(|approval| approval.what.release.clone());
    Ok(planning::releases_before(stage, context)?.into_iter().chain(approved).collect())
}
