//! Keeps back what was proposed in a pull request that someone closed without merging it.

use futures_util::FutureExt;
use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::operations::terms::Terms;
use crate::cycle::write::pull_requests;
use crate::plan::decide::Update;

use super::gate::{Gate, Verdict, Verdicts};

/// Keeps back what was proposed and rejected.
pub struct ClosedProposals;

impl Gate for ClosedProposals {
    fn name(&self) -> &'static str {
        "closed proposals"
    }

    fn applies_to(&self, terms: Terms) -> bool {
        terms == Terms::Policies
    }

    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g> {
        async move {
            let forge = context.services.forge.as_deref();
            let pull_requests = pull_requests::query(forge, &mut context.state.pull_requests).await?.clone();
            pull_requests.stale.into_iter().for_each(|why| context.note(why));
            context.history.add_closed(pull_requests.closed);
            block_in_place(|| updates.iter().map(|update| verdict(update, context)).collect())
        }
        .boxed_local()
    }
}

fn verdict(update: &Update, context: &mut Context<'_>) -> Result<Verdict, CycleError> {
    let Context { history, tip, state, .. } = context;
    let hold = history.hold_by_closed(tip, update, &state.findings, &state.verifications)?;
    Ok(hold.map_or(Verdict::Pass, |hold| {
        let detail = hold.to_string();
        Verdict::held(hold, detail)
    }))
}
