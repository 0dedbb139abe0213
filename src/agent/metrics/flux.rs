//! Metrics of the outcome of commits in the cluster.

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::cluster::flux::{FluxEvent, FluxTask};
use crate::cluster::pending_rollouts::{RolloutEvent, RolloutOutcome};

use super::cycles::LAGS;

/// The buckets of the time that Flux takes for a commit, in seconds.
const DURATIONS: [f64; 10] = [1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];

/// Metrics of the outcome of commits in the cluster.
#[derive(Debug)]
pub struct FluxMetrics {
    reconciled: Family<[(&'static str, String); 1], Counter>,
    duration: Histogram,
    rollout_lag: Histogram,
    trouble: Family<[(&'static str, String); 1], Gauge>,
}

impl Default for FluxMetrics {
    fn default() -> Self {
        FluxMetrics {
            reconciled: Family::default(),
            duration: Histogram::new(DURATIONS),
            rollout_lag: Histogram::new(LAGS),
            trouble: Family::default(),
        }
    }
}

impl FluxMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "What became of commits at each Kustomization: applied, failed, overdue, superseded";
        registry.register("reconcile", help, self.reconciled.clone());
        for outcome in RolloutOutcome::LABELS {
            drop(self.reconciled.get_or_create(&[("outcome", outcome.to_owned())]));
        }
        let help = "From the push of a commit until Flux has applied it";
        registry.register_with_unit("reconcile_duration", help, Unit::Seconds, self.duration.clone());
        let help = "From the build of an image until Flux has applied the commit that deploys it";
        registry.register_with_unit("rollout_lag", help, Unit::Seconds, self.rollout_lag.clone());
        let help = "Whether Flux can not be asked to look, or not be watched";
        registry.register("flux_trouble", help, self.trouble.clone());
    }

    pub(super) fn watched(&self, watches_flux: bool) {
        self.trouble.clear();
        if watches_flux {
            FluxTask::ALL.into_iter().for_each(|task| self.set_trouble(task, false));
        }
    }

    pub(super) fn observe(&self, event: &FluxEvent, now: Timestamp) {
        match event {
            FluxEvent::Rollout(rollout) => self.rolled_out(rollout, now),
            FluxEvent::Failing(task, _) => self.set_trouble(*task, true),
            FluxEvent::Recovered(task) => self.set_trouble(*task, false),
        }
    }

    fn rolled_out(&self, rollout: &RolloutEvent, now: Timestamp) {
        let RolloutEvent { changes, outcome, took, .. } = rollout;
        self.reconciled.get_or_create(&[("outcome", outcome.label().to_owned())]).inc();
        if matches!(outcome, RolloutOutcome::Applied { .. }) {
            self.duration.observe(took.as_secs_f64());
            for built in changes.iter().filter_map(|change| change.built) {
                self.rollout_lag.observe(now.duration_since(built).as_secs_f64().max(0.0));
            }
        }
    }

    fn set_trouble(&self, task: FluxTask, is_failing: bool) {
        self.trouble.get_or_create(&[("part", task.name().to_owned())]).set(is_failing.into());
    }
}
