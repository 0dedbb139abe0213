//! Requires that tags still point to the images that were verified. What runs is what a tag points to when a node pulls
//! it; so it is asked again right before the push, unless the digest is written too.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{FutureExt, StreamExt, stream};

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::operations::terms::Mode;
use crate::image::Digest;
use crate::plan::decide::{Update, WantedDigest};
use crate::plan::gate::{Verification, Wanted, all_wanted};
use crate::plan::skip::Reason;
use crate::registry::error::RegistryError;

use super::gate::{Gate, Refusal, Verdict, Verdicts};

/// The number of images that are queried at a time; the client limits the requests to each host.
const IMAGES: usize = 16;

/// Requires that tags still point to the images that were verified.
pub struct Moved;

/// The current digest of each image's tag.
type Digests = BTreeMap<Wanted, Result<Digest, RegistryError>>;

impl Gate for Moved {
    fn name(&self) -> &'static str {
        "moved"
    }

    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g> {
        async move {
            // A proposal runs when it is merged, and nobody knows when that is.
            if context.mode != Mode::Push || context.tip.clone.is_for_proposals() {
                return Ok(vec![Verdict::Pass; updates.len()]);
            }
            let unpinned = updates.iter().flat_map(unpinned).collect::<BTreeSet<Wanted>>();
            let registry = &context.services.registry;
            let answers = stream::iter(unpinned).map(|wanted| async move {
                let digest = registry.digest(&wanted.0, &wanted.1).await;
                (wanted, digest)
            });
            let mut digests: Digests = answers.buffer_unordered(IMAGES).collect().await;
            if context.terms.is_by_name()
                && let Some(failed) =
                    digests.iter().find(|(_, digest)| digest.is_err()).map(|(wanted, _)| wanted.clone())
                && let Some(Err(error)) = digests.remove(&failed)
            {
                return Err(error.into());
            }
            Ok(updates.iter().map(|update| verdict(update, &digests, context)).collect())
        }
        .boxed_local()
    }

    fn error(&self, _update: &Update, refusal: &Refusal) -> Option<CycleError> {
        Some(CycleError::TagMoved(refusal.detail.clone()))
    }
}

/// Returns the images that an update deploys by their tags alone.
fn unpinned(update: &Update) -> Vec<Wanted> {
    if update.digest == WantedDigest::Without { all_wanted(update) } else { Vec::new() }
}

fn verdict(update: &Update, digests: &Digests, context: &Context<'_>) -> Verdict {
    for wanted in unpinned(update) {
        let Some(Verification::Complete { digest: verified, .. }) = context.state.verifications.get(&wanted) else {
            continue;
        };
        match digests.get(&wanted) {
            Some(Ok(now)) if now == verified => {}
            Some(Ok(now)) => {
                let (image, version) = &wanted;
                let detail =
                    format!("{image}:{version} pointed to {verified} when it was verified, and points to {now} now");
                return Verdict::keep(Reason::NoCandidate, detail);
            }
            Some(Err(error)) if error.concerns_image() => {
                return Verdict::keep(Reason::BlockedImage, error.to_string());
            }
            Some(Err(error)) => return Verdict::keep(Reason::RegistryError, error.to_string()),
            None => {}
        }
    }
    Verdict::Pass
}
