//! Checks that all deployed images can still be pulled, and would survive the next cleanup of their registry.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use serde::Serialize;

use crate::clock;
use crate::fault::Explain;
use crate::image::{Digest, Repository, Tag, Version};
use crate::manifest::field::Shape;
use crate::manifest::inventory::Inventory;
use crate::plan::findings::FindingsByImage;
use crate::plan::tree_config::TreeConfig;
use crate::policy::rule::PolicySet;
use crate::progress::Counter;
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::integrity::PartCache;
use crate::repo::source::Sources;

use super::candidates::findings_cache::FindingsCache;
use super::candidates::round::{Round, ScanDetail};
use super::deployed_origin::{self, DeployedOrigin};
use super::origin::prove::Question;
use super::time_limit::TimeLimit;

/// What to do about an image without proof of its origin.
const SIGN: &str = "sign the image, or deploy one that is signed";

/// What is verified, and how many images at a time. The client limits the requests to each host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Whether images can be pulled, and few at a time, because cycles send requests to the same registries.
    Pulls,
    /// That, and the proof of origin that policies require.
    PullsAndOrigins,
}

impl Extent {
    fn at_once(self) -> usize {
        match self {
            Extent::Pulls => 4,
            Extent::PullsAndOrigins => 16,
        }
    }
}

/// The state of a deployed image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It is complete.
    Ok,
    /// It is missing or incomplete.
    Broken,
    /// It is complete, but lacks the proof of origin that its policy requires.
    Unproven,
    /// The registry could not answer.
    Unknown,
}

/// A deployed image and its state.
#[derive(Debug, Clone, Serialize)]
pub struct Deployed {
    /// The image.
    pub image: Repository,
    /// The tag, if the fields have one.
    pub tag: Option<Tag>,
    /// The digest, if the fields have one. It then decides which image runs.
    pub digest: Option<Digest>,
    /// The state.
    pub status: Status,
    /// The problem.
    pub detail: Option<String>,
    /// What to do about it.
    #[serde(skip)]
    pub help: Option<String>,
    /// The problem that is going to occur unless something is done.
    pub warning: Option<String>,
    /// The places of its fields: `file:line`.
    pub places: Vec<String>,
    /// What is known about its origin, if its policy requires proof and that was verified.
    #[serde(flatten)]
    pub origin: Option<DeployedOrigin>,
}

/// Verifies every image that a field holds, whether a policy governs it or not. Fields that a kustomization
/// overrides deploy nothing.
pub async fn verify(
    registry: &Client,
    sources: &Sources,
    inventory: &Inventory,
    policies: &PolicySet,
    extent: Extent,
) -> Vec<Deployed> {
    let mut images: BTreeMap<(&Repository, Version), Vec<String>> = BTreeMap::new();
    for located in inventory.fields.iter().filter(|located| located.shadowed_by.is_none()) {
        let field = &located.field;
        // An entry that only renames an image does not decide its version.
        if field.shape == Shape::Kustomization && field.version.is_empty() {
            continue;
        }
        let place = format!("{}:{}", located.file, field.place.line);
        images.entry((&field.repository, field.version.clone())).or_default().push(place);
    }
    let part_cache = PartCache::default();
    let warnings = expiring(registry, sources, inventory, policies, &part_cache).await;
    let progress = Counter::new("deployed images", images.len());
    let checks: Vec<_> = images
        .into_iter()
        .map(|((repository, version), places)| {
            let warning = version.tag.as_ref().and_then(|tag| warnings.get(&(repository, tag)).cloned());
            let (part_cache, progress) = (&part_cache, &progress);
            async move {
                let platforms = policies.platforms_of(repository);
                let checked = registry.check_integrity(repository, &version, platforms, part_cache).await;
                let (mut status, mut detail, mut help, mut origin) = (Status::Ok, None, None, None);
                let checked = match (checked, policies.rule_for(repository), extent) {
                    (Ok(found), Some(rule), Extent::PullsAndOrigins) => {
                        let question = Question { repository, version: &version, digest: &found, rule };
                        deployed_origin::of(registry, sources, question).await.map(|found| origin = found)
                    }
                    (checked, _, _) => checked.map(drop),
                };
                if let Err(error) = checked {
                    (status, detail, help) = (status_of(&error), Some(error.to_string()), error.help());
                } else if let Some(missing) = origin.as_ref().and_then(|origin| origin.missing.clone()) {
                    (status, detail, help) = (Status::Unproven, Some(missing), Some(SIGN.to_owned()));
                }
                progress.advance();
                let Version { tag, digest } = version;
                let image = repository.clone();
                Deployed { image, tag, digest, status, detail, help, warning, places, origin }
            }
        })
        .collect();
    stream::iter(checks).buffered(extent.at_once()).collect().await
}

fn status_of(error: &RegistryError) -> Status {
    match error {
        error if error.concerns_image() => Status::Broken,
        _ => Status::Unknown,
    }
}

/// Returns the deployed tags that a cleanup would delete, for policies that say how many tags it keeps.
async fn expiring<'i>(
    registry: &Client,
    sources: &Sources,
    inventory: &'i Inventory,
    policies: &'i PolicySet,
    part_cache: &PartCache,
) -> BTreeMap<(&'i Repository, &'i Tag), String> {
    let rules = policies.rules.iter().filter(|rule| rule.keep.is_some()).cloned().collect();
    let mut findings = FindingsByImage::new();
    let that_keep = TreeConfig { policies: PolicySet { rules }, ..TreeConfig::default() };
    let findings_cache = FindingsCache::default();
    let (detail, now) = (ScanDetail::AllTags, clock::now());
    let findings_cache = &findings_cache;
    let round = Round { registry, sources, part_cache, findings_cache, detail, limit: TimeLimit::default(), now };
    round.complete(&mut findings, inventory, &that_keep).await;
    let mut expiring = BTreeMap::new();
    let mut checked = BTreeSet::new();
    for (located, rule) in that_keep.governed(inventory) {
        let field = &located.field;
        let candidates = findings.get(&field.repository).and_then(|candidates| candidates.as_ref().ok()?.all_tags());
        let (Some(keep), Some(tag), Some(candidates)) = (rule.keep, &field.version.tag, candidates) else { continue };
        if !checked.insert((&field.repository, tag)) {
            continue;
        }
        if let Some(newer) = rule.tags.newer_than(tag, &candidates.seen).filter(|newer| *newer >= keep as usize) {
            let warning = format!("{newer} tags are newer; a cleanup that keeps {keep} would delete this one");
            expiring.insert((&field.repository, tag), warning);
        }
    }
    expiring
}
