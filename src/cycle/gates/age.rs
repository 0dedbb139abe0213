//! Requires that the image is old enough for its policy. It was when it was chosen, but its tag may have moved since.

use futures_util::{FutureExt, StreamExt, stream};

use crate::cycle::context::Context;
use crate::cycle::operations::terms::Terms;
use crate::plan::decide::Update;
use crate::plan::gate::{Verification, wanted};
use crate::plan::skip::Reason;
use crate::policy::minimum_age::too_young;

use super::gate::{Gate, Verdict, Verdicts};

/// The number of images whose push times are queried at a time; the client limits the requests to each host.
const IMAGES: usize = 16;

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
        let context = &*context;
        let verdicts: Vec<_> = updates.iter().map(|update| verdict(update, context)).collect();
        stream::iter(verdicts).buffered(IMAGES).collect().map(Ok).boxed_local()
    }
}

async fn verdict(update: &Update, context: &Context<'_>) -> Verdict {
    let image = &update.field.repository;
    let rule = context.config.policies.rule_for(image).filter(|rule| rule.minimum_age.is_some());
    let Some((rule, Verification::Complete { digest, dates, .. })) =
        rule.zip(context.state.verifications.get(&wanted(update)))
    else {
        return Verdict::Pass;
    };
    let arrival = match &update.tag {
        Some(tag) => Some(context.services.registry.arrival(image, tag, digest, context.now).await),
        None => None,
    };
    let why = too_young(rule, dates.built, arrival, context.now);
    why.map_or(Verdict::Pass, |why| Verdict::keep(Reason::NoCandidate, why))
}
