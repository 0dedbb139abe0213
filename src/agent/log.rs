//! What cycles did, in the log.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::cluster::flux::{FluxEvent, FluxTask};
use crate::cluster::pending_rollouts::{RolloutEvent, RolloutOutcome as Rollout};
use crate::cycle::report::Report;
use crate::fault::Explain;
use crate::plan::skip::{Reason, Skipped};

use super::outcome::{Failure, Outcome};

/// At most this many images that stay, and this many new notes, are written down for each cycle.
const MAX_LINES: usize = 100;
/// At most this many images of a commit are named.
const MAX_IMAGES: usize = 20;

/// What was said already.
#[derive(Debug, Default)]
pub struct Log {
    notes: BTreeSet<String>,
}

impl Log {
    /// Writes down how a cycle ended. What there is to note about the tree is said once, as long as it stays true.
    pub fn cycle_ended(&mut self, outcome: &Outcome) {
        match &outcome.result {
            Ok(report) => self.log_report(report),
            Err(failure) => log_failure(failure),
        }
    }

    /// Writes down news from Flux.
    pub fn rollout_event(&self, event: &FluxEvent) {
        match event {
            FluxEvent::Rollout(word) => log_rollout(word),
            FluxEvent::Failing(part, error) => {
                let help = error.help().unwrap_or_default();
                let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
                tracing::error!(%error, %cause, %help, "{}", describe(*part));
            }
            FluxEvent::Recovered(part) => tracing::info!(part = part.name(), "Flux can be asked and watched again"),
        }
    }

    fn log_report(&mut self, report: &Report) {
        for moved in &report.updates {
            let from = moved.from.as_deref().unwrap_or("(none)");
            tracing::info!(file = %moved.file, path = %moved.path, image = %moved.image, from, to = %moved.to, "moved");
        }
        log_skipped(&report.skipped);
        let notes: BTreeSet<String> = report.notes.iter().cloned().collect();
        let new: Vec<&String> = notes.difference(&self.notes).collect();
        new.iter().take(MAX_LINES).for_each(|note| tracing::warn!("{note}"));
        if let Some(more) = excess(new.len(), MAX_LINES) {
            tracing::warn!("{more} more notes; `tagalong sync --dry-run` shows them all");
        }
        self.notes = notes;
        tracing::info!(
            head = %report.head,
            commit = report.commit.as_deref().unwrap_or("none"),
            updates = report.updates.len(),
            attempts = report.attempts,
            duration_ms = report.duration_ms,
            "the cycle is done"
        );
    }
}

/// Writes down what stays, the worst first, so that what is left out is always the least of it.
fn log_skipped(skipped: &[Skipped]) {
    let (fine, mut kept): (Vec<&Skipped>, Vec<&Skipped>) =
        skipped.iter().partition(|skipped| skipped.reason == Reason::UpToDate);
    for Skipped { image, tag, .. } in fine {
        let tag = tag.as_ref().map(ToString::to_string).unwrap_or_default();
        tracing::debug!(%image, %tag, "up to date");
    }
    kept.sort_by_key(|skipped| Reverse(skipped.reason));
    for Skipped { image, field, tag, reason, detail } in kept.iter().take(MAX_LINES) {
        let tag = tag.as_ref().map(ToString::to_string).unwrap_or_default();
        let (file, path) = field.as_ref().map(|field| (&*field.file, &*field.path)).unwrap_or_default();
        tracing::warn!(%image, %tag, file, path, reason = reason.name(), %detail, "stays");
    }
    if let Some(more) = excess(kept.len(), MAX_LINES) {
        tracing::warn!("{more} more stay; the status page and `tagalong status` list them");
    }
}

/// How much of a list goes beyond its bound, if anything.
fn excess(count: usize, most: usize) -> Option<usize> {
    count.checked_sub(most).filter(|more| *more > 0)
}

fn describe(part: FluxTask) -> &'static str {
    match part {
        FluxTask::Asking => "Flux could not be asked to look; it does so by itself, after its interval",
        FluxTask::Watching => "what becomes of commits cannot be seen",
    }
}

fn log_rollout(word: &RolloutEvent) {
    let RolloutEvent { commit, kustomization, outcome, .. } = word;
    let named = word.changes.iter().take(MAX_IMAGES).map(|change| format!("{}:{}", change.image, change.to));
    let more = excess(word.changes.len(), MAX_IMAGES).map(|more| format!("and {more} more"));
    let images = named.chain(more).collect::<Vec<_>>().join(" ");
    let by = kustomization.as_ref().map(ToString::to_string).unwrap_or_default();
    let took_s = word.took.as_secs_f64();
    match outcome {
        Rollout::Applied { revision } => {
            tracing::info!(%commit, %images, kustomization = %by, %revision, took_s, "the commit was applied");
        }
        Rollout::Failed { reason, message } => {
            tracing::error!(%commit, %images, kustomization = %by, %reason, %message, took_s, "the commit could not be applied");
        }
        Rollout::Overdue { stands } => {
            tracing::error!(%commit, %images, kustomization = %by, %stands, took_s, "the commit was not applied in time");
        }
        Rollout::Superseded => tracing::info!(%commit, %images, took_s, "a newer commit moves the same images"),
    }
}

fn log_failure(failure: &Failure) {
    let help = failure.help().unwrap_or_default();
    let cause = std::error::Error::source(failure).map(ToString::to_string).unwrap_or_default();
    tracing::error!(kind = failure.label(), error = %failure, %cause, %help, "the cycle failed");
}
