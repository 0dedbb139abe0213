//! The fields and tags that do not move, with the reasons.

use std::fmt;

use serde::Serialize;

use crate::image::{Repository, Tag};
use crate::manifest::field::Field;

/// The reason why a field does not move, in order of increasing importance. The names are part of the command line's
/// contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The field is up to date.
    UpToDate,
    /// No tag can be chosen.
    NoCandidate,
    /// The tag or the whole image is held.
    Held,
    /// The registry did not answer.
    RegistryError,
    /// A SOPS file that is deployed with the field is broken, or cannot be edited.
    BlockedSecret,
    /// The image is missing or incomplete.
    BlockedImage,
    /// Automation is suspended by configuration.
    Suspended,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Reason; 7] = [
        Reason::UpToDate,
        Reason::NoCandidate,
        Reason::Held,
        Reason::RegistryError,
        Reason::BlockedSecret,
        Reason::BlockedImage,
        Reason::Suspended,
    ];

    /// Returns whether a tag was chosen and then kept back.
    pub fn keeps_a_candidate(self) -> bool {
        matches!(self, Reason::Held | Reason::BlockedSecret | Reason::BlockedImage | Reason::Suspended)
    }

    /// Returns its name in the contract of the command line.
    pub fn name(self) -> &'static str {
        match self {
            Reason::UpToDate => "up-to-date",
            Reason::NoCandidate => "no-candidate",
            Reason::Held => "held",
            Reason::RegistryError => "registry-error",
            Reason::BlockedSecret => "blocked-secret",
            Reason::BlockedImage => "blocked-image",
            Reason::Suspended => "suspended",
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
}

impl Skipped {
    /// Makes an entry for a field that stays.
    pub fn field(file: &str, field: &Field, tag: Option<Tag>, reason: Reason, detail: String) -> Skipped {
        Skipped { image: field.repository.clone(), tag, reason, detail, field: Some(Address::of(file, field)) }
    }

    /// Makes an entry for a tag to which no field can move.
    pub fn tag(image: &Repository, tag: &Tag, reason: Reason, detail: String) -> Skipped {
        Skipped { image: image.clone(), tag: Some(tag.clone()), reason, detail, field: None }
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
