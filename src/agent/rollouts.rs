//! The rollout of commits in the cluster: they are handed to the watch over Flux, if there is one.

use std::sync::Arc;
use std::time::Instant;

use crate::cluster::api::Cluster;
use crate::cluster::config::Flux;
use crate::cluster::flux::{FluxEvent, Watch};
use crate::cluster::pending_rollouts::{ImageChange, PushedCommit};
use crate::cycle::report::{Moved, Report};
use crate::fault::Explain;
use crate::secret::SafeUrl;

use super::outcome::Outcome;
use super::runtime::Runtime;

/// The watch over Flux, if one is configured.
#[derive(Debug, Default)]
pub struct Rollouts {
    watch: Option<(Flux, SafeUrl, Watch)>,
}

impl Rollouts {
    /// Applies a configuration. Pending rollouts stay pending unless the settings of Flux have changed. Returns whether Flux
    /// is watched, if that has changed.
    pub async fn configured(&mut self, runtime: &Runtime) -> Option<bool> {
        let Some(flux) = &runtime.cluster.flux else {
            return self.watch.take().map(|_| false);
        };
        let is_same =
            |(before, repository, _): &(Flux, SafeUrl, Watch)| (before, repository) == (flux, &runtime.repository);
        if self.watch.as_ref().is_some_and(is_same) {
            return None;
        }
        self.watch = match Cluster::find().await {
            Ok(cluster) => {
                let watch = Watch::start(cluster, flux.clone(), Arc::clone(&runtime.ancestry));
                Some((flux.clone(), runtime.repository.clone(), watch))
            }
            Err(error) => {
                tracing::error!(%error, help = error.help(), "cannot connect to the cluster; Flux is neither notified nor watched");
                None
            }
        };
        Some(self.watch.is_some())
    }

    /// Starts to watch the commit of a cycle. A proposal is not on the branch yet, so it is not watched.
    pub fn cycle_ended(&self, outcome: &Outcome) {
        let (Some((_, _, watch)), Ok(report)) = (&self.watch, &outcome.result) else { return };
        if let Some(pushed) = pushed(report) {
            watch.pushed(pushed);
        }
    }

    /// Waits for the next event; forever if nothing is watched.
    pub async fn next_event(&mut self) -> FluxEvent {
        match &mut self.watch {
            Some((_, _, watch)) => watch.next_event().await,
            None => std::future::pending().await,
        }
    }
}

fn pushed(report: &Report) -> Option<PushedCommit> {
    let commit = report.deployed()?;
    let change = |moved: &Moved| ImageChange {
        image: moved.image.to_string(),
        to: moved.to.to_string(),
        file: moved.file.clone(),
        built: moved.built,
    };
    let mut changes: Vec<ImageChange> = report.updates.iter().map(change).collect();
    changes.dedup();
    Some(PushedCommit { commit: commit.to_string(), at: Instant::now(), changes })
}
