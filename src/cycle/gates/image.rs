//! Requires that the image is complete in its registry. This is checked right before the image is written, because tags
//! may have moved or gone since they were listed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt, stream};
use jiff::Timestamp;

use crate::cycle::context::Context;
use crate::cycle::time_limit::{before, unfinished};
use crate::image::{Digest, Reference, Repository, Version};
use crate::plan::decide::Update;
use crate::plan::gate::{self, Verification, Verifications, Wanted, all_wanted};
use crate::plan::skip::Reason;
use crate::policy::dates::Dates;
use crate::policy::rule::PolicySet;
use crate::progress::Counter;
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::integrity::PartCache;

use super::gate::{Gate, Verdict, Verdicts};
use super::strike;

/// The time until a missing image is queried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The number of images of one host that are verified at a time; the client limits the requests to each host.
const IMAGES: usize = 16;

/// Requires that the image is complete in its registry.
pub struct Image;

impl Gate for Image {
    fn name(&self) -> &'static str {
        "image"
    }

    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g> {
        async move {
            verify(updates, context).await;
            let struck = strike::strike(updates, context).await;
            let verdict = |update: &Update| {
                if struck.contains(&update.field.repository) {
                    return Verdict::ChooseAgain;
                }
                let verifications = &context.state.verifications;
                if !all_wanted(update).iter().all(|wanted| verifications.contains_key(wanted)) {
                    let detail = format!(
                        "{}: there was no time to verify the image in this cycle; the next one continues",
                        update.file
                    );
                    return Verdict::keep(Reason::NoCandidate, detail);
                }
                gate::judge(update, verifications)
                    .map_or_else(|(reason, detail)| Verdict::keep(reason, detail), |_| Verdict::Pass)
            };
            Ok(updates.iter().map(verdict).collect())
        }
        .boxed_local()
    }
}

/// Verifies every image that updates would write and that is not verified yet. An image that is deployed with the same
/// digest already is not verified again. Images for which there is no time remain unverified.
async fn verify(updates: &[Update], context: &mut Context<'_>) {
    let Context { services, state, config, now, .. } = context;
    let (limit, now) = (state.budget.map(|budget| budget.verifications()).unwrap_or_default(), *now);
    let (registry, policies, part_cache) = (&services.registry, &config.policies, &state.part_cache);
    let mut open: BTreeMap<Wanted, BTreeSet<&Version>> = BTreeMap::new();
    for update in updates {
        for wanted in all_wanted(update).into_iter().filter(|wanted| !state.verifications.contains_key(wanted)) {
            open.entry(wanted).or_default().insert(&update.field.version);
        }
    }
    let progress = &Counter::new("images to verify", open.len());
    let answer = |wanted| async move {
        let (key, current): (Wanted, BTreeSet<&Version>) = wanted;
        let begun = Instant::now();
        if !limit.may_begin() {
            return None;
        }
        let verified = verify_image(registry, part_cache, &key, &current, policies, now);
        let verification = match before(limit.end, verified).await {
            None if !limit.was_enough(begun) => return None,
            None => Verification::Unknown(unfinished(&key.0, begun)),
            Some(Ok(verification)) => verification,
            Some(Err(error)) if error.concerns_image() => Verification::Broken(error.to_string()),
            Some(Err(error)) => Verification::Unknown(error.to_string()),
        };
        progress.advance();
        Some((key, verification))
    };
    // A slow host delays only its own images.
    let mut hosts: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (key, current) in open {
        hosts.entry(key.0.host().to_owned()).or_default().push((key, current));
    }
    let answers = hosts.into_values().map(|open| stream::iter(open).map(answer).buffer_unordered(IMAGES).boxed_local());
    let verifications = stream::select_all(answers).collect::<Vec<_>>().await;
    state.verifications.extend(verifications.into_iter().flatten());
}

#[tracing::instrument(level = "debug", name = "verify", skip_all, fields(image = %repository, %version))]
async fn verify_image(
    registry: &Client,
    part_cache: &PartCache,
    (repository, version): &Wanted,
    current: &BTreeSet<&Version>,
    policies: &PolicySet,
    now: Timestamp,
) -> Result<Verification, RegistryError> {
    let digest = registry.digest_in_cycle(repository, version, part_cache).await?;
    let is_deployed = |current: &&Version| current.tag == version.tag && current.digest.as_ref() == Some(&digest);
    if current.iter().all(is_deployed) {
        return Ok(Verification::Complete { digest, dates: Dates::default(), origin: None });
    }
    verify_exact(registry, part_cache, repository, version, digest, policies, now).await
}

/// Verifies images that a person requested.
pub async fn requested(
    registry: &Client,
    part_cache: &PartCache,
    references: &[Reference],
    policies: &PolicySet,
    now: Timestamp,
) -> Result<Verifications, RegistryError> {
    let mut verifications = Verifications::new();
    for Reference { repository, version } in references {
        let digest = registry.digest(repository, version).await?;
        let verification = verify_exact(registry, part_cache, repository, version, digest, policies, now).await?;
        if version.digest.is_some() && version.tag.is_some() {
            // If both are given, the tag has to exist too; the digest decides what runs.
            let now = registry.digest(repository, &Version { digest: None, ..version.clone() }).await?;
            if version.digest.as_ref() != Some(&now) {
                tracing::warn!(image = %repository, requested = %version, %now, "the tag points to another image now");
            }
        }
        verifications.insert((repository.clone(), version.clone()), verification);
    }
    Ok(verifications)
}

/// Waits until all images exist, or until the deadline.
pub async fn arrival(registry: &Client, references: &[Reference], deadline: Instant) -> Result<(), RegistryError> {
    for reference in references {
        loop {
            match registry.digest(&reference.repository, &reference.version).await {
                Err(error) if error.is_not_found() && Instant::now() < deadline => {
                    tracing::info!(image = %reference, "not in the registry yet; waiting");
                    tokio::time::sleep(AGAIN.min(deadline.saturating_duration_since(Instant::now()))).await;
                }
                other => break other.map(drop)?,
            }
        }
    }
    Ok(())
}

/// Verifies the image of a digest and reads its dates.
async fn verify_exact(
    registry: &Client,
    part_cache: &PartCache,
    repository: &Repository,
    version: &Version,
    digest: Digest,
    policies: &PolicySet,
    now: Timestamp,
) -> Result<Verification, RegistryError> {
    let exact = Version { tag: version.tag.clone(), digest: Some(digest) };
    let config = registry.config_date(repository, &exact, part_cache).await?;
    registry.check_integrity(repository, &exact, policies.platforms_of(repository), part_cache).await?;
    let image = registry.image(repository, &exact).await?;
    let pushed = version.tag.as_ref().and_then(|tag| registry.known_push(repository, tag));
    let dates = Dates { built: image.created, config, pushed }.believed(now);
    Ok(Verification::Complete { digest: image.digest, dates, origin: None })
}
