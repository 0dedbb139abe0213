//! Fields and candidates to a plan: what an update is, as a function of a tip.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::{Digest, Reference, Repository, Tag, Version};
use crate::manifest::field::Field;
use crate::manifest::inventory::{Inventory, Located};
use crate::manifest::paths::PathFilter;
use crate::policy::choose::{Age, Current, NoChoice, Seen};
use crate::policy::rule::{PolicySet, Rule};

use super::skip::{Reason, Skipped};

/// What is known of the images of one repository.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// The tags that fit the policy, with their ages where the order needs them.
    pub seen: Vec<Seen>,
    /// The ages of tags that fields hold now.
    pub held: BTreeMap<Tag, Age>,
}

/// Why there is no survey of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoSurvey {
    /// The registry says that it has no such repository.
    Absent(String),
    /// The registry could not say.
    Failed(String),
}

/// What the registry said of each repository.
pub type Surveys = BTreeMap<Repository, Result<Survey, NoSurvey>>;

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
}

/// What shall change on a tip, before the gates.
#[derive(Debug, Default)]
pub struct Plan {
    /// The fields that shall move.
    pub updates: Vec<Update>,
    /// The images that stay, each with its reason.
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
pub fn by_policy(inventory: &Inventory, policies: &PolicySet, surveys: &Surveys) -> Plan {
    let mut plan = Plan::default();
    for (located, rule) in governed(inventory, policies) {
        let field = &located.field;
        let held = field.version.tag.clone();
        let mut skip = |tag: Option<Tag>, reason, detail: String| {
            plan.skipped.insert(Skipped { image: field.repository.clone(), tag, reason, detail });
        };
        let survey = match surveys.get(&field.repository) {
            Some(Ok(survey)) => survey,
            Some(Err(NoSurvey::Absent(detail))) => {
                skip(held, Reason::NoCandidate, detail.clone());
                continue;
            }
            Some(Err(NoSurvey::Failed(detail))) => {
                skip(held, Reason::RegistryError, detail.clone());
                continue;
            }
            None => {
                skip(held, Reason::RegistryError, "the registry was not asked".to_owned());
                continue;
            }
        };
        let current =
            held.clone().map(|tag| Current { age: survey.held.get(&tag).cloned().unwrap_or(Age::Unasked), tag });
        match rule.tags.choose(&survey.seen, current.as_ref()) {
            Ok(tag) if located.sealed => skip(Some(tag), Reason::BlockedSecret, sealed(located)),
            Ok(tag) => {
                let digest = match rule.pin || rule.track || field.version.digest.is_some() {
                    true => DigestWish::OfTag,
                    false => DigestWish::Without,
                };
                let update = Update { file: located.file.clone(), field: field.clone(), tag: Some(tag), digest };
                plan.updates.push(update);
            }
            // The newest tag is there, but not its digest yet, or perhaps not the one that it has now.
            Err(NoChoice::UpToDate { tag })
                if (rule.track || rule.pin && field.version.digest.is_none()) && !located.sealed =>
            {
                let (file, tag) = (located.file.clone(), Some(tag));
                plan.updates.push(Update { file, field: field.clone(), tag, digest: DigestWish::OfTag });
            }
            Err(no) => {
                let reason =
                    if matches!(no, NoChoice::UpToDate { .. }) { Reason::UpToDate } else { Reason::NoCandidate };
                skip(held, reason, no.to_string());
            }
        }
    }
    plan
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
    /// A field stands in a file that SOPS has sealed.
    #[error("{0}")]
    Sealed(String),
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
        } else if field.version == **version {
            continue;
        } else if located.sealed {
            return Err(RequestError::Sealed(sealed(located)));
        } else {
            asked.plan.updates.push(Update {
                file: located.file.clone(),
                field: field.clone(),
                tag: version.tag.clone(),
                digest: version.digest.clone().map_or(DigestWish::Without, DigestWish::Exactly),
            });
        }
    }
    if unmatched.len() == by_name.len() {
        let closest: BTreeSet<Repository> = unmatched.iter().flat_map(|name| inventory.closest(name)).collect();
        let wanted = wanted.iter().map(|r| r.repository.clone()).collect();
        return Err(RequestError::NoField { wanted, closest: closest.into_iter().take(5).collect() });
    }
    asked.notes.extend(unmatched.iter().map(|name| format!("no image field matches {name}")));
    Ok(asked)
}

fn sealed(located: &Located) -> String {
    format!(
        "{}: {} stands in a file encrypted by SOPS, whose message authentication code an edit would break",
        located.file, located.field.path
    )
}
