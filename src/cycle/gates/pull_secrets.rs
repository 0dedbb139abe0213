//! Requires that the pods of the image can pull it, as far as their pull secrets are in the repository.

use futures_util::FutureExt;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::secrets::pull_secrets;
use crate::plan::decide::Update;

use super::gate::{Gate, Refusal, Verdicts};
use super::secrets;

/// Requires that the pods of the image can pull it.
pub struct PullSecrets;

impl Gate for PullSecrets {
    fn name(&self) -> &'static str {
        "pull secrets"
    }

    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g> {
        async move {
            let closures = &context.inventory.closures;
            let (flaws, notes) = pull_secrets::flaws(context.services, context.tip, closures, updates).await?;
            notes.into_iter().for_each(|note| context.note(note));
            let of = |update: &Update| flaws.get(&(update.file.clone(), update.field.repository.clone())).cloned();
            Ok(secrets::verdicts(updates.iter().map(of).collect(), context))
        }
        .boxed_local()
    }

    fn error(&self, _update: &Update, refusal: &Refusal) -> Option<CycleError> {
        Some(CycleError::Secret(refusal.detail.clone()))
    }
}
