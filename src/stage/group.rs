//! Groups of images that are released together, and the fields of a stage that hold them.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::Repository;
use crate::manifest::inventory::{Inventory, Located};

use super::definition::Stage;
use super::name::Name;
use super::stages::Stages;

/// Images that are released together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name: that of the release, or of its image.
    pub name: String,
    /// Its images.
    pub images: BTreeSet<Repository>,
}

impl Group {
    /// Returns its fields in a stage. Fields that a kustomization overrides deploy nothing.
    pub fn fields_in<'i>(&self, stage: &Stage, stages: &Stages, inventory: &'i Inventory) -> Vec<&'i Located> {
        let is_own = |located: &&Located| {
            located.shadowed_by.is_none()
                && self.images.contains(&located.field.repository)
                && stages.of(&located.file).is_some_and(|own| own.name == stage.name)
        };
        inventory.fields.iter().filter(is_own).collect()
    }
}

/// Returns the groups of all images that have a field in a stage, by name. Images of one rule belong together, and so do
/// images whose fields share a value.
pub fn groups(stages: &Stages, inventory: &Inventory) -> Vec<Group> {
    let staged: Vec<&Located> = inventory
        .fields
        .iter()
        .filter(|located| located.shadowed_by.is_none() && stages.of(&located.file).is_some())
        .collect();
    let images: BTreeSet<&Repository> = staged.iter().map(|located| &located.field.repository).collect();
    let rule_of = |image: &Repository| {
        stages.releases.iter().find(|rule| rule.images.iter().any(|pattern| pattern.matches(image)))
    };
    let mut groups: Vec<(Option<&Name>, BTreeSet<&Repository>)> = Vec::new();
    for image in images {
        let name = rule_of(image).map(|rule| &rule.name);
        match groups.iter_mut().find(|(other, _)| name.is_some() && *other == name) {
            Some((_, images)) => drop(images.insert(image)),
            None => groups.push((name, BTreeSet::from([image]))),
        }
    }
    for (one, other) in sharing(&staged) {
        join(&mut groups, one, other);
    }
    let mut groups: Vec<Group> = groups.into_iter().map(|(name, images)| named(name, &images)).collect();
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    groups
}

/// Returns pairs of images whose fields share a value.
fn sharing<'i>(staged: &[&'i Located]) -> Vec<(&'i Repository, &'i Repository)> {
    let mut by_file: BTreeMap<&str, Vec<&Located>> = BTreeMap::new();
    for located in staged {
        by_file.entry(&located.file).or_default().push(located);
    }
    let mut pairs = Vec::new();
    for fields in by_file.values() {
        for (index, one) in fields.iter().enumerate() {
            let others = fields[index + 1..].iter().filter(|other| one.field.repository != other.field.repository);
            let shared = others.filter(|other| one.field.shares_scalar_with(&other.field));
            pairs.extend(shared.map(|other| (&one.field.repository, &other.field.repository)));
        }
    }
    pairs
}

fn join<'i>(groups: &mut Vec<(Option<&Name>, BTreeSet<&'i Repository>)>, one: &Repository, other: &Repository) {
    let with = |image: &Repository, groups: &[(Option<&Name>, BTreeSet<&'i Repository>)]| {
        groups.iter().position(|(_, images)| images.contains(image))
    };
    let (Some(one), Some(other)) = (with(one, groups), with(other, groups)) else { return };
    if one != other {
        let (name, images) = groups.remove(one.max(other));
        let kept = &mut groups[one.min(other)];
        kept.0 = kept.0.or(name);
        kept.1.extend(images);
    }
}

fn named(name: Option<&Name>, images: &BTreeSet<&Repository>) -> Group {
    let name = match (name, images.len()) {
        (Some(name), _) => name.to_string(),
        (None, 1) => images.iter().map(ToString::to_string).collect(),
        (None, _) => images.iter().map(|image| image.short_name()).collect::<Vec<_>>().join("+"),
    };
    Group { name, images: images.iter().copied().cloned().collect() }
}
