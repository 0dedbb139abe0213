//! Fields and candidates to a plan: what an update is, as a function of a tip.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::{Digest, Reference, Repository, Tag, Version};
use crate::manifest::field::Field;
use crate::manifest::inventory::{Inventory, Located};
use crate::manifest::paths::PathFilter;
use crate::policy::no_choice::NoChoice;
use crate::policy::rule::{PolicySet, Rule};

use super::findings::{FindingsByImage, NoFindings};
use super::skip::{Reason, Skipped};

/// What digest an update writes beside the tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DigestWish {
    /// None.
    Without,
    /// The one that the tag has in the registry.
    OfTag,
    /// This one.
    Exactly(Digest),
}

/// One field that shall move.
#[derive(Debug, Clone)]
pub struct Update {
    /// The file, relative to the root.
    pub file: String,
    /// The field as it stands on the tip that this was planned on.
    pub field: Field,
    /// The tag that it shall hold.
    pub tag: Option<Tag>,
    /// The digest that it shall hold.
    pub digest: DigestWish,
    /// Other images whose fields read the same scalar, by an anchor: they come to hold the same tag.
    pub along: Vec<Repository>,
    /// Whether it goes back on purpose, so that what it leaves is held.
    pub goes_back: bool,
    /// Whether the file is encrypted by SOPS, so that it can be edited only with an identity that opens it.
    pub encrypted: bool,
}

impl Update {
    pub(super) fn new(located: &Located, tag: Option<Tag>, digest: DigestWish) -> Update {
        let (file, field) = (located.file.clone(), located.field.clone());
        Update { file, field, tag, digest, along: Vec::new(), goes_back: false, encrypted: located.encrypted }
    }

    /// Returns why it cannot be written when no identity opens its file.
    pub fn why_encrypted(&self) -> String {
        format!(
            "{}: {} is in a file encrypted by SOPS, whose message authentication code an edit would break",
            self.file, self.field.path
        )
    }
}

/// What shall change on a tip, before the gates.
#[derive(Debug, Default)]
pub struct Plan {
    /// The fields that shall move.
    pub updates: Vec<Update>,
    /// What stays, each with its reason.
    pub skipped: BTreeSet<Skipped>,
}

/// The fields that policies govern: not shadowed, and matched by a rule.
pub fn governed<'i>(
    inventory: &'i Inventory,
    policies: &'i PolicySet,
) -> impl Iterator<Item = (&'i Located, &'i Rule)> {
    let free = inventory.fields.iter().filter(|located| located.shadowed_by.is_none());
    free.filter_map(|located| Some((located, policies.rule_for(&located.field.repository)?)))
}

/// Plans what policies ask for.
pub fn by_policy(inventory: &Inventory, policies: &PolicySet, findings: &FindingsByImage) -> Plan {
    let mut plan = Plan::default();
    for (located, rule) in governed(inventory, policies) {
        let field = &located.field;
        let held = field.version.tag.clone();
        let mut skip = |tag: Option<Tag>, reason, detail: String| {
            plan.skipped.insert(Skipped::field(&located.file, field, tag, reason, detail));
        };
        let chosen = match findings.get(&field.repository) {
            Some(Ok(findings)) => findings.choose(&rule.tags, held.as_ref()),
            Some(Err(NoFindings::Absent(detail) | NoFindings::Unfinished(detail))) => {
                skip(held, Reason::NoCandidate, detail.clone());
                continue;
            }
            Some(Err(NoFindings::Failed(detail))) => {
                skip(held, Reason::RegistryError, detail.clone());
                continue;
            }
            None => None,
        };
        let Some(chosen) = chosen else {
            skip(held, Reason::RegistryError, "the registry was not asked".to_owned());
            continue;
        };
        match chosen {
            Ok(tag) => {
                let digest = match rule.pin || rule.track || field.version.digest.is_some() {
                    true => DigestWish::OfTag,
                    false => DigestWish::Without,
                };
                plan.updates.push(Update::new(located, Some(tag), digest));
            }
            Err(no) => {
                // The tag stays, but its digest is not there yet, or perhaps not the one that it has now.
                let wants_digest = rule.track || rule.pin && field.version.digest.is_none();
                let moves = no.keeps_tag() && held.is_some() && wants_digest;
                match no {
                    NoChoice::UpToDate { .. } if moves => {}
                    NoChoice::UpToDate { .. } => skip(held.clone(), Reason::UpToDate, no.to_string()),
                    _ => skip(held.clone(), Reason::NoCandidate, no.to_string()),
                }
                if moves {
                    plan.updates.push(Update::new(located, held, DigestWish::OfTag));
                }
            }
        }
    }
    keep_in_step(&mut plan, inventory, policies);
    plan
}

/// Leaves fields that someone moved since the cycle began: whoever did it meant it, so they wait for the next cycle.
pub fn leave_moved(plan: &mut Plan, before: &Inventory) {
    for update in std::mem::take(&mut plan.updates) {
        let field = &update.field;
        let same = |located: &&Located| {
            located.file == update.file
                && located.field.path == field.path
                && located.field.repository == field.repository
        };
        match before.fields.iter().find(same).map(|located| &located.field.version) {
            Some(held) if *held != field.version => {
                let detail = format!(
                    "{}: someone moved it from {held} to {} during this pass; it waits for the next",
                    update.file, field.version
                );
                let tag = field.version.tag.clone();
                plan.skipped.insert(Skipped::field(&update.file, field, tag, Reason::NoCandidate, detail));
            }
            _ => plan.updates.push(update),
        }
    }
}

/// Images whose fields read one scalar move together or not at all: those that policies govern have to choose the same
/// tag, and of the others the gate wants to see that they have it.
fn keep_in_step(plan: &mut Plan, inventory: &Inventory, policies: &PolicySet) {
    let mut apart = Vec::new();
    take_along(plan, inventory);
    for index in 0..plan.updates.len() {
        let update = &plan.updates[index];
        let goes_along = |image: &&Repository| {
            let other = plan.updates.iter().find(|other| {
                other.file == update.file
                    && other.field.repository == **image
                    && update.field.shares_scalar_with(&other.field)
            });
            other.map_or(policies.rule_for(image).is_none(), |other| other.tag == update.tag)
        };
        apart.extend(update.along.iter().find(|image| !goes_along(image)).map(|image| (index, image.clone())));
    }
    for (index, image) in apart.into_iter().rev() {
        let update = plan.updates.remove(index);
        let detail = format!(
            "{}: {} shares its value by an anchor with {image}, which does not move to the same tag",
            update.file, update.field.path
        );
        plan.skipped.insert(Skipped::field(&update.file, &update.field, update.tag, Reason::NoCandidate, detail));
    }
}

/// The other images whose fields read the scalar of an update.
fn along(update: &Update, inventory: &Inventory) -> Vec<Repository> {
    if update.field.moves_along.is_empty() {
        return Vec::new();
    }
    let in_file = inventory.fields.iter().filter(|located| located.file == update.file);
    let sharing = in_file.map(|located| &located.field).filter(|field| field.shares_scalar_with(&update.field));
    let others: BTreeSet<&Repository> =
        sharing.map(|field| &field.repository).filter(|image| **image != update.field.repository).collect();
    others.into_iter().cloned().collect()
}

/// Notes for each update which other images read its scalar.
pub(super) fn take_along(plan: &mut Plan, inventory: &Inventory) {
    for update in &mut plan.updates {
        update.along = along(update, inventory);
    }
}

/// What was asked for by name cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No field holds any of the images.
    #[error("no image field matches {}", wanted.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NoField {
        /// The images asked for.
        wanted: Vec<Repository>,
        /// The names in the tree that are most like them.
        closest: Vec<Repository>,
    },
    /// A field is in a file that is encrypted by SOPS.
    #[error("{0}")]
    Encrypted(String),
    /// A field never held anything else, so there is nothing to go back to.
    #[error("{file}: nothing is known that {path} held before {held}, apart from what is held back")]
    NothingBefore {
        /// The file.
        file: String,
        /// The path of the field.
        path: String,
        /// What it holds.
        held: Version,
    },
}

impl RequestError {
    pub(super) fn no_field<'n>(
        inventory: &Inventory,
        wanted: impl IntoIterator<Item = &'n Repository>,
    ) -> RequestError {
        let wanted: Vec<Repository> = wanted.into_iter().cloned().collect();
        let closest: BTreeSet<Repository> = wanted.iter().flat_map(|name| inventory.closest(name)).collect();
        RequestError::NoField { wanted, closest: closest.into_iter().take(5).collect() }
    }
}

/// What a request by name comes to.
#[derive(Debug, Default)]
pub struct Asked {
    /// What shall change.
    pub plan: Plan,
    /// What a person should know besides: fields that were left because they are overridden, images without a field.
    pub notes: Vec<String>,
}

/// Plans that every field of the given images reads exactly as given. In a file that `paths` names by its very path even
/// a shadowed field is written.
pub fn as_asked(inventory: &Inventory, wanted: &[Reference], paths: &PathFilter) -> Result<Asked, RequestError> {
    let mut asked = Asked::default();
    let by_name: BTreeMap<&Repository, &Version> = wanted.iter().map(|r| (&r.repository, &r.version)).collect();
    let mut unmatched: BTreeSet<&Repository> = by_name.keys().copied().collect();
    for located in &inventory.fields {
        let field = &located.field;
        let Some(version) = by_name.get(&field.repository) else { continue };
        unmatched.remove(&field.repository);
        if let Some(by) = located.shadowed_by.as_ref().filter(|_| !paths.names(&located.file)) {
            asked.notes.push(format!("{}: {} is left, {by} overrides it", located.file, field.path));
        } else if field.holds(version) {
            continue;
        } else {
            let digest = version.digest.clone().map_or(DigestWish::Without, DigestWish::Exactly);
            asked.plan.updates.push(Update::new(located, version.tag.clone(), digest));
        }
    }
    if unmatched.len() == by_name.len() {
        return Err(RequestError::no_field(inventory, unmatched));
    }
    take_along(&mut asked.plan, inventory);
    asked.notes.extend(unmatched.iter().map(|name| format!("no image field matches {name}")));
    Ok(asked)
}
