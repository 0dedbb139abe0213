//! Logs the results of the checks of what is deployed. What lasts is logged once.

use std::collections::BTreeMap;

use crate::cycle::deployed::Deployed;
use crate::cycle::drift::compare::Drift;

use super::result::{Check, CheckResult, Look, Mended, Problem, Verification, reference_of};

/// The maximum number of lines of one kind per check.
const MAX_LINES: usize = 100;

/// Logs results, and remembers which problems it has logged.
#[derive(Debug, Default)]
pub struct CheckLog {
    /// The problems of checks, and of namespaces.
    problems: BTreeMap<(Check, String), Problem>,
}

impl CheckLog {
    /// Logs the result of a check.
    pub fn checked(&mut self, result: &CheckResult) {
        match result {
            CheckResult::Deployed(verification) => {
                self.set_problems(Check::Deployed, BTreeMap::new());
                log_verification(verification);
            }
            CheckResult::Pods(look) => {
                self.set_problems(Check::Pods, look.unread.clone());
                log_look(look);
            }
            CheckResult::Failed(check, problem) => {
                self.set_problems(*check, BTreeMap::from([(String::new(), problem.clone())]));
            }
        }
    }

    /// Logs the problems of a check that are new, and those that are over.
    fn set_problems(&mut self, check: Check, problems: BTreeMap<String, Problem>) {
        let over = |(of, namespace): &(Check, String)| *of == check && !problems.contains_key(namespace);
        let over: Vec<_> = self.problems.keys().filter(|key| over(key)).cloned().collect();
        for (check, namespace) in over {
            self.problems.remove(&(check, namespace.clone()));
            match check {
                Check::Deployed => tracing::info!("the deployed images can be verified again"),
                Check::Pods => tracing::info!(namespace, "the pods can be compared with the repository again"),
            }
        }
        for (namespace, problem) in problems {
            let before = self.problems.insert((check, namespace.clone()), problem.clone());
            if before.as_ref() == Some(&problem) {
                continue;
            }
            let Problem { error, help } = problem;
            match check {
                Check::Deployed => tracing::error!(error, help, "cannot verify the deployed images"),
                Check::Pods => tracing::error!(namespace, error, help, "cannot compare the pods with the repository"),
            }
        }
    }
}

fn log_verification(verification: &Verification) {
    let Verification { newly_broken, newly_expiring, mended, .. } = verification;
    for image in newly_broken.iter().take(MAX_LINES) {
        let (reference, places) = (reference_of(image), image.places.join(", "));
        let Deployed { detail, help, .. } = image;
        tracing::error!(image = %reference, places, detail, help, "a deployed image is broken");
    }
    for image in newly_expiring.iter().take(MAX_LINES) {
        let (reference, places) = (reference_of(image), image.places.join(", "));
        tracing::warn!(image = %reference, places, detail = image.warning, "a deployed image is about to be deleted");
    }
    for Mended { image, is_deployed } in mended.iter().take(MAX_LINES) {
        let now =
            if *is_deployed { "a deployed image is complete again" } else { "a broken image is no longer deployed" };
        tracing::info!(%image, "{now}");
    }
    let (broken, expiring) = (verification.broken.len(), verification.expiring.len());
    tracing::info!(
        images = verification.images,
        broken,
        unknown = verification.unknown,
        expiring,
        "deployed images verified"
    );
}

fn log_look(look: &Look) {
    for Drift { place, runs, says, pods } in look.began.iter().take(MAX_LINES) {
        let (namespace, workload, container, image) =
            (&place.namespace, &place.workload, &place.container, &place.image);
        tracing::warn!(namespace, workload, container, %image, runs, says, pods, "drifted: pods run something else than the repository says");
    }
    for Drift { place, .. } in look.ended.iter().take(MAX_LINES) {
        let (namespace, workload, container, image) =
            (&place.namespace, &place.workload, &place.container, &place.image);
        tracing::info!(namespace, workload, container, %image, "no longer drifted: pods run what the repository says");
    }
}
