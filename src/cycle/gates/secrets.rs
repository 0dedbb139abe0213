//! Requires that the SOPS files that are deployed with the field decrypt, and that no Secret among them is in
//! plaintext.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::secrets::verify::Strictness;
use crate::plan::decide::Update;
use crate::plan::skip::Reason;

use super::gate::{Gate, Refusal, Verdict, Verdicts};

/// Requires that the SOPS files that are deployed with the field decrypt.
pub struct Secrets;

impl Gate for Secrets {
    fn name(&self) -> &'static str {
        "secrets"
    }

    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g> {
        async move {
            let files: BTreeSet<&str> = updates.iter().map(|update| update.file.as_str()).collect();
            let (secrets, closures) = (&context.services.secrets, &context.inventory.closures);
            let flaws = block_in_place(|| secrets.flaws(context.tip, closures, &files))?;
            let flaws = updates.iter().map(|update| flaws.get(&update.file).cloned());
            Ok(verdicts(flaws.collect(), context))
        }
        .boxed_local()
    }

    fn error(&self, _update: &Update, refusal: &Refusal) -> Option<CycleError> {
        Some(CycleError::Secret(refusal.detail.clone()))
    }
}

/// Returns the verdicts on updates whose secrets have these flaws. If configured so, a flaw only results in a note.
pub fn verdicts(flaws: Vec<Option<String>>, context: &mut Context<'_>) -> Vec<Verdict> {
    let warns = context.services.secrets.strictness() == Strictness::Warn;
    let mut verdict = |flaw: Option<String>| match flaw {
        None => Verdict::Pass,
        Some(flaw) if warns => {
            context.note(flaw);
            Verdict::Pass
        }
        Some(flaw) => Verdict::keep(Reason::BlockedSecret, flaw),
    };
    flaws.into_iter().map(&mut verdict).collect()
}
