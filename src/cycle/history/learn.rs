//! Asks the forge what merged pull requests proposed, for squashed commits whose messages have lost it.

use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::operations::terms::Terms;
use crate::cycle::write::pull_requests;
use crate::plan::proposal::MergedPullRequest;

use super::merged_proposals::MergedProposals;

/// Learns from the forge what merged pull requests proposed, if a forge is configured. Returns whether anything is new, so
/// that history has to be read again.
pub async fn merged_proposals(context: &mut Context<'_>) -> Result<bool, CycleError> {
    let Some(forge) = context.services.forge.as_deref() else { return Ok(false) };
    let (stale, merged) = match pull_requests::query(Some(forge), &mut context.state.pull_requests).await {
        Ok(found) => (found.stale.clone(), found.merged.clone()),
        // Only what is proposed depends on the forge anyway.
        Err(error) if context.terms != Terms::Policies => (Some(error.to_string()), Vec::new()),
        Err(error) => return Err(error),
    };
    stale.into_iter().for_each(|why| context.note(why));
    Ok(keep(context, &merged))
}

/// Keeps what merged pull requests proposed. Returns whether anything is new.
pub fn keep(context: &mut Context<'_>, merged: &[MergedPullRequest]) -> bool {
    let is_new = block_in_place(|| MergedProposals::keep(&context.tip.clone, context.tip.commit, merged));
    if is_new {
        context.history.forget();
        context.memory.with(|memory| memory.moves = None);
    }
    is_new
}
