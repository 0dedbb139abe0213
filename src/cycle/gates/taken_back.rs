//! Nothing is written that is older than what was taken back. How far back history is read for that follows from when the
//! image was built, so this gate comes behind those that found it out.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::operations::terms::Terms;
use crate::image::Repository;
use crate::plan::decide::Update;
use crate::plan::gate::{ImageProof, wanted};

use super::gate::{Gate, Verdict, Verdicts};

/// Nothing is written that is older than what was taken back.
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

/// The images whose other tags have to be known: something else was deployed before that is not known to be older. They
/// are few, so that their tags fit into memory.
fn compared(updates: &[Update], context: &mut Context<'_>) -> Result<BTreeSet<Repository>, CycleError> {
    let Context { history, tip, state, .. } = context;
    let mut images = BTreeSet::new();
    for update in updates {
        if let Some(ImageProof::Whole { created, .. }) = state.proofs.get(&wanted(update))
            && history.has_other_than(tip, update, *created)?
        {
            images.insert(update.field.repository.clone());
        }
    }
    Ok(images)
}

fn verdict(update: &Update, context: &mut Context<'_>) -> Result<Verdict, CycleError> {
    let Context { history, tip, state, config, .. } = context;
    if let Some(hold) = history.hold(tip, update, &state.findings, &state.proofs)? {
        let detail = hold.to_string();
        return Ok(Verdict::held(hold, detail));
    }
    let hold = history.hold_on_newer(tip, update, &config.policies, &state.findings, &state.proofs)?;
    Ok(hold.map_or(Verdict::Pass, |hold| {
        let detail = format!("{hold}; {} is not known to be newer", wanted(update).1);
        Verdict::held(hold, detail)
    }))
}
