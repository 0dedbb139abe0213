//! The images that would be written, asked for once more: tags may have moved or gone since they were listed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use crate::image::{Reference, Repository, Version};
use crate::plan::decide::{Plan, Update};
use crate::plan::gate::{ImageProof, Proofs, Wanted, all_wanted, wanted};
use crate::registry::client::{Client, Image};
use crate::registry::error::RegistryError;

use super::error::CycleError;

/// How long until a missing image is asked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// How many images are asked for at a time; the client bounds the requests to each host.
const IMAGES: usize = 16;

/// Asks for every image that a plan would write and that is not proved yet.
pub async fn complete(proofs: &mut Proofs, registry: &Client, plan: &Plan) {
    let open: BTreeSet<Wanted> =
        plan.updates.iter().flat_map(all_wanted).filter(|key| !proofs.contains_key(key)).collect();
    let answers = stream::iter(open).map(|key| async move {
        let proof = match fresh(registry, &key.0, &key.1).await {
            Ok(image) => ImageProof::Whole { digest: image.digest, created: image.created },
            Err(error @ RegistryError::Broken { .. }) => ImageProof::Broken(error.to_string()),
            Err(error) if error.is_absence() => ImageProof::Broken(error.to_string()),
            Err(error) => ImageProof::Unknown(error.to_string()),
        };
        (key, proof)
    });
    proofs.extend(answers.buffer_unordered(IMAGES).collect::<Vec<_>>().await);
}

/// Proves images that were asked for by name.
pub async fn requested(registry: &Client, references: &[Reference]) -> Result<Proofs, RegistryError> {
    let mut proofs = Proofs::new();
    for Reference { repository, version } in references {
        let image = fresh(registry, repository, version).await?;
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
                Err(error) if error.is_absence() && Instant::now() < deadline => {
                    tracing::info!(image = %reference, "not in the registry yet; waiting");
                    tokio::time::sleep(AGAIN.min(deadline.saturating_duration_since(Instant::now()))).await;
                }
                other => break other.map(drop)?,
            }
        }
    }
    Ok(())
}

/// The image that a version names now: the digest is asked, and the image read by it.
async fn fresh(registry: &Client, repository: &Repository, version: &Version) -> Result<Image, RegistryError> {
    let digest = registry.digest(repository, version).await?;
    registry.image(repository, &Version { tag: None, digest: Some(digest) }).await
}

/// Refuses to move a field to an image that was built before the one it holds. Where an age is not known there is
/// nothing to refuse by.
pub async fn no_downgrade(proofs: &Proofs, registry: &Client, plan: &Plan) -> Result<(), CycleError> {
    for update in &plan.updates {
        let Some(ImageProof::Whole { created: Some(new), .. }) = proofs.get(&wanted(update)) else { continue };
        let held = match held_image(registry, update).await {
            Some(Ok(image)) => image,
            Some(Err(error)) if error.is_absence() => continue,
            Some(Err(RegistryError::Broken { .. })) | None => continue,
            Some(Err(error)) => return Err(error.into()),
        };
        if let (Some(tag), Some(old)) = (&update.field.version.tag, held.created)
            && old > *new
        {
            return Err(CycleError::Downgrade {
                image: update.field.repository.clone(),
                held: tag.clone(),
                to: wanted(update).1.to_string(),
                file: update.file.clone(),
            });
        }
    }
    Ok(())
}

async fn held_image(registry: &Client, update: &Update) -> Option<Result<Image, RegistryError>> {
    let version = &update.field.version;
    if version.is_empty() {
        return None;
    }
    Some(registry.image(&update.field.repository, version).await)
}
