//! The places where a registry keeps signatures and attestations, and which of them to look at first.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::image::Repository;

/// A place where a registry keeps the signatures and attestations of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Artifacts that refer to the image, as cosign 3 stores them.
    Referrers,
    /// Tags made from the digest of the image, `sha256-….sig` and `sha256-….att`, as cosign 2 stores them.
    Tags,
}

/// The place where each repository had sufficient proof the last time.
#[derive(Debug, Default)]
pub(super) struct ProofPlaces(Mutex<HashMap<Repository, Place>>);

impl ProofPlaces {
    /// All places, in the order in which to look.
    pub fn in_order(&self, repository: &Repository) -> [Place; 2] {
        match self.0.lock().get(repository) {
            Some(Place::Tags) => [Place::Tags, Place::Referrers],
            Some(Place::Referrers) | None => [Place::Referrers, Place::Tags],
        }
    }

    /// Takes note of the place that had sufficient proof.
    pub fn found(&self, repository: &Repository, place: Place) {
        self.0.lock().insert(repository.clone(), place);
    }
}
