//! Requires that a field in a SOPS file can be edited: an identity has to decrypt the file, so that its message
//! authentication code can be updated.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::plan::decide::{RequestError, Update};
use crate::plan::skip::Reason;

use super::gate::{Gate, Refusal, Verdict, Verdicts};

/// Requires that a field in a SOPS file can be edited.
pub struct Encrypted;

impl Gate for Encrypted {
    fn name(&self) -> &'static str {
        "encrypted"
    }

    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g> {
        async move {
            let files: BTreeSet<&str> =
                updates.iter().filter(|update| update.encrypted).map(|update| update.file.as_str()).collect();
            let open = block_in_place(|| context.services.secrets.openable(context.tip, &files))?;
            let verdict = |update: &Update| {
                if !update.encrypted || open.contains(update.file.as_str()) {
                    return Verdict::Pass;
                }
                Verdict::keep(Reason::BlockedSecret, update.why_encrypted())
            };
            Ok(updates.iter().map(verdict).collect())
        }
        .boxed_local()
    }

    fn error(&self, _update: &Update, refusal: &Refusal) -> Option<CycleError> {
        Some(CycleError::Request(RequestError::Encrypted(refusal.detail.clone())))
    }
}
