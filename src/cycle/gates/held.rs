//! Keeps back what is held: by name, or because someone recently replaced it.
//!
//! It comes first, so that registries are not queried about images that stay anyway. Before anything passes, the forge is
//! queried about squashed commits.

use futures_util::FutureExt;
use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::history::learn;
use crate::cycle::operations::terms::Terms;
use crate::plan::decide::Update;

use super::gate::{Gate, Refusal, Verdict, Verdicts};

/// Keeps back what is held.
pub struct Held;

impl Gate for Held {
    fn name(&self) -> &'static str {
        "held"
    }

    fn applies_to(&self, terms: Terms) -> bool {
        terms.respects_holds()
    }

    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g> {
        async move {
            let verdicts = verdicts(updates, context)?;
            let all_held = !verdicts.contains(&Verdict::Pass);
            // The forge is only queried if that can make a difference.
            if all_held || !learn::merged_proposals(context).await? {
                return Ok(verdicts);
            }
            self::verdicts(updates, context)
        }
        .boxed_local()
    }

    fn error(&self, update: &Update, refusal: &Refusal) -> Option<CycleError> {
        let (image, file) = (update.field.repository.clone(), update.file.clone());
        Some(CycleError::Held { image, file, hold: refusal.hold.clone()? })
    }
}

fn verdicts(updates: &[Update], context: &mut Context<'_>) -> Result<Vec<Verdict>, CycleError> {
    block_in_place(|| updates.iter().map(|update| verdict(update, context)).collect())
}

fn verdict(update: &Update, context: &mut Context<'_>) -> Result<Verdict, CycleError> {
    let Context { history, tip, state, .. } = context;
    let hold = history.hold(tip, update, &state.findings, &state.verifications)?;
    Ok(hold.map_or(Verdict::Pass, |hold| {
        let detail = hold.to_string();
        Verdict::held(hold, detail)
    }))
}
