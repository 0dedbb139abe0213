//! Requires that the image is old enough for its policy. It was when it was chosen, but its tag may have moved since.

use futures_util::FutureExt;

use crate::cycle::context::Context;
use crate::cycle::operations::terms::Terms;
use crate::plan::decide::Update;
use crate::plan::gate::{Verification, wanted};
use crate::plan::skip::Reason;
use crate::policy::minimum_age::too_young;

use super::gate::{Gate, Verdict, Verdicts};

/// Requires that the image is old enough for its policy.
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
            let created = match context.state.verifications.get(&wanted(update)) {
                Some(Verification::Complete { created, .. }) => *created,
                _ => None,
            };
            let why = rule.and_then(|rule| too_young(rule, created, context.now));
            why.map_or(Verdict::Pass, |why| Verdict::keep(Reason::NoCandidate, why))
        };
        let verdicts = updates.iter().map(verdict).collect();
        std::future::ready(Ok(verdicts)).boxed_local()
    }
}
