//! What does not move, and why.

use serde::Serialize;

use crate::image::{Repository, Tag};

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

/// An image that does not move.
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
