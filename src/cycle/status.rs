//! How each image that a policy governs stands: what it holds, what it could hold, and what keeps it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::image::{Digest, Repository, Tag};
use crate::manifest::inventory::Inventory;
use crate::plan::decide::governed;
use crate::plan::gate::GatedPlan;
use crate::plan::hold::NamedHolds;
use crate::plan::skip::{Address, Reason, Skipped};
use crate::plan::trailer::Hold;
use crate::policy::rule::PolicySet;

/// How an image stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageStatus {
    /// The image.
    pub image: Repository,
    /// The policy that governs it.
    pub policy: String,
    /// What matters most about it.
    pub state: State,
    /// The tag that its fields should hold, where that is another than they do.
    pub candidate: Option<Tag>,
    /// What its fields hold.
    pub current: Vec<Place>,
    /// Why fields stay.
    pub reasons: Vec<Why>,
    /// What is held of it.
    pub holds: Vec<Held>,
}

/// What matters most about an image, what matters most last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All of its fields hold what they should.
    UpToDate,
    /// No tag can be chosen for some.
    NoCandidate,
    /// Some move, in this pass or in the next.
    Updating,
    /// Some are held.
    Held,
    /// The registry did not answer.
    RegistryError,
    /// Secrets beside some are broken.
    BlockedSecret,
    /// The image that some would hold is not there, or not whole.
    BlockedImage,
    /// Automation is suspended by configuration.
    Suspended,
}

impl State {
    /// All of them.
    pub const ALL: [State; 8] = [
        State::UpToDate,
        State::NoCandidate,
        State::Updating,
        State::Held,
        State::RegistryError,
        State::BlockedSecret,
        State::BlockedImage,
        State::Suspended,
    ];

    /// Its name, which is that of the reason for it.
    pub fn name(self) -> &'static str {
        match self {
            State::UpToDate => Reason::UpToDate.name(),
            State::NoCandidate => Reason::NoCandidate.name(),
            State::Updating => "updating",
            State::Held => Reason::Held.name(),
            State::RegistryError => Reason::RegistryError.name(),
            State::BlockedSecret => Reason::BlockedSecret.name(),
            State::BlockedImage => Reason::BlockedImage.name(),
            State::Suspended => Reason::Suspended.name(),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Reason> for State {
    fn from(reason: Reason) -> State {
        match reason {
            Reason::UpToDate => State::UpToDate,
            Reason::NoCandidate => State::NoCandidate,
            Reason::Held => State::Held,
            Reason::RegistryError => State::RegistryError,
            Reason::BlockedSecret => State::BlockedSecret,
            Reason::BlockedImage => State::BlockedImage,
            Reason::Suspended => State::Suspended,
        }
    }
}

/// A field and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The field.
    pub path: String,
    /// The tag.
    pub tag: Option<Tag>,
    /// The digest.
    pub digest: Option<Digest>,
}

/// Why a field stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// The field; `None` when this is about all fields of the image.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub field: Option<Address>,
    /// For machines.
    pub reason: Reason,
    /// The tag that was not written, or that stays.
    pub tag: Option<Tag>,
    /// For people.
    pub detail: String,
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The tag; null for all of the image.
    pub tag: Option<Tag>,
    /// The digest, where that is what is held.
    pub digest: Option<Digest>,
    /// Since when.
    pub since: Timestamp,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The commit that holds it, if it was one.
    pub commit: Option<String>,
    /// The address of the closed pull request that holds it, if it was one.
    pub pull_request: Option<String>,
}

impl From<&Hold> for Held {
    fn from(hold: &Hold) -> Held {
        Held {
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

/// How all images that policies govern stand, by name.
pub fn of_images(
    inventory: &Inventory,
    policies: &PolicySet,
    gated: &GatedPlan,
    skipped: &[Skipped],
    holds: &[Hold],
    named: &NamedHolds,
) -> Vec<ImageStatus> {
    let mut images: BTreeMap<&Repository, ImageStatus> = BTreeMap::new();
    for (located, rule) in governed(inventory, policies) {
        let field = &located.field;
        let status = images.entry(&field.repository).or_insert_with(|| ImageStatus {
            image: field.repository.clone(),
            policy: rule.name.clone(),
            state: State::UpToDate,
            candidate: None,
            // Most images have one field, and one reason.
            current: Vec::with_capacity(1),
            reasons: Vec::with_capacity(1),
            holds: Vec::new(),
        });
        let (tag, digest) = (field.version.tag.clone(), field.version.digest.clone());
        status.current.push(Place { file: located.file.clone(), path: field.path.clone(), tag, digest });
    }
    for update in gated.updates() {
        let Some(status) = images.get_mut(&update.field.repository) else { continue };
        status.candidate = update.to.tag.clone();
        status.state = status.state.max(State::Updating);
    }
    for Skipped { image, field, tag, reason, detail } in skipped {
        let Some(status) = images.get_mut(image) else { continue };
        status.state = status.state.max(State::from(*reason));
        if reason.keeps_a_candidate() && status.candidate.is_none() {
            status.candidate = tag.clone();
        }
        let (field, tag, detail) = (field.clone(), tag.clone(), detail.clone());
        status.reasons.push(Why { field, reason: *reason, tag, detail });
    }
    for hold in holds.iter().chain(named.all()) {
        let Some(status) = images.get_mut(&hold.target.image) else { continue };
        let held = Held::from(hold);
        if held.tag.is_none() && held.digest.is_none() {
            status.state = status.state.max(State::Held);
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
    fn names_are_those_that_are_printed() {
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).expect("a name"), state.name());
        }
        for reason in Reason::ALL {
            assert_eq!(State::from(reason).name(), reason.name());
        }
    }
}
