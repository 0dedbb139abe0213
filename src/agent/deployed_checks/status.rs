//! What the status page shows of the checks of what is deployed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::agent::runtime::Runtime;
use crate::cycle::deployed::Deployed;
use crate::cycle::drift::compare::Drift;

use super::result::{Check, CheckResult, Look, Problem, Verification};

/// The results of the last checks. Clones share everything that grows with the number of images.
#[derive(Debug, Clone, Default)]
pub struct CheckStatus {
    /// The last verification of the deployed images.
    pub deployed: Option<Arc<Verified>>,
    /// The drifts, by image.
    pub drifts: Arc<BTreeMap<String, Vec<Drift>>>,
    /// The problems of checks: the check, the namespace if it is about one, and what went wrong.
    pub problems: BTreeMap<(Check, String), Problem>,
}

/// A verification of the deployed images.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The time at which it ended.
    pub at: Timestamp,
    /// The number of images.
    pub images: usize,
    /// The number of images that could not be verified.
    pub unknown: usize,
    /// The images that are missing or incomplete.
    pub broken: Vec<Deployed>,
    /// The images that the next cleanup of their registry would delete.
    pub expiring: Vec<Deployed>,
}

impl CheckStatus {
    /// Forgets the results of checks that a configuration does not ask for.
    pub fn configured(&mut self, runtime: &Runtime) {
        if runtime.config.verify_deployed.is_none() {
            self.deployed = None;
            self.problems.retain(|(check, _), _| *check != Check::Deployed);
        }
        if runtime.cluster.pods.is_none() {
            self.drifts = Arc::default();
            self.problems.retain(|(check, _), _| *check != Check::Pods);
        }
    }

    /// Records the result of a check. A failed check leaves the results of the last one as they were.
    pub fn checked(&mut self, result: &CheckResult) {
        let (check, problems) = match result {
            CheckResult::Deployed(Verification { at, images, unknown, broken, expiring, .. }) => {
                let (broken, expiring) = (broken.clone(), expiring.clone());
                let verified = Verified { at: *at, images: *images, unknown: *unknown, broken, expiring };
                self.deployed = Some(Arc::new(verified));
                (Check::Deployed, BTreeMap::new())
            }
            CheckResult::Pods(Look { drifts, unread, .. }) => {
                let mut by_image: BTreeMap<String, Vec<Drift>> = BTreeMap::new();
                for drift in drifts {
                    by_image.entry(drift.place.image.to_string()).or_default().push(drift.clone());
                }
                self.drifts = Arc::new(by_image);
                (Check::Pods, unread.clone())
            }
            CheckResult::Failed(check, problem) => (*check, BTreeMap::from([(String::new(), problem.clone())])),
        };
        self.problems.retain(|(of, _), _| *of != check);
        self.problems.extend(problems.into_iter().map(|(namespace, problem)| ((check, namespace), problem)));
    }

    /// Returns the drifts of an image.
    pub fn drifts_of(&self, image: &str) -> &[Drift] {
        self.drifts.get(image).map_or(&[], Vec::as_slice)
    }
}
