//! Values that are the tag of several images: they move to a tag that all of the images have.

use std::collections::BTreeSet;

use crate::image::{Repository, Tag};
use crate::manifest::field::Field;
use crate::manifest::inventory::Inventory;
use crate::policy::no_choice::NoChoice;
use crate::policy::rule::{PolicySet, Rule};

use super::candidates::Candidates;
use super::findings::{Findings, FindingsByImage};

/// Returns the images with a policy that share a value with others. Their choices depend on each other, so all of their
/// tags have to be known.
pub fn images(inventory: &Inventory, policies: &PolicySet) -> BTreeSet<Repository> {
    let sharing = inventory.fields.iter().map(|located| &located.field).filter(|field| !field.serves_also.is_empty());
    let images = sharing.map(|field| &field.repository).filter(|image| policies.rule_for(image).is_some());
    images.cloned().collect()
}

/// The choice for a field that shares its value.
#[derive(Debug)]
pub struct Choice {
    /// The tag, or the reason why it stays.
    pub tag: Result<Tag, NoChoice>,
    /// A newer tag, and the images that do not have it.
    pub missing: Option<(Tag, Vec<Repository>)>,
}

impl Choice {
    /// Returns a newer tag that some images do not have, and a text that says so.
    pub fn shortfall(&self, file: &str, field: &Field) -> Option<(Tag, String)> {
        let (newer, without) = self.missing.as_ref()?;
        let without = without.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let path = &field.path;
        Some((
            newer.clone(),
            format!("{file}: {path} is the tag of several images, and {newer} is missing in {without}"),
        ))
    }
}

/// Chooses among the tags that all images of a field's value have. Images without a policy count only once a tag is
/// chosen: a gate checks that they have it. `None` if not all of their tags are known.
pub fn choose(field: &Field, rule: &Rule, policies: &PolicySet, findings: &FindingsByImage) -> Option<Choice> {
    let own = findings.get(&field.repository)?.as_ref().ok()?.all_tags()?;
    let governed = field.serves_also.iter().filter(|image| policies.rule_for(image).is_some());
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
        let without = without.collect();
        (alone, without)
    });
    Some(Choice { tag, missing: missing.filter(|(_, without): &(Tag, Vec<Repository>)| !without.is_empty()) })
}
