//! Questions about checks, and what is found about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::rollout::{Ancestry, ImageChange};
use crate::stage::definition::Check;

use super::error::EvidenceError;

/// A question about what a commit deployed.
#[derive(Debug, Clone)]
pub struct Question {
    /// The commit that deployed it.
    pub commit: String,
    /// Later tips that still hold it, whose statuses count as well. They are queried one after another, as long as checks
    /// have not passed.
    pub later: Vec<String>,
    /// The commit that replaced it, if one did. What the cluster makes of that one and later ones does not count.
    pub until: Option<String>,
    /// The files with its fields, and where they are deployed from.
    pub changes: Vec<ImageChange>,
    /// The checks that it has to pass.
    pub checks: Vec<Check>,
    /// Queries checks again that passed in an earlier cycle: for what is about to be promoted.
    pub confirms: bool,
}

/// What is found about each check of a question.
pub type Findings = BTreeMap<Check, Finding>;

/// What is found about a check.
#[derive(Debug, Clone)]
pub enum Finding {
    /// It has passed.
    Passed {
        /// The result, such as `success`.
        detail: String,
        /// A link to it.
        url: Option<String>,
    },
    /// It has failed, until it is repeated.
    Failed {
        /// The reason.
        detail: String,
        /// A link to it.
        url: Option<String>,
    },
    /// It has not finished, or not begun.
    Waiting {
        /// What is missing.
        detail: String,
    },
    /// It is not known, because the forge or the cluster could not be queried.
    Unknown {
        /// The reason.
        fault: Arc<EvidenceError>,
    },
}

impl Finding {
    /// Returns whether the check has passed.
    pub fn has_passed(&self) -> bool {
        matches!(self, Finding::Passed { .. })
    }
}

impl Question {
    /// Returns the commits whose statuses count, in the order in which they are queried.
    pub(super) fn tips(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.commit.as_str()).chain(self.later.iter().map(String::as_str))
    }

    /// Returns whether another commit holds what was deployed. `contains` returns whether the first commit is known to be
    /// or to contain the second one.
    pub(super) fn is_held_by(&self, other: &str, contains: &Ancestry) -> bool {
        let reaches = |commit: &str| other == commit || contains(other, commit);
        reaches(&self.commit) && !self.until.as_deref().is_some_and(reaches)
    }
}
