//! The image is old enough for its policy. It was when it was chosen, but tags move: it may have been built again since.

use futures_util::FutureExt;
use jiff::Timestamp;

use crate::cycle::context::Context;
use crate::cycle::operations::terms::Terms;
use crate::plan::decide::Update;
use crate::plan::gate::{ImageProof, wanted};
use crate::plan::skip::Reason;
use crate::policy::rule::Rule;

use super::gate::{Gate, Verdict, Verdicts};

/// The image is old enough for its policy.
pub struct Age;

impl Gate for Age {
    fn name(&self) -> &'static str {
        "age"
    }

    fn applies_to(&self, terms: Terms) -> bool {
        terms == Terms::Policies
    }

    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g> {
        let verdict = |update: &Update| {
            let rule = context.config.policies.rule_for(&update.field.repository);
            let created = match context.state.proofs.get(&wanted(update)) {
                Some(ImageProof::Whole { created, .. }) => *created,
                _ => None,
            };
            let why = rule.and_then(|rule| too_young(rule, created, context.now));
            why.map_or(Verdict::Pass, |why| Verdict::keep(Reason::NoCandidate, why))
        };
        let verdicts = updates.iter().map(verdict).collect();
        std::future::ready(Ok(verdicts)).boxed_local()
    }
}

/// Returns why an image that was built at `created` is too young for a policy, if it is.
pub fn too_young(rule: &Rule, created: Option<Timestamp>, now: Timestamp) -> Option<String> {
    rule.minimum_age?;
    match created {
        Some(created) => rule.ripe_at(created).filter(|ripe| *ripe > now).map(waits),
        None => Some(unknown_age()),
    }
}

/// Says how long an image has to wait.
pub fn waits(ripe: Timestamp) -> String {
    format!("waits for its minimumAge until {ripe}")
}

/// Says that the age of an image is needed and not known.
pub fn unknown_age() -> String {
    "does not say when it was built, so minimumAge keeps it back".to_owned()
}
