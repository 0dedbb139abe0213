//! The status of each image that a policy governs: its current versions, the candidate, and the reasons why it stays.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::image::{Digest, Repository, Tag, Version};
use crate::manifest::inventory::Inventory;
use crate::plan::gate::GatedPlan;
use crate::plan::hold::NamedHolds;
use crate::plan::skip::{Address, Reason, Skipped};
use crate::plan::trailer::Hold;
use crate::plan::tree_config::TreeConfig;
use crate::stage::name::Name;

/// The status of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageStatus {
    /// The image.
    pub image: Repository,
    /// The policy that governs it.
    pub policy: String,
    /// The most important state among its fields.
    pub state: State,
    /// The tag that its fields should move to, if any.
    pub candidate: Option<Tag>,
    /// Its fields with their current versions.
    pub current: Vec<FieldVersion>,
    /// The reasons why fields stay.
    pub reasons: Vec<StatusReason>,
    /// The holds on it.
    pub holds: Vec<HoldStatus>,
    /// The repository that it is built from, if its policy or an image names it.
    #[serde(skip)]
    pub source: Option<String>,
}

/// The state of an image: the most important state among its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All of its fields are up to date.
    UpToDate,
    /// Some fields move, in this cycle or in the next one.
    Updating,
    /// Some fields stay for this reason.
    Kept(Reason),
}

impl State {
    /// All states, the most important one last.
    pub const ALL: [State; Reason::ALL.len() + 1] = [
        State::UpToDate,
        State::Kept(Reason::NoCandidate),
        State::Kept(Reason::Soaking),
        State::Kept(Reason::Check),
        State::Kept(Reason::Window),
        State::Kept(Reason::Approval),
        State::Kept(Reason::Incomplete),
        State::Updating,
        State::Kept(Reason::Held),
        State::Kept(Reason::RegistryError),
        State::Kept(Reason::BlockedSecret),
        State::Kept(Reason::BlockedImage),
        State::Kept(Reason::BlockedSignature),
        State::Kept(Reason::Suspended),
    ];

    /// Returns its index in `ALL`.
    pub fn index(self) -> usize {
        State::ALL.iter().position(|state| *state == self).unwrap_or_default()
    }

    /// Returns its name. A state with a reason has the name of the reason.
    pub fn name(self) -> &'static str {
        match self {
            State::UpToDate => Reason::UpToDate.name(),
            State::Updating => "updating",
            State::Kept(reason) => reason.name(),
        }
    }
}

impl Ord for State {
    fn cmp(&self, other: &State) -> Ordering {
        self.index().cmp(&other.index())
    }
}

impl PartialOrd for State {
    fn partial_cmp(&self, other: &State) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Reason> for State {
    fn from(reason: Reason) -> State {
        if reason == Reason::UpToDate { State::UpToDate } else { State::Kept(reason) }
    }
}

/// A field and its current version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldVersion {
    /// The file.
    pub file: String,
    /// The field.
    pub path: String,
    /// The tag.
    pub tag: Option<Tag>,
    /// The digest.
    pub digest: Option<Digest>,
    /// The stage of its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Name>,
    /// The line of its version, from 1.
    #[serde(skip)]
    pub line: usize,
}

/// A reason why a field stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusReason {
    /// The field, or `None` if this concerns all fields of the image.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub field: Option<Address>,
    /// The reason as a machine-readable name.
    pub reason: Reason,
    /// The tag that was not written, or the tag that stays.
    pub tag: Option<Tag>,
    /// The reason in plain text.
    pub detail: String,
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldStatus {
    /// The tag, or null if the whole image is held.
    pub tag: Option<Tag>,
    /// The digest, if a digest is held.
    pub digest: Option<Digest>,
    /// The time when the hold began.
    pub since: Timestamp,
    /// The person or job that put it there.
    pub by: String,
    /// The reason that was given.
    pub reason: String,
    /// The commit that caused the hold, if one did.
    pub commit: Option<String>,
    /// The URL of the closed pull request that caused the hold, if one did.
    pub pull_request: Option<String>,
}

impl From<&Hold> for HoldStatus {
    fn from(hold: &Hold) -> HoldStatus {
        HoldStatus {
            tag: hold.target.version.tag.clone(),
            digest: hold.target.version.digest.clone(),
            since: hold.since,
            by: hold.by.clone(),
            reason: hold.why.clone(),
            commit: hold.origin.commit().map(str::to_owned),
            pull_request: hold.origin.pull_request().map(str::to_owned),
        }
    }
}

impl ImageStatus {
    /// Returns the repository that it is built from, given what is known of each version.
    pub fn named_source(&self, source: impl Fn(&Repository, &Version) -> Option<String>) -> Option<String> {
        let version = |place: &FieldVersion| Version { tag: place.tag.clone(), digest: place.digest.clone() };
        self.current.iter().find_map(|place| source(&self.image, &version(place)))
    }
}

/// The inputs for the status of images, in addition to what a cycle decided.
pub struct Inputs {
    /// The image fields of the tip.
    pub inventory: Arc<Inventory>,
    /// The configuration of the tree.
    pub config: TreeConfig,
    /// The holds that keep updates back.
    pub holds: Vec<Hold>,
    /// The holds by name.
    pub named: Arc<NamedHolds>,
}

/// Returns the status of each image that a policy governs, sorted by name.
pub fn of_images(inputs: &Inputs, gated: &GatedPlan, skipped: &[Skipped]) -> Vec<ImageStatus> {
    let Inputs { inventory, config, holds, named } = inputs;
    let mut images: BTreeMap<&Repository, ImageStatus> = BTreeMap::new();
    let followed = config.governed(inventory).map(|(located, rule)| (located, rule.name.as_str()));
    let policy = |image: &Repository| config.policies.rule_for(image).map_or("stages", |rule| rule.name.as_str());
    let promoted = config.promoted(inventory).map(|(located, _)| (located, policy(&located.field.repository)));
    for (located, policy) in followed.chain(promoted) {
        let field = &located.field;
        let status = images.entry(&field.repository).or_insert_with(|| ImageStatus {
            image: field.repository.clone(),
            policy: policy.to_owned(),
            state: State::UpToDate,
            candidate: None,
            // Most images have one field, and one reason.
            current: Vec::with_capacity(1),
            reasons: Vec::with_capacity(1),
            holds: Vec::new(),
            source: None,
        });
        let (tag, digest) = (field.version.tag.clone(), field.version.digest.clone());
        let stage = config.stages.of(&located.file).map(|stage| stage.name.clone());
        let (file, path, line) = (located.file.clone(), field.path.clone(), field.place.line);
        status.current.push(FieldVersion { file, path, tag, digest, stage, line });
    }
    for update in gated.updates() {
        let Some(status) = images.get_mut(&update.field.repository) else { continue };
        status.candidate = update.to.tag.clone();
        status.state = status.state.max(State::Updating);
    }
    for Skipped { image, field, tag, reason, detail, .. } in skipped {
        let Some(status) = images.get_mut(image) else { continue };
        status.state = status.state.max(State::from(*reason));
        if reason.keeps_a_candidate() && status.candidate.is_none() {
            status.candidate = tag.clone();
        }
        let (field, tag, detail) = (field.clone(), tag.clone(), detail.clone());
        status.reasons.push(StatusReason { field, reason: *reason, tag, detail });
    }
    for hold in holds.iter().chain(named.all()) {
        let Some(status) = images.get_mut(&hold.target.image) else { continue };
        let held = HoldStatus::from(hold);
        if held.tag.is_none() && held.digest.is_none() {
            status.state = status.state.max(State::Kept(Reason::Held));
        }
        if !status.holds.contains(&held) {
            status.holds.push(held);
        }
    }
    images.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_their_serialized_form() {
        for (index, state) in State::ALL.into_iter().enumerate() {
            assert_eq!((state.index(), serde_json::to_value(state).expect("a name")), (index, state.name().into()));
        }
        for reason in Reason::ALL {
            assert_eq!(State::from(reason).name(), reason.name());
            assert!(State::ALL.contains(&State::from(reason)));
        }
    }
}
