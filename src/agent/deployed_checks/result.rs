//! The results of the checks that run beside cycles.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::cycle::deployed::Deployed;
use crate::cycle::drift::compare::Drift;
use crate::fault::Explain;
use crate::image::{Reference, Version};

/// A check that runs beside cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Whether all deployed images can be pulled.
    Deployed,
    /// Whether pods run what the repository says.
    Pods,
}

/// The result of a check.
#[derive(Debug)]
pub enum CheckResult {
    /// The deployed images were verified.
    Deployed(Verification),
    /// The pods were compared with the repository.
    Pods(Look),
    /// A check could not be made. It is made again after its interval.
    Failed(Check, Problem),
}

/// The result of a verification of all deployed images.
#[derive(Debug)]
pub struct Verification {
    /// The time at which it ended.
    pub at: Timestamp,
    /// The number of images.
    pub images: usize,
    /// The images that are missing or incomplete.
    pub broken: Vec<Deployed>,
    /// The number of images that could not be verified.
    pub unknown: usize,
    /// The images that the next cleanup of their registry would delete.
    pub expiring: Vec<Deployed>,
    /// The images that were not broken before.
    pub newly_broken: Vec<Deployed>,
    /// The images that are no longer broken.
    pub mended: Vec<Mended>,
    /// The images that no cleanup would have deleted before.
    pub newly_expiring: Vec<Deployed>,
}

/// An image that is no longer broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// The image.
    pub image: Reference,
    /// Whether it is still deployed.
    pub is_deployed: bool,
}

/// The result of a look at pods.
#[derive(Debug)]
pub struct Look {
    /// The time at which it ended.
    pub at: Timestamp,
    /// All drifts that have lasted for some time.
    pub drifts: Vec<Drift>,
    /// Those that are new.
    pub began: Vec<Drift>,
    /// Those that are over.
    pub ended: Vec<Drift>,
    /// The namespaces whose pods could not be read.
    pub unread: BTreeMap<String, Problem>,
}

/// What went wrong with a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The error.
    pub error: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// The problem that an error describes.
    pub fn of(error: &dyn Explain) -> Problem {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Problem { error: format!("{error}{cause}"), help: error.help() }
    }
}

/// Returns the reference of a deployed image.
pub fn reference_of(deployed: &Deployed) -> Reference {
    let version = Version { tag: deployed.tag.clone(), digest: deployed.digest.clone() };
    Reference { repository: deployed.image.clone(), version }
}
