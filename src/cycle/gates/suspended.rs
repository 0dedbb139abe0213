//! Keeps everything back while automation is suspended. It comes last, so that everything that would move is reported.

use futures_util::FutureExt;

use crate::cycle::context::Context;
use crate::cycle::operations::terms::{Mode, Terms};
use crate::plan::decide::Update;
use crate::plan::gate;
use crate::plan::skip::Reason;

use super::gate::{Gate, Verdict, Verdicts};

/// Keeps everything back while automation is suspended.
pub struct Suspended;

impl Gate for Suspended {
    fn name(&self) -> &'static str {
        "suspended"
    }

    fn applies_to(&self, terms: Terms) -> bool {
        terms == Terms::Policies
    }

    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g> {
        let is_suspended = context.mode == Mode::Suspended;
        let verdict = |update: &Update| match gate::judge(update, &context.state.verifications) {
            Ok(gated) if is_suspended => {
                let (file, path) = (&update.file, &update.field.path);
                let detail = format!("{file}: {path} would move to {}, but `agent.suspend` is set", gated.to);
                Verdict::keep(Reason::Suspended, detail)
            }
            _ => Verdict::Pass,
        };
        let verdicts = updates.iter().map(verdict).collect();
        std::future::ready(Ok(verdicts)).boxed_local()
    }
}
