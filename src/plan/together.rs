//! Images that move together, because one value is the tag of all of them, or because they are one release: they move to a
//! tag that all of them have.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::image::{Repository, Tag};
use crate::manifest::field::Field;
use crate::manifest::inventory::Inventory;
use crate::policy::no_choice::NoChoice;
use crate::policy::order::Standing;
use crate::policy::rule::{PolicySet, Rule};
use crate::stage::definition::{ReleaseRule, Tags};
use crate::stage::name::Name;
use crate::stage::stages::Stages;

use super::candidates::Candidates;
use super::findings::{Findings, FindingsByImage};
use super::skip::Reason;
use super::tree_config::TreeConfig;

/// Returns the images with a policy that move together with others. Their choices depend on each other, so all of their
/// tags have to be known.
pub fn images(inventory: &Inventory, config: &TreeConfig) -> BTreeSet<Repository> {
    let sharing = inventory.fields.iter().map(|located| &located.field).filter(|field| !field.serves_also.is_empty());
    let images = sharing.map(|field| &field.repository).filter(|image| config.policies.rule_for(image).is_some());
    let released = Releases::of(inventory, config);
    images.cloned().chain(released.0.into_keys().map(|(_, image)| image.clone())).collect()
}

/// The releases whose images have the same tag, in the stages that follow the registry.
pub struct Releases<'r>(BTreeMap<(&'r Name, &'r Repository), Release<'r>>);

/// A release in a stage.
pub struct Release<'r> {
    /// The configured release.
    pub rule: &'r ReleaseRule,
    /// The other images of it in the stage.
    pub others: Vec<&'r Repository>,
}

impl<'r> Releases<'r> {
    /// Finds the releases of several images.
    pub fn of(inventory: &'r Inventory, config: &'r TreeConfig) -> Releases<'r> {
        let mut images: BTreeMap<(&Name, &Name), (&ReleaseRule, BTreeSet<&Repository>)> = BTreeMap::new();
        let same = config.stages.releases.iter().filter(|release| release.tags == Tags::Same);
        let same: Vec<&ReleaseRule> = same.collect();
        if same.is_empty() {
            return Releases(BTreeMap::new());
        }
        for (located, _) in config.governed(inventory) {
            let image = &located.field.repository;
            let release = same.iter().find(|release| release.images.iter().any(|pattern| pattern.matches(image)));
            if let Some((release, stage)) = release.zip(config.stages.of(&located.file)) {
                images
                    .entry((&stage.name, &release.name))
                    .or_insert_with(|| (*release, BTreeSet::new()))
                    .1
                    .insert(image);
            }
        }
        let mut releases = BTreeMap::new();
        for ((stage, _), (rule, images)) in images.into_iter().filter(|(_, (_, images))| images.len() > 1) {
            for image in &images {
                let others = images.iter().copied().filter(|other| other != image).collect();
                releases.insert((stage, *image), Release { rule, others });
            }
        }
        Releases(releases)
    }

    /// Returns the release that the image of a file belongs to.
    pub fn release(&self, file: &str, image: &'r Repository, stages: &'r Stages) -> Option<&Release<'r>> {
        self.0.get(&(&stages.of(file)?.name, image))
    }
}

/// The choice for a field that shares its value.
#[derive(Debug)]
pub struct Choice {
    /// The tag, or the reason why it stays.
    pub tag: Result<Tag, NoChoice>,
    /// A newer tag that not all of the images have.
    pub missing: Option<Missing>,
}

/// A tag that not all images have.
#[derive(Debug)]
pub struct Missing {
    /// The tag.
    pub tag: Tag,
    /// The images that do not have it.
    pub images: Vec<Repository>,
    /// When it was built, if the order of the policy says so.
    pub built: Option<Timestamp>,
}

impl Missing {
    /// Returns the images as a text.
    pub fn names(&self) -> String {
        self.images.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

impl Choice {
    /// Returns a newer tag that some images do not have, with a reason and a text that say so.
    pub fn shortfall(&self, file: &str, field: &Field, release: Option<&Release<'_>>) -> Option<(Tag, Reason, String)> {
        let missing = self.missing.as_ref()?;
        let (tag, without, path) = (&missing.tag, missing.names(), &field.path);
        Some(match release {
            Some(release) => {
                let text = format!("{} {tag} is incomplete: {without} does not have it yet", release.rule.name);
                (tag.clone(), Reason::Incomplete, text)
            }
            None => {
                let text = format!("{file}: {path} is the tag of several images, and {tag} is missing in {without}");
                (tag.clone(), Reason::NoCandidate, text)
            }
        })
    }
}

/// Chooses among the tags that an image and others have. Images without a policy count only once a tag is
/// chosen: a gate checks that they have it. `None` if not all of their tags are known.
pub fn choose<'o>(
    field: &Field,
    others: impl Iterator<Item = &'o Repository>,
    rule: &Rule,
    policies: &PolicySet,
    findings: &FindingsByImage,
) -> Option<Choice> {
    let own = findings.get(&field.repository)?.as_ref().ok()?.all_tags()?;
    let governed = others.filter(|image| policies.rule_for(image).is_some());
    let others = governed
        .map(|image| Some((image, findings.get(image)?.as_ref().ok().and_then(Findings::all_tags)?)))
        .collect::<Option<Vec<(&Repository, &Candidates)>>>()?;
    let lacks = |candidates: &Candidates, tag: &Tag| candidates.seen.iter().all(|seen| seen.tag != *tag);
    let held = field.version.tag.as_ref();
    let seen = own.seen.iter().filter(|seen| others.iter().all(|(_, other)| !lacks(other, &seen.tag)));
    let common = Candidates { seen: seen.cloned().collect(), current: own.current.clone() };
    let alone = own.choose(&rule.tags, held).ok();
    let tag = common.choose(&rule.tags, held);
    let missing = alone.filter(|alone| tag.as_ref() != Ok(alone)).map(|alone| {
        let without = others.iter().filter(|(_, other)| lacks(other, &alone)).map(|(image, _)| (*image).clone());
        let images = without.collect();
        let seen = own.seen.iter().find(|seen| seen.tag == alone).and_then(|seen| seen.standing);
        let built = match seen {
            Some(Standing::At(at)) => Some(at),
            _ => None,
        };
        Missing { tag: alone, images, built }
    });
    Some(Choice { tag, missing: missing.filter(|missing| !missing.images.is_empty()) })
}
