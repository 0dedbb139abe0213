//! The list of all gates, and the function that takes a plan through them.

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::plan::decide::{Plan, Update};
use crate::plan::gate::{self, GatedPlan};
use crate::plan::skip::{Reason, Skipped};
use crate::plan::trailer::Hold;

use super::age::Age;
use super::closed_proposals::ClosedProposals;
use super::encrypted::Encrypted;
use super::gate::{Gate, Refusal, Verdict};
use super::held::Held;
use super::image::Image;
use super::moved::Moved;
use super::older::Older;
use super::pull_secrets::PullSecrets;
use super::same_bytes::SameBytes;
use super::secrets::Secrets;
use super::signatures::Signatures;
use super::suspended::Suspended;
use super::taken_back::TakenBack;
use super::window::Window;

/// All gates, in the order in which an update has to pass them. Gates without requests come before those that send
/// some, unless they need the results.
const GATES: [&dyn Gate; 14] = [
    &Held,
    &Image,
    &SameBytes,
    &Age,
    &Older,
    &TakenBack,
    &ClosedProposals,
    &Encrypted,
    &Secrets,
    &PullSecrets,
    &Signatures,
    &Moved,
    &Window,
    &Suspended,
];

/// The result of all gates.
pub struct Passed {
    /// The updates that passed.
    pub gated: GatedPlan,
    /// The fields that stay.
    pub skipped: Vec<Skipped>,
    /// The holds that keep some of them back.
    pub holds: Vec<Hold>,
}

/// Takes a plan through all gates. Returns `None` if it has to be made again, because a chosen tag turned out to be
/// broken and its policy falls back to the next best one.
pub async fn pass(plan: Plan, context: &mut Context<'_>) -> Result<Option<Passed>, CycleError> {
    let Plan { mut updates, mut skipped, .. } = plan;
    let mut holds = Vec::new();
    let terms = context.terms;
    for gate in GATES.iter().filter(|gate| gate.applies_to(terms)) {
        if updates.is_empty() {
            break;
        }
        let verdicts = gate.judge(&updates, context).await?;
        if verdicts.contains(&Verdict::ChooseAgain) {
            return Ok(None);
        }
        let mut passed = Vec::with_capacity(updates.len());
        let mut kept: Vec<(Update, Reason)> = Vec::new();
        for (update, verdict) in updates.into_iter().zip(verdicts) {
            let Verdict::Keep(refusal) = verdict else {
                passed.push(update);
                continue;
            };
            if let Some(error) = gate.error(&update, &refusal).filter(|_| terms.is_by_name()) {
                return Err(error);
            }
            let Refusal { reason, detail, hold } = refusal;
            tracing::debug!(gate = gate.name(), file = update.file, %reason, detail, "an update was kept back");
            skipped.insert(Skipped::field(&update.file, &update.field, update.tag.clone(), reason, detail));
            holds.extend(hold.map(|hold| *hold));
            kept.push((update, reason));
        }
        updates = passed;
        skipped.extend(keep_together(&mut updates, &kept));
    }
    let (gated, unverified) = gate::pass(updates, &context.state.verifications, &context.config.policies);
    skipped.extend(unverified);
    Ok(Some(Passed { gated, skipped: skipped.into_iter().collect(), holds }))
}

/// Removes the updates whose scalar is also that of an update that was kept back, and those of the same release: it
/// enters a stage as a whole, or not at all.
fn keep_together(updates: &mut Vec<Update>, kept: &[(Update, Reason)]) -> Vec<Skipped> {
    let mut skipped = Vec::new();
    updates.retain(|update| {
        let shares =
            |(other, _): &&(Update, Reason)| other.file == update.file && other.field.shares_scalar_with(&update.field);
        let is_of_release = |(other, _): &&(Update, Reason)| update.entry.is_some() && other.entry == update.entry;
        let (detail, reason) = if let Some((other, reason)) = kept.iter().find(shares) {
            let (file, path, image) = (&update.file, &update.field.path, &other.field.repository);
            (format!("{file}: {path} is the tag of {image} too, which is kept back"), reason)
        } else if let Some((other, reason)) = kept.iter().find(is_of_release) {
            let (file, path, image) = (&update.file, &update.field.path, &other.field.repository);
            (format!("{file}: {path} stays because {image} of the same release is kept back in {}", other.file), reason)
        } else {
            return true;
        };
        skipped.push(Skipped::field(&update.file, &update.field, update.tag.clone(), *reason, detail));
        false
    });
    skipped
}
