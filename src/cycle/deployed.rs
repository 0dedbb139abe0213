//! Whether all that is deployed could still be pulled, and would survive the next cleanup of its registry.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;

use crate::image::{Digest, Repository, Tag, Version};
use crate::manifest::field::Shape;
use crate::manifest::inventory::Inventory;
use crate::plan::decide::governed;
use crate::plan::findings::FindingsByImage;
use crate::policy::rule::PolicySet;
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::integrity::PartCache;
use crate::repo::source::Sources;

use super::candidates::findings_cache::FindingsCache;
use super::candidates::round::{Extent, Round};

/// How many images are asked for at a time; the client bounds the requests to each host.
const IMAGES: usize = 16;

/// How a deployed image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// All of it is in the registry.
    Ok,
    /// It is not there, or not all of it.
    Broken,
    /// The registry could not say.
    Unknown,
}

/// A deployed image and how it is.
#[derive(Debug, Clone, Serialize)]
pub struct Deployed {
    /// The image.
    pub image: Repository,
    /// The tag, where the fields have one.
    pub tag: Option<Tag>,
    /// The digest, where the fields have one. It is what runs then.
    pub digest: Option<Digest>,
    /// How it is.
    pub status: Status,
    /// What is wrong.
    pub detail: Option<String>,
    /// What will go wrong if nothing is done.
    pub warning: Option<String>,
    /// Where it stands: `file:line`.
    pub places: Vec<String>,
}

/// Proves every image that a field holds, governed by a policy or not. Fields that a kustomization overrides deploy
/// nothing.
pub async fn verify(
    registry: &Client,
    sources: &Sources,
    inventory: &Inventory,
    policies: &PolicySet,
) -> Vec<Deployed> {
    let mut images: BTreeMap<(&Repository, Version), Vec<String>> = BTreeMap::new();
    for located in inventory.fields.iter().filter(|located| located.shadowed_by.is_none()) {
        let field = &located.field;
        // An entry that only renames decides nothing.
        if field.shape == Shape::Kustomization && field.version.is_empty() {
            continue;
        }
        let place = format!("{}:{}", located.file, field.place.line);
        images.entry((&field.repository, field.version.clone())).or_default().push(place);
    }
    let part_cache = PartCache::default();
    let warnings = doomed(registry, sources, inventory, policies, &part_cache).await;
    let checks: Vec<_> = images
        .into_iter()
        .map(|((repository, version), places)| {
            let warning = version.tag.as_ref().and_then(|tag| warnings.get(&(repository, tag)).cloned());
            let part_cache = &part_cache;
            async move {
                let platforms = policies.platforms_of(repository);
                let (status, detail) = match registry.check_integrity(repository, &version, platforms, part_cache).await
                {
                    Ok(_) => (Status::Ok, None),
                    Err(error) => (status_of(&error), Some(error.to_string())),
                };
                let Version { tag, digest } = version;
                Deployed { image: repository.clone(), tag, digest, status, detail, warning, places }
            }
        })
        .collect();
    stream::iter(checks).buffered(IMAGES).collect().await
}

fn status_of(error: &RegistryError) -> Status {
    match error {
        error if error.concerns_image() => Status::Broken,
        _ => Status::Unknown,
    }
}

/// The deployed tags that a cleanup would delete, for policies that say how many it keeps.
async fn doomed<'i>(
    registry: &Client,
    sources: &Sources,
    inventory: &'i Inventory,
    policies: &'i PolicySet,
    part_cache: &PartCache,
) -> BTreeMap<(&'i Repository, &'i Tag), String> {
    let rules = policies.rules.iter().filter(|rule| rule.keep.is_some()).cloned().collect();
    let mut findings = FindingsByImage::new();
    let policies_that_keep = PolicySet { rules };
    let kept = FindingsCache::default();
    let (extent, now) = (Extent::Whole, Timestamp::now());
    let round = Round { registry, sources, part_cache, kept: &kept, extent, until: None, now };
    round.complete(&mut findings, inventory, &policies_that_keep).await;
    let mut doomed = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (located, rule) in governed(inventory, policies) {
        let field = &located.field;
        let candidates = findings.get(&field.repository).and_then(|candidates| candidates.as_ref().ok()?.whole());
        let (Some(keep), Some(tag), Some(candidates)) = (rule.keep, &field.version.tag, candidates) else { continue };
        if !seen.insert((&field.repository, tag)) {
            continue;
        }
        if let Some(newer) = rule.tags.newer_than(tag, &candidates.seen).filter(|newer| *newer >= keep as usize) {
            let warning = format!("{newer} tags are newer; a cleanup that keeps {keep} deletes this one");
            doomed.insert((&field.repository, tag), warning);
        }
    }
    doomed
}
