//! The image is in its registry, and whole. That is asked right before it is written: tags may have moved or gone since
//! they were listed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt, stream};

use crate::cycle::context::Context;
use crate::cycle::operations::terms::Terms;
use crate::image::{Digest, Reference, Repository, Version};
use crate::plan::decide::Update;
use crate::plan::fallback;
use crate::plan::gate::{self, ImageProof, Proofs, Wanted, all_wanted, wanted};
use crate::plan::skip::Reason;
use crate::policy::rule::PolicySet;
use crate::registry;
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::integrity::PartCache;

use super::gate::{Gate, Verdict, Verdicts};

/// How long until a missing image is asked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// How many images are asked for at a time; the client bounds the requests to each host.
const IMAGES: usize = 16;

/// The image is in its registry, and whole.
pub struct Image;

impl Gate for Image {
    fn name(&self) -> &'static str {
        "image"
    }

    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g> {
        async move {
            verify(updates, context).await;
            let struck = strike(updates, context).await;
            let verdict = |update: &Update| {
                if struck.contains(&update.field.repository) {
                    return Verdict::ChooseAgain;
                }
                let proofs = &context.state.proofs;
                if !all_wanted(update).iter().all(|wanted| proofs.contains_key(wanted)) {
                    let detail = format!(
                        "{}: there was no time to verify the image in this cycle; the next one goes on",
                        update.file
                    );
                    return Verdict::keep(Reason::NoCandidate, detail);
                }
                gate::judge(update, proofs)
                    .map_or_else(|(reason, detail)| Verdict::keep(reason, detail), |_| Verdict::Pass)
            };
            Ok(updates.iter().map(verdict).collect())
        }
        .boxed_local()
    }
}

/// Verifies every image that updates would write and that is not verified yet: whether all of it is there. What is
/// deployed already, digest and all, moves nothing and is not verified again. Those for which there is no time are left
/// without a proof.
async fn verify(updates: &[Update], context: &mut Context<'_>) {
    let Context { services, state, config, .. } = context;
    let until = state.budget.and_then(|budget| budget.proofs());
    let (registry, policies, part_cache) = (&services.registry, &config.policies, &state.part_cache);
    let mut open: BTreeMap<Wanted, BTreeSet<&Version>> = BTreeMap::new();
    for update in updates {
        for wanted in all_wanted(update).into_iter().filter(|wanted| !state.proofs.contains_key(wanted)) {
            open.entry(wanted).or_default().insert(&update.field.version);
        }
    }
    let answers = stream::iter(open).map(|(key, held)| async move {
        if until.is_some_and(|until| Instant::now() >= until) {
            return None;
        }
        let proof = match verify_image(registry, part_cache, &key, &held, policies).await {
            Ok(proof) => proof,
            Err(error) if error.concerns_image() => ImageProof::Broken(error.to_string()),
            Err(error) => ImageProof::Unknown(error.to_string()),
        };
        Some((key, proof))
    });
    let proofs = answers.buffer_unordered(IMAGES).collect::<Vec<_>>().await;
    state.proofs.extend(proofs.into_iter().flatten());
}

/// Strikes broken tags off the candidates of policies that take the next best one then. Returns the images of which
/// another tag may be chosen now.
async fn strike(updates: &[Update], context: &mut Context<'_>) -> BTreeSet<Repository> {
    let falls_back = |update: &&Update| {
        matches!(context.state.proofs.get(&wanted(update)), Some(ImageProof::Broken(_)))
            && context.config.policies.rule_for(&update.field.repository).is_some_and(|rule| rule.fallback)
    };
    if context.terms != Terms::Policies {
        return BTreeSet::new();
    }
    let broken: BTreeSet<Repository> =
        updates.iter().filter(falls_back).map(|update| update.field.repository.clone()).collect();
    context.scan_all_tags(&broken).await;
    let Context { state, config, .. } = context;
    let struck = fallback::strike(&mut state.findings, updates, &state.proofs, &config.policies);
    let images = struck.iter().map(|skipped| skipped.image.clone()).collect();
    state.broken.extend(struck);
    images
}

#[tracing::instrument(level = "debug", name = "verify", skip_all, fields(image = %repository, %version))]
async fn verify_image(
    registry: &Client,
    part_cache: &PartCache,
    (repository, version): &Wanted,
    held: &BTreeSet<&Version>,
    policies: &PolicySet,
) -> Result<ImageProof, RegistryError> {
    let digest = registry.digest_in_cycle(repository, version, part_cache).await?;
    let is_deployed = |held: &&Version| held.tag == version.tag && held.digest.as_ref() == Some(&digest);
    if held.iter().all(is_deployed) {
        return Ok(ImageProof::Whole { digest, created: None });
    }
    let image = whole(registry, part_cache, repository, version, digest, policies).await?;
    Ok(ImageProof::Whole { digest: image.digest, created: image.created })
}

/// Verifies images that were asked for by name.
pub async fn requested(
    registry: &Client,
    part_cache: &PartCache,
    references: &[Reference],
    policies: &PolicySet,
) -> Result<Proofs, RegistryError> {
    let mut proofs = Proofs::new();
    for Reference { repository, version } in references {
        let digest = registry.digest(repository, version).await?;
        let image = whole(registry, part_cache, repository, version, digest, policies).await?;
        if version.digest.is_some() && version.tag.is_some() {
            // With both given, the tag has to be there too; the digest decides what runs.
            let now = registry.digest(repository, &Version { digest: None, ..version.clone() }).await?;
            if version.digest.as_ref() != Some(&now) {
                tracing::warn!(image = %repository, asked = %version, %now, "the tag names another image now");
            }
        }
        let proof = ImageProof::Whole { digest: image.digest, created: image.created };
        proofs.insert((repository.clone(), version.clone()), proof);
    }
    Ok(proofs)
}

/// Waits until all images are there, or until it is too late.
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

/// The image that a version names now, proved and read by its digest.
async fn whole(
    registry: &Client,
    part_cache: &PartCache,
    repository: &Repository,
    version: &Version,
    digest: Digest,
    policies: &PolicySet,
) -> Result<registry::metadata::ImageMetadata, RegistryError> {
    let exact = Version { tag: version.tag.clone(), digest: Some(digest) };
    registry.check_integrity(repository, &exact, policies.platforms_of(repository), part_cache).await?;
    registry.image(repository, &exact).await
}
