//! Requires that the deployment windows of a stage are still open. Planning has checked that already; but the other
//! gates take time, so this is checked again right before the push.

use futures_util::FutureExt;
use tokio::task::block_in_place;

use crate::clock;
use crate::cycle::context::Context;
use crate::cycle::operations::terms::Terms;
use crate::cycle::schedules;
use crate::plan::decide::Update;
use crate::plan::skip::Reason;
use crate::window::schedule::Schedule;

use super::gate::{Gate, Verdict, Verdicts};

/// Requires that the deployment windows of a stage are open.
pub struct Window;

impl Gate for Window {
    fn name(&self) -> &'static str {
        "window"
    }

    fn applies_to(&self, terms: Terms) -> bool {
        terms.promotes() && terms != Terms::Proposal
    }

    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g> {
        async move {
            if updates.iter().all(|update| update.entry.is_none()) {
                return Ok(vec![Verdict::Pass; updates.len()]);
            }
            let schedules = block_in_place(|| schedules::of(context.tip, &context.config.stages))?;
            Ok(updates.iter().map(|update| verdict(update, &schedules, context)).collect())
        }
        .boxed_local()
    }
}

fn verdict(update: &Update, schedules: &[Schedule], context: &Context<'_>) -> Verdict {
    let stage = update.entry.as_ref().and_then(|entry| context.config.stages.named(&entry.stage));
    match stage.and_then(|stage| schedules::closed(schedules, stage, clock::now())) {
        Some(wait) => Verdict::keep(Reason::Window, wait.detail),
        None => Verdict::Pass,
    }
}
