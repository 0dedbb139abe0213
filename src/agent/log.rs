//! Logs what cycles did.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use tracing::field::display;

use crate::cluster::rollout::{Product, RolloutEvent, RolloutOutcome as Rollout};
use crate::cluster::watch::{WatchEvent, WatchPart, WatchTask};
use crate::cycle::report::Report;
use crate::fault::Explain;
use crate::plan::skip::{Reason, Skipped};

use super::outcome::{Failure, Outcome};

/// The maximum number of images that are kept back, and of new notes, logged per cycle.
const MAX_LINES: usize = 100;
/// The maximum number of images of a commit that are named.
const MAX_IMAGES: usize = 20;

/// Logs what cycles did, and remembers which notes it has logged.
#[derive(Debug, Default)]
pub struct Log {
    notes: BTreeSet<String>,
}

impl Log {
    /// Logs the outcome of a cycle. A note about the tree is logged only once, as long as it applies.
    pub fn cycle_ended(&mut self, outcome: &Outcome) {
        match &outcome.result {
            Ok(report) => self.log_report(report),
            Err(failure) => log_failure(failure),
        }
    }

    /// Logs an event from the watch over the cluster.
    pub fn rollout_event(&self, event: &WatchEvent) {
        match event {
            WatchEvent::Rollout(event) => log_rollout(event),
            WatchEvent::Limited(error) => {
                tracing::warn!(%error, help = error.help(), "less is known about commits in the cluster");
            }
            WatchEvent::Failing(task, error) => {
                let (cause, help) = (std::error::Error::source(error).map(display), error.help());
                tracing::error!(%error, cause, help, "{}", describe(*task));
            }
            WatchEvent::Recovered(WatchTask { product, part }) => {
                tracing::info!(task = part.name(), "{product} can be reached again");
            }
        }
    }

    fn log_report(&mut self, report: &Report) {
        for moved in &report.updates {
            let from = moved.from_text();
            tracing::info!(file = %moved.file, path = %moved.path, image = %moved.image, from, to = %moved.to, "updated");
        }
        log_skipped(&report.skipped);
        let notes: BTreeSet<String> = report.notes.iter().cloned().collect();
        let new: Vec<&String> = notes.difference(&self.notes).collect();
        new.iter().take(MAX_LINES).for_each(|note| tracing::warn!("{note}"));
        if let Some(more) = excess(new.len(), MAX_LINES) {
            tracing::warn!("{more} more notes; run `tagalong sync --dry-run` to see all of them");
        }
        self.notes = notes;
        tracing::info!(
            head = %report.head.map(|id| id.to_string()).unwrap_or_default(),
            commit = %report.commit.map_or_else(|| "none".to_owned(), |id| id.to_string()),
            updates = report.updates.len(),
            attempts = report.attempts,
            duration_ms = report.duration_ms,
            "cycle finished"
        );
    }
}

/// Logs the images that are kept back, most severe first, so that the least severe ones are left out.
fn log_skipped(skipped: &[Skipped]) {
    let (quiet, mut kept): (Vec<&Skipped>, Vec<&Skipped>) =
        skipped.iter().partition(|skipped| skipped.reason == Reason::UpToDate || skipped.reason.only_waits());
    for Skipped { image, tag, reason, detail, .. } in quiet {
        tracing::debug!(%image, tag = tag.as_ref().map(display), reason = reason.name(), %detail, "stays");
    }
    kept.sort_by_key(|skipped| Reverse(skipped.reason));
    for Skipped { image, field, tag, reason, detail, stage } in kept.iter().take(MAX_LINES) {
        let (tag, field, stage) = (tag.as_ref().map(display), field.as_ref(), stage.as_ref().map(display));
        let (file, path) = (field.map(|field| &*field.file), field.map(|field| &*field.path));
        tracing::warn!(%image, tag, file, path, stage, reason = reason.name(), %detail, "kept back");
    }
    if let Some(more) = excess(kept.len(), MAX_LINES) {
        tracing::warn!("{more} more images are kept back; see the status page or `tagalong status`");
    }
}

/// Returns by how much a list exceeds its limit, if it does.
fn excess(count: usize, most: usize) -> Option<usize> {
    count.checked_sub(most).filter(|more| *more > 0)
}

fn describe(task: WatchTask) -> &'static str {
    match (task.product, task.part) {
        (Product::Flux, WatchPart::Asking) => "cannot notify Flux; it will look by itself after its interval",
        (Product::Flux, WatchPart::Watching) => "cannot watch Flux apply commits",
        (Product::ArgoCd, WatchPart::Asking) => "cannot refresh applications; Argo CD will look by itself",
        (Product::ArgoCd, WatchPart::Watching) => "cannot watch Argo CD apply commits",
    }
}

fn log_rollout(event: &RolloutEvent) {
    let RolloutEvent { commit, deployer, outcome, .. } = event;
    let named = event.changes.iter().take(MAX_IMAGES).map(|change| format!("{}:{}", change.image, change.to));
    let more = excess(event.changes.len(), MAX_IMAGES).map(|more| format!("and {more} more"));
    let images = named.chain(more).collect::<Vec<_>>().join(" ");
    let by = |product| deployer.as_ref().filter(|deployer| deployer.product == product).map(display);
    let (kustomization, application) = (by(Product::Flux), by(Product::ArgoCd));
    let took_s = event.took.as_secs_f64();
    match outcome {
        Rollout::Applied { revision } => {
            tracing::info!(%commit, %images, kustomization, application, %revision, took_s, "commit applied");
        }
        Rollout::Failed { reason, message } => {
            tracing::error!(%commit, %images, kustomization, application, %reason, %message, took_s, "commit could not be applied");
        }
        Rollout::Overdue { state } => {
            tracing::error!(%commit, %images, kustomization, application, %state, took_s, "commit not applied in time");
        }
        Rollout::Suspended { state } => {
            tracing::warn!(%commit, %images, kustomization, application, %state, took_s, "commit not applied while suspended");
        }
        Rollout::Unclaimed { state } => {
            tracing::error!(%commit, %images, %state, took_s, "commit deployed by nothing in the cluster");
        }
        Rollout::Superseded => {
            tracing::info!(%commit, %images, took_s, "commit superseded by a newer one for the same images")
        }
    }
}

fn log_failure(failure: &Failure) {
    let (cause, help) = (std::error::Error::source(failure).map(display), failure.help());
    tracing::error!(kind = failure.label(), error = %failure, cause, help, "cycle failed");
}
