//! Keeps back what may be older than a version that someone replaced. The age of the image determines how far back
//! history is read, so this gate comes after those that find it out.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::operations::terms::Terms;
use crate::image::Repository;
use crate::plan::decide::Update;
use crate::plan::gate::{Verification, wanted};

use super::gate::{Gate, Verdict, Verdicts};

/// Keeps back what may be older than a version that someone replaced.
pub struct TakenBack;

impl Gate for TakenBack {
    fn name(&self) -> &'static str {
        "taken back"
    }

    fn applies_to(&self, terms: Terms) -> bool {
        terms == Terms::Policies
    }

    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g> {
        async move {
            let compared = block_in_place(|| compared(updates, context))?;
            context.scan_all_tags(&compared).await;
            block_in_place(|| updates.iter().map(|update| verdict(update, context)).collect())
        }
        .boxed_local()
    }
}

/// Returns the images whose other tags have to be known, because another version that may be newer was deployed before.
/// They are few, so their tags fit into memory.
fn compared(updates: &[Update], context: &mut Context<'_>) -> Result<BTreeSet<Repository>, CycleError> {
    let Context { history, tip, state, .. } = context;
    let mut images = BTreeSet::new();
    for update in updates {
        if let Some(Verification::Complete { dates, .. }) = state.verifications.get(&wanted(update))
            && history.has_other_than(tip, update, dates.earliest())?
        {
            images.insert(update.field.repository.clone());
        }
    }
    Ok(images)
}

fn verdict(update: &Update, context: &mut Context<'_>) -> Result<Verdict, CycleError> {
    let Context { history, tip, state, config, .. } = context;
    if let Some(hold) = history.hold(tip, update, &state.findings, &state.verifications)? {
        let detail = hold.to_string();
        return Ok(Verdict::held(hold, detail));
    }
    let hold = history.hold_on_newer(tip, update, &config.policies, &state.findings, &state.verifications)?;
    Ok(hold.map_or(Verdict::Pass, |hold| {
        let detail = format!("{hold}; {} is not known to be newer", wanted(update).1);
        Verdict::held(hold, detail)
    }))
}
