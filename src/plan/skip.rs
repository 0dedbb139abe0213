//! What does not move, and why.

use std::fmt;

use serde::Serialize;

use crate::image::{Repository, Tag};
use crate::manifest::field::Field;

/// Why a field does not move, what matters most last. The names are part of the command line's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The field holds what it should.
    UpToDate,
    /// No tag can be chosen.
    NoCandidate,
    /// The tag, or all of the image, is held.
    Held,
    /// The registry did not answer.
    RegistryError,
    /// A SOPS file would not survive the edit.
    BlockedSecret,
    /// The image is not there, or not whole.
    BlockedImage,
    /// Automation is suspended by configuration.
    Suspended,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 7] = [
        Reason::UpToDate,
        Reason::NoCandidate,
        Reason::Held,
        Reason::RegistryError,
        Reason::BlockedSecret,
        Reason::BlockedImage,
        Reason::Suspended,
    ];

    /// Whether a tag was chosen and kept back.
    pub fn keeps_a_candidate(self) -> bool {
        matches!(self, Reason::Held | Reason::BlockedSecret | Reason::BlockedImage | Reason::Suspended)
    }

    /// Its name in the contract of the command line.
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

/// Where a field is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Address {
    /// The file, relative to the root.
    pub file: String,
    /// The path in it, like `spec.containers[0].image`.
    pub path: String,
}

impl Address {
    /// The address of a field of a file.
    pub fn of(file: &str, field: &Field) -> Address {
        Address { file: file.to_owned(), path: field.path.clone() }
    }
}

/// A field that does not move, or a tag that none of an image's fields can move to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Skipped {
    /// The image.
    pub image: Repository,
    /// The tag that was not written, or that stays.
    pub tag: Option<Tag>,
    /// Why, for machines.
    pub reason: Reason,
    /// Why, for people.
    pub detail: String,
    /// The field; `None` when this is about all fields of the image.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub field: Option<Address>,
}

impl Skipped {
    /// A field that stays.
    pub fn field(file: &str, field: &Field, tag: Option<Tag>, reason: Reason, detail: String) -> Skipped {
        Skipped { image: field.repository.clone(), tag, reason, detail, field: Some(Address::of(file, field)) }
    }

    /// A tag that no field can move to.
    pub fn tag(image: &Repository, tag: &Tag, reason: Reason, detail: String) -> Skipped {
        Skipped { image: image.clone(), tag: Some(tag.clone()), reason, detail, field: None }
    }

    /// Whether it is about a field of an image.
    pub fn concerns(&self, image: &Repository, address: &Address) -> bool {
        self.image == *image && self.field.as_ref().is_none_or(|field| field == address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_printed() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).expect("a name"), reason.name());
        }
    }
}
