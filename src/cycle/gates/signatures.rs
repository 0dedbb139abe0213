//! Requires the proof of origin that the policy of the image asks for. It comes late, so that registries are asked only
//! about images that would win, and before the tags are asked again: the digest that was signed is the one that runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::{FutureExt, StreamExt, stream};
use jiff::Timestamp;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::origin::prove::{Finding, Question, prove};
use crate::cycle::origin::requirement::{ReadRequirement, RequirementError};
use crate::cycle::time_limit::{before, unfinished};
use crate::image::{Digest, Reference};
use crate::plan::decide::Update;
use crate::plan::gate::{self, Verification, Wanted, all_wanted};
use crate::plan::skip::Reason;
use crate::policy::origin::OriginRule;
use crate::policy::rule::{PolicySet, Rule};
use crate::progress::Counter;
use crate::registry::error::RegistryError;

use super::gate::{Gate, Refusal, Verdict, Verdicts};
use super::strike;

/// The number of images that are verified at a time; the client limits the requests to each host.
const IMAGES: usize = 8;

/// Requires the proof of origin that the policy of the image asks for.
pub struct Signatures;

/// What policies require, each read once.
type Requirements<'r> = Vec<(&'r OriginRule, Result<ReadRequirement, RequirementError>)>;

/// An image that is complete and needs proof of its origin.
struct Open<'r> {
    wanted: Wanted,
    digest: Digest,
    rule: &'r Rule,
    origin: &'r OriginRule,
}

/// Why nothing was found out about an image.
enum Failure {
    /// The registry could not be asked.
    Registry(RegistryError),
    /// The registry did not finish in time.
    Unfinished(String),
}

impl Gate for Signatures {
    fn name(&self) -> &'static str {
        "signatures"
    }

    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g> {
        async move {
            let failed = prove_all(updates, context).await;
            if let Some(error) = failed.filter(|_| context.terms.is_by_name()) {
                return Err(error.into());
            }
            let struck = strike::strike(updates, context).await;
            let verdict = |update: &Update| {
                if struck.contains(&update.field.repository) {
                    return Verdict::ChooseAgain;
                }
                if is_open(update, context) {
                    let detail = format!(
                        "{}: there was no time to verify the signatures of the image in this cycle; the next one continues",
                        update.file
                    );
                    return Verdict::keep(Reason::NoCandidate, detail);
                }
                gate::judge(update, &context.state.verifications)
                    .map_or_else(|(reason, detail)| Verdict::keep(reason, detail), |_| Verdict::Pass)
            };
            Ok(updates.iter().map(verdict).collect())
        }
        .boxed_local()
    }

    fn error(&self, _update: &Update, refusal: &Refusal) -> Option<CycleError> {
        (refusal.reason == Reason::BlockedSignature).then(|| CycleError::Unproven(refusal.detail.clone()))
    }
}

/// Returns whether an image of an update is complete and still needs proof.
fn is_open(update: &Update, context: &Context<'_>) -> bool {
    all_wanted(update).iter().any(|wanted| {
        let verification = context.state.verifications.get(wanted);
        let is_unproven = matches!(verification, Some(Verification::Complete { origin: None, .. }));
        is_unproven && context.config.policies.origin_of(&wanted.0).is_some()
    })
}

/// Verifies the signatures of all images that need any, and notes the results. Returns an error of a registry, if there
/// was any. Images for which there is no time remain open.
async fn prove_all(updates: &[Update], context: &mut Context<'_>) -> Option<RegistryError> {
    let Context { services, state, config, now, .. } = context;
    let open = open(updates, &state.verifications, &config.policies);
    let requirements = &requirements(&open, *now);
    let limit = state.budget.map(|budget| budget.verifications()).unwrap_or_default();
    let progress = &Counter::new("signatures to verify", open.len());
    let (registry, sources) = (&services.registry, &services.sources);
    let answers = stream::iter(open).map(|image| async move {
        let Open { wanted, digest, rule, origin } = image;
        let begun = Instant::now();
        let required = match requirements.iter().find(|(other, _)| *other == origin) {
            Some((_, Ok(required))) => required,
            Some((_, Err(error))) => return Some((wanted, Ok(Finding::nothing(error.detail())))),
            None => return None,
        };
        if !limit.may_begin() {
            return None;
        }
        let question = Question { repository: &wanted.0, version: &wanted.1, digest: &digest, rule };
        let found = match before(limit.end, prove(registry, sources, question, required)).await {
            None if !limit.was_enough(begun) => return None,
            None => Err(Failure::Unfinished(unfinished(&wanted.0, begun))),
            Some(Err(error)) if error.concerns_image() => {
                Ok(Finding::nothing(format!("its signatures cannot be read: {error}")))
            }
            Some(found) => found.map_err(Failure::Registry),
        };
        progress.advance();
        Some((wanted, found))
    });
    let found: Vec<_> = answers.buffer_unordered(IMAGES).collect().await;
    let mut failed = None;
    for (wanted, found) in found.into_iter().flatten() {
        let Some(verification) = state.verifications.get_mut(&wanted) else { continue };
        note(verification, &wanted, &found);
        if let Err(Failure::Registry(error)) = found {
            failed = Some(error);
        }
    }
    failed
}

/// Notes what was found out about the origin of an image.
fn note(verification: &mut Verification, (image, version): &Wanted, found: &Result<Finding, Failure>) {
    match (found, &mut *verification) {
        (Ok(Finding::Proven(proven)), Verification::Complete { origin, .. }) => {
            *origin = Some(Arc::new(proven.clone()))
        }
        (Ok(finding), _) => {
            let detail = finding.detail().unwrap_or_default();
            *verification = Verification::Unproven(format!(
                "{}: {detail}",
                Reference { repository: image.clone(), version: version.clone() }
            ));
        }
        (Err(Failure::Registry(error)), _) => *verification = Verification::Unknown(error.to_string()),
        (Err(Failure::Unfinished(detail)), _) => *verification = Verification::Unknown(detail.clone()),
    }
}

/// Returns the images that are complete and need proof of their origin.
fn open<'r>(updates: &[Update], verifications: &gate::Verifications, policies: &'r PolicySet) -> Vec<Open<'r>> {
    let mut open: BTreeMap<Wanted, Open<'r>> = BTreeMap::new();
    for wanted in updates.iter().flat_map(all_wanted) {
        let Some(rule) = policies.rule_for(&wanted.0) else { continue };
        if let (Some(origin), Some(Verification::Complete { digest, origin: None, .. })) =
            (&rule.origin, verifications.get(&wanted))
        {
            open.insert(wanted.clone(), Open { wanted, digest: digest.clone(), rule, origin });
        }
    }
    open.into_values().collect()
}

/// Reads what policies require.
fn requirements<'r>(open: &[Open<'r>], now: Timestamp) -> Requirements<'r> {
    let mut requirements = Requirements::new();
    for Open { origin, .. } in open {
        if !requirements.iter().any(|(other, _)| other == origin) {
            requirements.push((origin, ReadRequirement::of(origin, now)));
        }
    }
    requirements
}
