//! The images that would be written, asked for once more: tags may have moved or gone since they were listed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::image::{Digest, Reference, Repository, Version};
use crate::plan::decide::{Plan, Update};
use crate::plan::gate::{ImageProof, Proofs, Wanted, all_wanted, wanted};
use crate::policy::rule::PolicySet;
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::integrity::PartCache;
use crate::registry::metadata::ImageMetadata;

use super::error::CycleError;
use super::follow::Learned;

/// How long until a missing image is asked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// How many images are asked for at a time; the client bounds the requests to each host.
const IMAGES: usize = 16;

/// Asks for every image that a plan would write and that is not proved yet: whether all of it is there.
/// What is deployed already, digest and all, moves nothing and is not proved again. Those for which there is no time are
/// left without a proof.
pub async fn complete(learned: &mut Learned, registry: &Client, plan: &Plan, policies: &PolicySet, now: Timestamp) {
    let until = learned.budget.and_then(|budget| budget.proofs());
    let (proofs, part_cache) = (&mut learned.proofs, &learned.part_cache);
    let mut open: BTreeMap<Wanted, BTreeSet<&Version>> = BTreeMap::new();
    for update in &plan.updates {
        for wanted in all_wanted(update).into_iter().filter(|wanted| !proofs.contains_key(wanted)) {
            open.entry(wanted).or_default().insert(&update.field.version);
        }
    }
    let answers = stream::iter(open).map(|(key, held)| async move {
        if until.is_some_and(|until| Instant::now() >= until) {
            return None;
        }
        let proof = match prove(registry, part_cache, &key, &held, policies, now).await {
            Ok(proof) => proof,
            Err(error) if error.concerns_image() => ImageProof::Broken(error.to_string()),
            Err(error) => ImageProof::Unknown(error.to_string()),
        };
        Some((key, proof))
    });
    proofs.extend(answers.buffer_unordered(IMAGES).collect::<Vec<_>>().await.into_iter().flatten());
}

#[tracing::instrument(level = "debug", skip_all, fields(image = %repository, %version))]
async fn prove(
    registry: &Client,
    part_cache: &PartCache,
    (repository, version): &Wanted,
    held: &BTreeSet<&Version>,
    policies: &PolicySet,
    now: Timestamp,
) -> Result<ImageProof, RegistryError> {
    let digest = registry.digest_in_cycle(repository, version, part_cache).await?;
    let is_deployed = |held: &&Version| held.tag == version.tag && held.digest.as_ref() == Some(&digest);
    if held.iter().all(is_deployed) {
        return Ok(ImageProof::Whole { digest, created: None });
    }
    let image = whole(registry, part_cache, repository, version, digest, policies).await?;
    // Tags move: what was old enough when it was chosen may have been built anew.
    let rule = policies.rule_for(repository).filter(|rule| rule.minimum_age.is_some());
    let young = rule.and_then(|rule| match image.created {
        Some(created) => rule.ripe_at(created).filter(|ripe| *ripe > now).map(waits),
        None => Some(keeps_back()),
    });
    Ok(young.map_or(ImageProof::Whole { digest: image.digest, created: image.created }, ImageProof::TooYoung))
}

/// What is said of an image that is too young.
pub fn waits(ripe: Timestamp) -> String {
    format!("waits for its minimumAge until {ripe}")
}

/// What is said of an image whose age is not known where one is needed.
pub fn keeps_back() -> String {
    "does not say when it was built, so minimumAge keeps it back".to_owned()
}

/// Proves images that were asked for by name.
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
) -> Result<ImageMetadata, RegistryError> {
    let exact = Version { tag: version.tag.clone(), digest: Some(digest) };
    registry.check_integrity(repository, &exact, policies.platforms_of(repository), part_cache).await?;
    registry.image(repository, &exact).await
}

/// Which way a field would move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To an image that was built later.
    Forward,
    /// To one that was built before the one it holds.
    Back,
    /// The age of one of them is not known.
    Unknown,
}

/// Which way each update of a plan moves its field.
pub async fn directions(proofs: &Proofs, registry: &Client, plan: &Plan) -> Result<Vec<Direction>, CycleError> {
    let mut directions = Vec::new();
    for update in &plan.updates {
        let old = match held_image(registry, update).await {
            Some(Ok(image)) => image.created,
            Some(Err(error)) if error.is_not_found() => None,
            Some(Err(RegistryError::InvalidResponse { .. })) | None => None,
            Some(Err(error)) => return Err(error.into()),
        };
        let new = match proofs.get(&wanted(update)) {
            Some(ImageProof::Whole { created, .. }) => *created,
            _ => None,
        };
        directions.push(match (old, new) {
            (Some(old), Some(new)) if old > new => Direction::Back,
            (Some(_), Some(_)) => Direction::Forward,
            _ => Direction::Unknown,
        });
    }
    Ok(directions)
}

async fn held_image(registry: &Client, update: &Update) -> Option<Result<ImageMetadata, RegistryError>> {
    let version = &update.field.version;
    if version.is_empty() {
        return None;
    }
    Some(registry.image(&update.field.repository, version).await)
}
