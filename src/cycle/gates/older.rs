//! Keeps back what is older than what the field holds. When it was chosen it was newer, according to the registry; but
//! its tag may have moved since, its annotation may be newer than its contents, and registries may say something else
//! than they did before. So it is also compared with what commits recorded.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::operations::terms::Terms;
use crate::image::{Repository, Version};
use crate::plan::decide::Update;
use crate::plan::findings::Findings;
use crate::plan::gate::{Verification, wanted};
use crate::plan::order_record::OrderedBy;
use crate::plan::skip::{Reason, Skipped};
use crate::policy::dates::Dates;
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::integrity::PartCache;

use super::gate::{Gate, Verdict, Verdicts};

/// The most tags of an image that are refused in one cycle before it stays as it is.
const MOST: usize = 8;

/// The reason why an update is kept back, as a name and as text.
type Refused = (Reason, String);

/// Keeps back what is older than what the field holds.
pub struct Older;

impl Gate for Older {
    fn name(&self) -> &'static str {
        "older"
    }

    fn applies_to(&self, terms: Terms) -> bool {
        terms == Terms::Policies
    }

    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g> {
        async move {
            let mut refusals = Vec::with_capacity(updates.len());
            for update in updates {
                refusals.push(if compares(update, context) { refusal(update, context).await? } else { None });
            }
            let struck = strike(updates, &refusals, context).await;
            let verdict = |(update, refusal): (&Update, Option<Refused>)| match refusal {
                Some(_) if struck.contains(&update.field.repository) => Verdict::ChooseAgain,
                Some((reason, detail)) => Verdict::keep(reason, detail),
                None => Verdict::Pass,
            };
            Ok(updates.iter().zip(refusals).map(verdict).collect())
        }
        .boxed_local()
    }
}

/// Removes refused tags from the candidates of their images, so that they do not keep back what is really newer. Returns
/// the images for which another tag may be chosen now.
async fn strike(updates: &[Update], refusals: &[Option<Refused>], context: &mut Context<'_>) -> BTreeSet<Repository> {
    let is_refused = |(update, refusal): (&Update, &Option<Refused>)| {
        let by_tag = matches!(update.ordered_by, OrderedBy::Built | OrderedBy::Pushed | OrderedBy::Commit);
        let (reason, detail) = refusal.clone().filter(|(reason, _)| by_tag && *reason == Reason::NoCandidate)?;
        Some(Skipped::tag(&update.field.repository, update.tag.as_ref()?, reason, detail))
    };
    let mut refused: Vec<Skipped> = updates.iter().zip(refusals).filter_map(is_refused).collect();
    let counts = &context.state.older;
    refused.retain(|skipped| counts.get(&skipped.image).is_none_or(|count| *count < MOST));
    context.scan_all_tags(&refused.iter().map(|skipped| skipped.image.clone()).collect()).await;
    let mut struck = BTreeSet::new();
    for skipped in refused {
        let Some(Ok(Findings::AllTags(candidates))) = context.state.findings.get_mut(&skipped.image) else { continue };
        let before = candidates.seen.len();
        candidates.seen.retain(|seen| Some(&seen.tag) != skipped.tag.as_ref());
        if candidates.seen.len() < before {
            *context.state.older.entry(skipped.image.clone()).or_default() += 1;
            struck.insert(skipped.image.clone());
            context.state.broken.insert(skipped);
        }
    }
    struck
}

/// Returns whether the order of an update is one that a registry could misstate, and the field holds something that has
/// a place in it.
fn compares(update: &Update, context: &Context<'_>) -> bool {
    let held = &update.field.version;
    match update.ordered_by {
        OrderedBy::Name | OrderedBy::Promotion | OrderedBy::Request => false,
        OrderedBy::Digest => held.digest.is_some(),
        OrderedBy::Built | OrderedBy::Pushed | OrderedBy::Commit => {
            let rule = context.config.policies.rule_for(&update.field.repository);
            rule.zip(held.tag.as_ref()).is_some_and(|(rule, tag)| rule.tags.measure(tag).is_ok())
        }
    }
}

/// Returns why an update is kept back, if it is.
async fn refusal(update: &Update, context: &mut Context<'_>) -> Result<Option<Refused>, CycleError> {
    let Context { services, history, tip, state, now, .. } = context;
    let (image, to) = wanted(update);
    let Some(Verification::Complete { digest, dates, .. }) = state.verifications.get(&(image, to.clone())) else {
        return Ok(None);
    };
    let to = Version { digest: Some(digest.clone()), ..to };
    let recorded = block_in_place(|| history.recorded(tip, update, &to, dates))?;
    let held = match held_dates(&services.registry, update, dates, recorded.held, &state.part_cache).await {
        Ok(held) => held.believed(*now),
        Err(error) => return Ok(Some((Reason::RegistryError, error.to_string()))),
    };
    let why = recorded.goes_back(update.ordered_by, dates, &held);
    Ok(why.map(|why| {
        let to = if update.ordered_by == OrderedBy::Digest { &to } else { &wanted(update).1 };
        let held = &update.field.version;
        (Reason::NoCandidate, format!("{to} is older than {held}, which {} holds: {why}", update.file))
    }))
}

/// Returns the dates of the image that a field holds, as the registry knows them now. A request is sent only about a
/// digest, and about contents that may be newer than those of the candidate.
async fn held_dates(
    registry: &Client,
    update: &Update,
    candidate: &Dates,
    recorded: Option<Dates>,
    part_cache: &PartCache,
) -> Result<Dates, RegistryError> {
    let (image, held) = (&update.field.repository, &update.field.version);
    let built = match update.ordered_by {
        OrderedBy::Digest if recorded.is_none() => dated(registry, image, held).await?,
        _ => registry.known(image, held).and_then(|known| known.created),
    };
    let pushed = held.tag.as_ref().and_then(|tag| registry.known_push(image, tag));
    let by_contents = matches!(update.ordered_by, OrderedBy::Built | OrderedBy::Digest);
    let is_open = by_contents && recorded.and_then(|dates| dates.contents()).is_none();
    let may_be_older = candidate.config.is_some_and(|config| built.is_none_or(|built| config < built));
    let config = if is_open && may_be_older { registry.config_date(image, held, part_cache).await? } else { None };
    Ok(Dates { built, config, pushed })
}

async fn dated(registry: &Client, image: &Repository, held: &Version) -> Result<Option<Timestamp>, RegistryError> {
    match registry.image(image, held).await {
        Ok(known) => Ok(known.created),
        Err(error) if error.concerns_image() => Ok(None),
        Err(error) => Err(error),
    }
}
