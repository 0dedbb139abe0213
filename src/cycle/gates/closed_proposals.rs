//! Keeps back what was proposed in a pull request that someone closed without merging it.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::operations::terms::Terms;
use crate::cycle::write::pull_requests;
use crate::plan::decide::Update;
use crate::plan::proposal::ClosedPullRequest;

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
            let verdicts = verdicts(updates, context)?;
            if add_closers(&verdicts, context).await { self::verdicts(updates, context) } else { Ok(verdicts) }
        }
        .boxed_local()
    }
}

fn verdicts(updates: &[Update], context: &mut Context<'_>) -> Result<Vec<Verdict>, CycleError> {
    block_in_place(|| updates.iter().map(|update| verdict(update, context)).collect())
}

/// Adds who closed the pull requests that keep something back. Returns whether somebody was added.
async fn add_closers(verdicts: &[Verdict], context: &mut Context<'_>) -> bool {
    let urls: BTreeSet<&str> = verdicts.iter().filter_map(|verdict| verdict.hold()?.origin.pull_request()).collect();
    let (Some(forge), Some(known)) = (&context.services.forge, &mut context.state.pull_requests) else { return false };
    let is_wanted = |closed: &ClosedPullRequest| urls.contains(closed.url.as_str());
    known.add_closers(forge, is_wanted).await;
    let named: Vec<_> =
        known.closed.iter().filter(|closed| is_wanted(closed) && closed.by.is_some()).cloned().collect();
    let is_any = !named.is_empty();
    context.history.add_closed(named);
    is_any
}

fn verdict(update: &Update, context: &mut Context<'_>) -> Result<Verdict, CycleError> {
    let Context { history, tip, state, .. } = context;
    let hold = history.hold_by_closed(tip, update, &state.findings, &state.verifications)?;
    Ok(hold.map_or(Verdict::Pass, |hold| {
        let detail = hold.to_string();
        Verdict::held(hold, detail)
    }))
}
