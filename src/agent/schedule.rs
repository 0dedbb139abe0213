//! One pass after the other, never two at once.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::cycle::engine::Engine;
use crate::cycle::report::Report;
use crate::cycle::task::{Mode, Task};
use crate::fault::Explain;
use crate::plan::skip::Reason;

use super::config::Config;

/// Runs until `stop`. A pass that is under way is brought to its end; waiting is cut short.
pub async fn run(engine: &Engine, config: &Config, stop: &CancellationToken) {
    tracing::info!(interval_s = config.interval.as_secs(), "the agent has started");
    let mut number: u64 = 0;
    let mut said = BTreeSet::new();
    while !stop.is_cancelled() {
        number += 1;
        let span = tracing::info_span!("cycle", number);
        async {
            match engine.run(&Task::Follow, Mode::Push).await {
                Ok(report) => log(&report, &mut said),
                Err(error) => {
                    let help = error.help().unwrap_or_default();
                    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    tracing::error!(kind = %error.fault(), %error, %cause, %help, "the cycle failed");
                }
            }
        }
        .instrument(span)
        .await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(jittered(config.interval)) => {}
        }
    }
    tracing::info!("the agent has stopped");
}

/// Give or take a tenth, so that many agents do not ask one registry in step.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(0.9 + 0.2 * fastrand::f64())
}

/// What a cycle did. What there is to note about the tree is said once, as long as it stays true.
fn log(report: &Report, said: &mut BTreeSet<String>) {
    for moved in &report.updates {
        let from = moved.from.as_deref().unwrap_or("(none)");
        tracing::info!(file = %moved.file, path = %moved.path, image = %moved.image, from, to = %moved.to, "moved");
    }
    for skipped in &report.skipped {
        let tag = skipped.tag.as_ref().map(ToString::to_string).unwrap_or_default();
        match skipped.reason {
            Reason::UpToDate => tracing::debug!(image = %skipped.image, %tag, "up to date"),
            _ => {
                tracing::warn!(image = %skipped.image, %tag, reason = ?skipped.reason, detail = %skipped.detail, "stays")
            }
        }
    }
    let notes: BTreeSet<String> = report.notes.iter().cloned().collect();
    notes.difference(said).for_each(|note| tracing::warn!("{note}"));
    *said = notes;
    tracing::info!(
        head = %report.head,
        commit = report.commit.as_deref().unwrap_or("none"),
        updates = report.updates.len(),
        attempts = report.attempts,
        duration_ms = report.duration_ms,
        "the cycle is done"
    );
}
