//! The fields and tags that do not move, with the reasons.

use std::fmt;

use serde::Serialize;

use crate::image::{Repository, Tag};
use crate::manifest::field::Field;
use crate::stage::candidate::Gate;
use crate::stage::name::Name;
use crate::stage::stages::Stages;

/// The reason why a field does not move, in order of increasing importance. The names are part of the command line's
/// contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The field is up to date.
    UpToDate,
    /// No tag can be chosen.
    NoCandidate,
    /// A release was not long enough in the stage before.
    Soaking,
    /// A check in the stage before has not succeeded.
    Check,
    /// A deployment window is closed.
    Window,
    /// An approval is missing.
    Approval,
    /// Images of a release are missing.
    Incomplete,
    /// The tag or the whole image is held.
    Held,
    /// The registry did not answer.
    RegistryError,
    /// A SOPS file that is deployed with the field is broken, or cannot be edited.
    BlockedSecret,
    /// The image is missing or incomplete.
    BlockedImage,
    /// The image lacks the proof of its origin that its policy requires.
    BlockedSignature,
    /// Automation is suspended by configuration.
    Suspended,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Reason; 13] = [
        Reason::UpToDate,
        Reason::NoCandidate,
        Reason::Soaking,
        Reason::Check,
        Reason::Window,
        Reason::Approval,
        Reason::Incomplete,
        Reason::Held,
        Reason::RegistryError,
        Reason::BlockedSecret,
        Reason::BlockedImage,
        Reason::BlockedSignature,
        Reason::Suspended,
    ];

    /// Returns whether a tag was chosen and then kept back.
    pub fn keeps_a_candidate(self) -> bool {
        !matches!(self, Reason::UpToDate | Reason::NoCandidate | Reason::RegistryError)
    }

    /// Returns whether it needs no attention, because a release passes its stages as it is configured to.
    pub fn only_waits(self) -> bool {
        matches!(self, Reason::Soaking | Reason::Check | Reason::Window | Reason::Approval)
    }

    /// Returns its name in the contract of the command line.
    pub fn name(self) -> &'static str {
        match self {
            Reason::UpToDate => "up-to-date",
            Reason::NoCandidate => "no-candidate",
            Reason::Soaking => "soaking",
            Reason::Check => "check",
            Reason::Window => "window",
            Reason::Approval => "approval",
            Reason::Incomplete => "incomplete",
            Reason::Held => "held",
            Reason::RegistryError => "registry-error",
            Reason::BlockedSecret => "blocked-secret",
            Reason::BlockedImage => "blocked-image",
            Reason::BlockedSignature => "blocked-signature",
            Reason::Suspended => "suspended",
        }
    }
}

impl From<Gate> for Reason {
    fn from(gate: Gate) -> Reason {
        match gate {
            Gate::Incomplete => Reason::Incomplete,
            Gate::Soak => Reason::Soaking,
            Gate::Check | Gate::FailedCheck => Reason::Check,
            Gate::Window => Reason::Window,
            Gate::Approval => Reason::Approval,
            Gate::Held => Reason::Held,
            Gate::Image => Reason::BlockedImage,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The location of a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Address {
    /// The file, relative to the root.
    pub file: String,
    /// The path in the file, such as `spec.containers[0].image`.
    pub path: String,
}

impl Address {
    /// Returns the address of a field of a file.
    pub fn of(file: &str, field: &Field) -> Address {
        Address { file: file.to_owned(), path: field.path.clone() }
    }
}

/// A field that does not move, or a tag to which none of an image's fields can move.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Skipped {
    /// The image.
    pub image: Repository,
    /// The tag that was not written, or the tag that stays.
    pub tag: Option<Tag>,
    /// The reason as a machine-readable name.
    pub reason: Reason,
    /// The reason in plain text.
    pub detail: String,
    /// The field, or `None` if this concerns all fields of the image.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub field: Option<Address>,
    /// The stage of its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Name>,
}

impl Skipped {
    /// Makes an entry for a field that stays.
    pub fn field(file: &str, field: &Field, tag: Option<Tag>, reason: Reason, detail: String) -> Skipped {
        let (image, field) = (field.repository.clone(), Some(Address::of(file, field)));
        Skipped { image, tag, reason, detail, field, stage: None }
    }

    /// Makes an entry for a tag to which no field can move.
    pub fn tag(image: &Repository, tag: &Tag, reason: Reason, detail: String) -> Skipped {
        Skipped { image: image.clone(), tag: Some(tag.clone()), reason, detail, field: None, stage: None }
    }

    /// Adds the stage of its file.
    pub fn in_stage(self, stages: &Stages) -> Skipped {
        let stage = self.field.as_ref().and_then(|field| stages.of(&field.file)).map(|stage| stage.name.clone());
        Skipped { stage, ..self }
    }

    /// Returns whether it concerns a field of an image.
    pub fn concerns(&self, image: &Repository, address: &Address) -> bool {
        self.image == *image && self.field.as_ref().is_none_or(|field| field == address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_their_serialized_form() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).expect("a name"), reason.name());
        }
    }
}
