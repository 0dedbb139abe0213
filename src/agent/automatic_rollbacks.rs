//! The commits that the cluster could not apply and that are to be taken back. Whether they may be is decided from git, so
//! nothing is lost with this process: after a restart the failure is reported again.

use std::collections::{BTreeSet, VecDeque};

use crate::cluster::config::OnFailure;
use crate::cluster::rollout::{Product, RolloutEvent, RolloutOutcome};
use crate::cluster::watch::WatchEvent;
use crate::cycle::operations::automatic_rollback::AutomaticRollback;
use crate::cycle::operations::terms::Attribution;
use crate::image::Repository;
use crate::text;

use super::runtime::Runtime;

/// The longest message of Flux or Argo CD that is recorded in git, in characters.
const MAX_MESSAGE: usize = 300;
/// The name under which automatic rollbacks are recorded.
const ACTOR: &str = "tagalong";

/// The commits that are to be taken back, oldest first.
#[derive(Debug, Default)]
pub struct AutomaticRollbacks(VecDeque<AutomaticRollback>);

impl AutomaticRollbacks {
    /// Adds the commit of an event if it failed, unless failures are only reported.
    pub fn add(&mut self, event: &WatchEvent, runtime: &Runtime) {
        let WatchEvent::Rollout(event) = event else { return };
        if runtime.cluster.on_failure != OnFailure::RollBack {
            return;
        }
        let Some(rollback) = of(event) else { return };
        if runtime.config.suspend {
            tracing::warn!(commit = %event.commit, "a commit that could not be applied is not taken back, because agent.suspend is set");
            return;
        }
        self.0.push_back(rollback);
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the oldest one.
    pub fn take(&mut self) -> Option<AutomaticRollback> {
        self.0.pop_front()
    }
}

fn of(event: &RolloutEvent) -> Option<AutomaticRollback> {
    let RolloutOutcome::Failed { reason, message } = &event.outcome else { return None };
    let deployer = event.deployer.as_ref()?;
    let kind = match deployer.product {
        Product::Flux => "Kustomization",
        Product::ArgoCd => "Application",
    };
    let commit: String = event.commit.chars().take(7).collect();
    let why = format!("{kind} {deployer} failed with {commit}: {reason}: {message}");
    let changes = event.changes.iter().filter_map(|change| {
        let image = Repository::parse_any(&change.image).ok()?;
        Some((change.file.clone(), image))
    });
    Some(AutomaticRollback {
        commit: event.commit.parse().ok()?,
        changes: changes.collect::<BTreeSet<_>>(),
        last_applied: event.last_applied.clone(),
        by: Attribution {
            actor: Some(ACTOR.to_owned()),
            reason: Some(text::cut(&text::words(&why), MAX_MESSAGE).into_owned()),
        },
    })
}
