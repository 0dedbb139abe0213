//! The rollout of commits in the cluster: they are handed to the watch over Flux and Argo CD, if there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::clock;
use crate::cluster::api::Cluster;
use crate::cluster::git_repository::Target;
use crate::cluster::rollout::{ImageChange, Product, PushedCommit};
use crate::cluster::watch::{Watch, WatchEvent, Watched};
use crate::cycle::history::recent::RecentCommit;
use crate::cycle::report::{Moved, Report};
use crate::fault::Explain;
use crate::manifest::helm_release;
use crate::manifest::inventory::Inventory;
use crate::plan::trailer::RecordedMove;

use super::outcome::Outcome;
use super::runtime::Runtime;

/// The time for reading the latest commits. Another process may hold the clone; then the next cycle tries again.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The watch over Flux and Argo CD, if one is configured.
#[derive(Debug)]
pub struct Rollouts {
    watch: Option<(Watched, Watch)>,
    /// True while another replica may be watching.
    is_paused: bool,
    /// True if the commits that may be pending are not known, because this process did not push them or was paused.
    must_resume: bool,
}

impl Default for Rollouts {
    fn default() -> Rollouts {
        Rollouts { watch: None, is_paused: false, must_resume: true }
    }
}

impl Rollouts {
    /// Applies a configuration. Pending rollouts stay pending unless the settings of Flux or Argo CD have changed. Returns
    /// the products that are watched, if these have changed.
    pub async fn configured(&mut self, runtime: &Runtime) -> Option<BTreeSet<Product>> {
        let (flux, argocd) = (runtime.cluster.flux.clone(), runtime.cluster.argocd.clone());
        let target = Target { repository: runtime.repository.clone(), branch: runtime.branch.to_string() };
        let watched = Watched { flux, argocd, target };
        if watched.products().is_empty() {
            return self.watch.take().map(|_| BTreeSet::new());
        }
        if self.watch.as_ref().is_some_and(|(before, _)| *before == watched) {
            return None;
        }
        self.must_resume = true;
        self.watch = match Cluster::find().await {
            Ok(cluster) => {
                let watch = Watch::start(cluster, watched.clone(), Arc::clone(&runtime.ancestry));
                Some((watched, watch))
            }
            Err(error) => {
                tracing::error!(%error, help = error.help(), "cannot connect to the cluster; commits are not watched there");
                None
            }
        };
        Some(self.watch.as_ref().map(|(watched, _)| watched.products()).unwrap_or_default())
    }

    /// Stops reporting, because this replica does not lead.
    pub fn pause(&mut self) {
        self.must_resume = true;
        if let Some((_, watch)) = self.watch.as_ref().filter(|_| !self.is_paused) {
            watch.pause();
        }
        self.is_paused = true;
    }

    /// Starts to watch the commit of a cycle. A proposal is not on the branch yet, so it is not watched. The first cycle of
    /// a leader also finds the commits that were pushed before and may still be pending.
    pub async fn cycle_ended(&mut self, outcome: &Outcome, runtime: &Runtime) {
        let Ok(report) = &outcome.result else { return };
        if self.must_resume {
            self.resume(report, runtime).await;
        }
        let Some((_, watch)) = &self.watch else { return };
        if let Some(pushed) = pushed(report) {
            watch.pushed(pushed);
        }
    }

    async fn resume(&mut self, report: &Report, runtime: &Runtime) {
        let Some((watched, watch)) = &self.watch else { return };
        let (now, runner) = (clock::now(), Arc::clone(&runtime.runner));
        let since = now.checked_sub(watched.timeout()).unwrap_or_default();
        let reading = tokio::task::spawn_blocking(move || runner.recent_commits(since));
        let read = match tokio::time::timeout(READ_TIMEOUT, reading).await {
            Ok(Ok(read)) => read.map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("it took longer than {} s", READ_TIMEOUT.as_secs())),
        };
        match read {
            Ok(commits) => {
                let is_own = |commit: &RecentCommit| is_of(report, commit);
                let commits = commits.iter().filter(|commit| !is_own(commit));
                watch.resume(commits.map(|commit| resumed(commit, &report.inventory, now)).collect());
                (self.must_resume, self.is_paused) = (false, false);
            }
            Err(error) => {
                tracing::warn!(error, "cannot read which commits the cluster may not have applied yet");
            }
        }
    }

    /// Waits for the next event; forever if nothing is watched.
    pub async fn next_event(&mut self) -> WatchEvent {
        match &mut self.watch {
            Some((_, watch)) => watch.next_event().await,
            None => std::future::pending().await,
        }
    }
}

fn pushed(report: &Report) -> Option<PushedCommit> {
    let commit = report.deployed()?;
    let changed = report.changes.iter().map(|change| (change.file.as_str(), helm_release::names_in(&change.after)));
    let releases: BTreeMap<&str, BTreeSet<String>> = changed.collect();
    let change = |moved: &Moved| ImageChange {
        image: moved.image.to_string(),
        to: moved.to.to_string(),
        file: moved.file.clone(),
        built: moved.built,
        releases: releases.get(moved.file.as_str()).cloned().unwrap_or_default(),
        ..located(&moved.file, &report.inventory)
    };
    let mut changes: Vec<ImageChange> = report.updates.iter().map(change).collect();
    changes.dedup();
    Some(PushedCommit { commit: commit.to_string(), at: Instant::now(), changes })
}

fn resumed(recent: &RecentCommit, inventory: &Inventory, now: Timestamp) -> PushedCommit {
    let changes = recent.moves.iter().map(|moved| ImageChange {
        image: moved.image.to_string(),
        to: moved.to.to_string(),
        file: moved.file.clone(),
        releases: recent.releases.get(&moved.file).cloned().unwrap_or_default(),
        ..located(&moved.file, inventory)
    });
    let mut changes: Vec<ImageChange> = changes.collect();
    changes.dedup();
    // A commit from a clock that is ahead counts as new.
    let age = Duration::try_from(now.duration_since(recent.when)).unwrap_or_default();
    let at = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
    PushedCommit { commit: recent.commit.clone(), at, changes }
}

/// Returns a change of a file with what is known about its place in the tree.
fn located(file: &str, inventory: &Inventory) -> ImageChange {
    let from = inventory.deployed_from(file);
    ImageChange { deployed_from: from.folders, is_in_chart: from.is_in_chart, ..ImageChange::default() }
}

/// Returns whether a commit was pushed by the cycle of a report. It may have pushed several at once, of which it reports
/// the last one with the updates of all.
fn is_of(report: &Report, commit: &RecentCommit) -> bool {
    let is_reported = |moved: &RecordedMove| {
        let is_same = |update: &Moved| {
            (&update.file, &update.path, &update.image) == (&moved.file, &moved.path, &moved.image)
                && update.to.tag == moved.to.tag
        };
        report.updates.iter().any(is_same)
    };
    report.deployed().is_some() && commit.moves.iter().all(is_reported)
}
