//! What cycles did, in the log.

use std::collections::BTreeSet;

use crate::cycle::report::Report;
use crate::fault::Explain;
use crate::plan::skip::Reason;

use super::outcome::{Failure, Outcome};

/// What was said already.
#[derive(Debug, Default)]
pub struct Journal {
    notes: BTreeSet<String>,
}

impl Journal {
    /// Writes down how a cycle ended. What there is to note about the tree is said once, as long as it stays true.
    pub fn write(&mut self, outcome: &Outcome) {
        match &outcome.result {
            Ok(report) => self.done(report),
            Err(failure) => failed(failure),
        }
    }

    fn done(&mut self, report: &Report) {
        for moved in &report.updates {
            let from = moved.from.as_deref().unwrap_or("(none)");
            tracing::info!(file = %moved.file, path = %moved.path, image = %moved.image, from, to = %moved.to, "moved");
        }
        for skipped in &report.skipped {
            let tag = skipped.tag.as_ref().map(ToString::to_string).unwrap_or_default();
            let (reason, detail) = (skipped.reason.name(), &skipped.detail);
            match skipped.reason {
                Reason::UpToDate => tracing::debug!(image = %skipped.image, %tag, "up to date"),
                _ => tracing::warn!(image = %skipped.image, %tag, reason, %detail, "stays"),
            }
        }
        let notes: BTreeSet<String> = report.notes.iter().cloned().collect();
        notes.difference(&self.notes).for_each(|note| tracing::warn!("{note}"));
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

fn failed(failure: &Failure) {
    let help = failure.help().unwrap_or_default();
    let cause = std::error::Error::source(failure).map(ToString::to_string).unwrap_or_default();
    tracing::error!(kind = failure.label(), error = %failure, %cause, %help, "the cycle failed");
}
