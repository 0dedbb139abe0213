//! Makes a plan from fields and candidates: an update is a function of a tip.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::image::{Digest, Reference, Repository, Tag, Version};
use crate::manifest::field::Field;
use crate::manifest::inventory::{Inventory, Located};
use crate::manifest::paths::PathFilter;
use crate::policy::no_choice::NoChoice;
use crate::policy::rule::{PolicySet, Rule};

use crate::stage::definition::ReleaseRule;
use crate::stage::promotion::Entry;

use super::findings::{FindingsByImage, NoFindings};
use super::order_record::OrderedBy;
use super::skip::{Reason, Skipped};
use super::together::{self, Missing, Releases};
use super::tree_config::TreeConfig;

/// The digest that an update writes along with the tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedDigest {
    /// None.
    Without,
    /// The digest that the tag has in the registry.
    OfTag,
    /// This digest.
    Exactly(Digest),
}

/// A field that is to move.
#[derive(Debug, Clone)]
pub struct Update {
    /// The file, relative to the root.
    pub file: String,
    /// The field on the tip for which this was planned.
    pub field: Field,
    /// The new tag.
    pub tag: Option<Tag>,
    /// The new digest.
    pub digest: WantedDigest,
    /// Other images whose fields read the same scalar through an anchor, so that they move to the same tag.
    pub along: Vec<Repository>,
    /// The reason for its place in the order.
    pub ordered_by: OrderedBy,
    /// True if it goes back on purpose, so that the version it leaves is held.
    pub goes_back: bool,
    /// True if the file is encrypted with SOPS, so that only an identity that decrypts it allows an edit.
    pub encrypted: bool,
    /// The release that enters a stage with it. All of its fields move, or none.
    pub entry: Option<Arc<Entry>>,
}

impl Update {
    /// Makes an update of a field that a person requested; other plans say more.
    pub fn new(located: &Located, tag: Option<Tag>, digest: WantedDigest) -> Update {
        let (file, field) = (located.file.clone(), located.field.clone());
        let (ordered_by, encrypted) = (OrderedBy::Request, located.encrypted);
        Update { file, field, tag, digest, along: Vec::new(), ordered_by, goes_back: false, encrypted, entry: None }
    }

    /// Returns the reason why it cannot be written if no identity decrypts its file.
    pub fn why_encrypted(&self) -> String {
        format!(
            "{}: {} is in a file encrypted with SOPS, and an edit would invalidate its message authentication code",
            self.file, self.field.path
        )
    }
}

/// The updates for a tip, before the gates.
#[derive(Debug, Default)]
pub struct Plan {
    /// The fields that are to move.
    pub updates: Vec<Update>,
    /// The fields that stay, and the tags that cannot be chosen, with the reasons.
    pub skipped: BTreeSet<Skipped>,
    /// The releases of which images are missing.
    pub incomplete: BTreeSet<Incomplete>,
}

/// A release of which images are missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incomplete {
    /// The time from which on that is reported.
    pub due: Timestamp,
    /// What is missing.
    pub detail: String,
}

impl Incomplete {
    fn of(release: &ReleaseRule, missing: &Missing) -> Option<Incomplete> {
        let (within, built) = release.complete_within.zip(missing.built)?;
        let within = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
        let (name, tag, images) = (&release.name, &missing.tag, missing.names());
        let detail = format!("{name} {tag} has been incomplete for more than {within:#}: {images} does not have it");
        Some(Incomplete { due: built.checked_add(within).unwrap_or(Timestamp::MAX), detail })
    }
}

/// Plans the updates that policies require.
pub fn by_policy(inventory: &Inventory, config: &TreeConfig, findings: &FindingsByImage) -> Plan {
    let policies = &config.policies;
    let mut plan = Plan::default();
    let releases = Releases::of(inventory, config);
    for (located, rule) in config.governed(inventory) {
        let field = &located.field;
        let release = releases.release(&located.file, &field.repository, &config.stages);
        let mates = release.into_iter().flat_map(|release| release.others.iter().copied());
        let others: BTreeSet<&Repository> = field.serves_also.iter().chain(mates).collect();
        let together = (!others.is_empty())
            .then(|| together::choose(field, others.into_iter(), rule, policies, findings))
            .flatten();
        if let Some(choice) = &together {
            if let Some((newer, reason, detail)) = choice.shortfall(&located.file, field, release) {
                plan.skip(located, Some(newer), reason, detail);
            }
            let overdue = release.zip(choice.missing.as_ref());
            plan.incomplete.extend(overdue.and_then(|(release, missing)| Incomplete::of(release.rule, missing)));
        }
        match choose(field, rule, together.map(|choice| choice.tag), findings) {
            Ok(Ok(tag)) => plan.follow(located, rule, tag),
            Ok(Err(no)) => plan.stay(located, rule, &no),
            Err((reason, detail)) => plan.skip(located, field.version.tag.clone(), reason, detail),
        }
    }
    keep_in_step(&mut plan, inventory, policies);
    plan
}

/// Returns the choice of a policy for a field, which is `together` if it shares its scalar with other images.
///
/// # Errors
/// Fails if the registry did not say enough to choose.
fn choose(
    field: &Field,
    rule: &Rule,
    together: Option<Result<Tag, NoChoice>>,
    findings: &FindingsByImage,
) -> Result<Result<Tag, NoChoice>, (Reason, String)> {
    let not_queried = || (Reason::RegistryError, "the registry was not queried".to_owned());
    match findings.get(&field.repository) {
        Some(Ok(findings)) => {
            together.or_else(|| findings.choose(&rule.tags, field.version.tag.as_ref())).ok_or_else(not_queried)
        }
        Some(Err(NoFindings::Absent(detail) | NoFindings::Unfinished(detail))) => {
            Err((Reason::NoCandidate, detail.clone()))
        }
        Some(Err(NoFindings::Failed(detail))) => Err((Reason::RegistryError, detail.clone())),
        None => Err(not_queried()),
    }
}

impl Plan {
    /// Adds the update of a field to the tag that its policy chose.
    fn follow(&mut self, located: &Located, rule: &Rule, tag: Tag) {
        let has_digest = rule.pin || rule.track || located.field.version.digest.is_some();
        let digest = if has_digest { WantedDigest::OfTag } else { WantedDigest::Without };
        let ordered_by = OrderedBy::of(&rule.tags);
        self.updates.push(Update { ordered_by, ..Update::new(located, Some(tag), digest) });
    }

    /// Notes that a field keeps its tag. Its digest may not be written yet, or may have changed.
    fn stay(&mut self, located: &Located, rule: &Rule, no: &NoChoice) {
        let version = &located.field.version;
        let wants_digest = rule.track || rule.pin && version.digest.is_none();
        let moves = no.keeps_tag() && version.tag.is_some() && wants_digest;
        match no {
            NoChoice::UpToDate { .. } if moves => {}
            NoChoice::UpToDate { .. } => self.skip(located, version.tag.clone(), Reason::UpToDate, no.to_string()),
            _ => self.skip(located, version.tag.clone(), Reason::NoCandidate, no.to_string()),
        }
        if moves {
            let update = Update::new(located, version.tag.clone(), WantedDigest::OfTag);
            self.updates.push(Update { ordered_by: OrderedBy::Digest, ..update });
        }
    }

    fn skip(&mut self, located: &Located, tag: Option<Tag>, reason: Reason, detail: String) {
        self.skipped.insert(Skipped::field(&located.file, &located.field, tag, reason, detail));
    }
}

/// Keeps fields that someone moved since the cycle began. That was on purpose, so they are left for the next cycle.
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
                    "{}: someone moved it from {held} to {} during this cycle; it is left for the next one",
                    update.file, field.version
                );
                let tag = field.version.tag.clone();
                plan.skipped.insert(Skipped::field(&update.file, field, tag, Reason::NoCandidate, detail));
            }
            _ => plan.updates.push(update),
        }
    }
}

/// Drops updates of images that share a scalar but do not move together. Images with a policy have to choose the same
/// tag; for the others, a gate checks that they have it.
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
        let through = if update.field.serves_also.is_empty() { " through an anchor" } else { "" };
        let detail = format!(
            "{}: {} shares its value with {image}{through}, and {image} does not move to the same tag",
            update.file, update.field.path
        );
        plan.skipped.insert(Skipped::field(&update.file, &update.field, update.tag, Reason::NoCandidate, detail));
    }
}

/// Returns the other images whose fields read the scalar of an update.
fn along(update: &Update, inventory: &Inventory) -> Vec<Repository> {
    if update.field.moves_along.is_empty() {
        return update.field.serves_also.clone();
    }
    let in_file = inventory.fields.iter().filter(|located| located.file == update.file);
    let sharing = in_file.map(|located| &located.field).filter(|field| field.shares_scalar_with(&update.field));
    let others: BTreeSet<&Repository> =
        sharing.map(|field| &field.repository).filter(|image| **image != update.field.repository).collect();
    others.into_iter().cloned().collect()
}

/// Sets for each update the other images that read its scalar.
pub(super) fn take_along(plan: &mut Plan, inventory: &Inventory) {
    for update in &mut plan.updates {
        update.along = along(update, inventory);
    }
}

/// The error of a request by name that cannot be planned.
#[allow(missing_docs, reason = "the messages explain the fields")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No field holds any of the images.
    #[error("no image field matches {}", wanted.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NoField { wanted: Vec<Repository>, closest: Vec<Repository> },
    /// A field is in a file that is encrypted with SOPS.
    #[error("{0}")]
    Encrypted(String),
    /// A field has no earlier version to which it could return.
    #[error("{file}: no earlier value of {path} is known, apart from {held} and what is held back")]
    NothingBefore { file: String, path: String, held: Version },
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

/// The result of a request by name.
#[derive(Debug, Default)]
pub struct Requested {
    /// The updates.
    pub plan: Plan,
    /// Notes for people, about fields that are overridden and images without fields.
    pub notes: Vec<String>,
}

/// Plans to write the given references into all fields of their images. In a file that `paths` names exactly, even
/// shadowed fields are written.
pub fn as_requested(
    inventory: &Inventory,
    wanted: &[Reference],
    paths: &PathFilter,
) -> Result<Requested, RequestError> {
    let mut requested = Requested::default();
    let by_name: BTreeMap<&Repository, &Version> = wanted.iter().map(|r| (&r.repository, &r.version)).collect();
    let mut unmatched: BTreeSet<&Repository> = by_name.keys().copied().collect();
    for located in &inventory.fields {
        let field = &located.field;
        let Some(version) = by_name.get(&field.repository) else { continue };
        unmatched.remove(&field.repository);
        if let Some(by) = located.shadowed_by.as_ref().filter(|_| !paths.names(&located.file)) {
            requested.notes.push(format!("{}: {} is left alone because {by} overrides it", located.file, field.path));
        } else if field.holds(version) {
            continue;
        } else {
            let digest = version.digest.clone().map_or(WantedDigest::Without, WantedDigest::Exactly);
            requested.plan.updates.push(Update::new(located, version.tag.clone(), digest));
        }
    }
    if unmatched.len() == by_name.len() {
        return Err(RequestError::no_field(inventory, unmatched));
    }
    take_along(&mut requested.plan, inventory);
    requested.notes.extend(unmatched.iter().map(|name| format!("no image field matches {name}")));
    Ok(requested)
}
