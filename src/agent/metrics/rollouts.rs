//! Metrics of the outcome of commits in the cluster.

use std::collections::BTreeSet;

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::cluster::rollout::{Product, RolloutEvent, RolloutOutcome};
use crate::cluster::watch::{WatchEvent, WatchPart, WatchTask};

use super::cycles::LAGS;

/// The buckets of the time that a commit takes, in seconds.
const DURATIONS: [f64; 10] = [1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];

/// Metrics of the outcome of commits in the cluster.
#[derive(Debug)]
pub struct RolloutMetrics {
    reconciled: Family<[(&'static str, String); 1], Counter>,
    duration: Histogram,
    rollout_lag: Histogram,
    flux_trouble: Family<[(&'static str, String); 1], Gauge>,
    argocd_trouble: Family<[(&'static str, String); 1], Gauge>,
}

impl Default for RolloutMetrics {
    fn default() -> Self {
        RolloutMetrics {
            reconciled: Family::default(),
            duration: Histogram::new(DURATIONS),
            rollout_lag: Histogram::new(LAGS),
            flux_trouble: Family::default(),
            argocd_trouble: Family::default(),
        }
    }
}

impl RolloutMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "What became of commits at each Kustomization or Application: applied, failed, overdue, suspended, unclaimed, superseded";
        registry.register("reconcile", help, self.reconciled.clone());
        for outcome in RolloutOutcome::LABELS {
            drop(self.reconciled.get_or_create(&[("outcome", outcome.to_owned())]));
        }
        let help = "From the push of a commit until it was applied in the cluster";
        registry.register_with_unit("reconcile_duration", help, Unit::Seconds, self.duration.clone());
        let help = "From the build of an image until the commit that deploys it was applied in the cluster";
        registry.register_with_unit("rollout_lag", help, Unit::Seconds, self.rollout_lag.clone());
        let help = "Whether Flux cannot be notified or watched";
        registry.register("flux_trouble", help, self.flux_trouble.clone());
        let help = "Whether Argo CD cannot be notified or watched";
        registry.register("argocd_trouble", help, self.argocd_trouble.clone());
    }

    pub(super) fn watched(&self, products: &BTreeSet<Product>) {
        Product::ALL.into_iter().for_each(|product| self.trouble(product).clear());
        for product in products {
            for part in WatchPart::ALL {
                self.set_trouble(WatchTask { product: *product, part }, false);
            }
        }
    }

    pub(super) fn observe(&self, event: &WatchEvent, now: Timestamp) {
        match event {
            WatchEvent::Rollout(rollout) => self.rolled_out(rollout, now),
            WatchEvent::Failing(task, _) => self.set_trouble(*task, true),
            WatchEvent::Recovered(task) => self.set_trouble(*task, false),
            WatchEvent::Limited(_) => {}
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

    fn set_trouble(&self, task: WatchTask, is_failing: bool) {
        self.trouble(task.product).get_or_create(&[("part", task.part.name().to_owned())]).set(is_failing.into());
    }

    fn trouble(&self, product: Product) -> &Family<[(&'static str, String); 1], Gauge> {
        match product {
            Product::Flux => &self.flux_trouble,
            Product::ArgoCd => &self.argocd_trouble,
        }
    }
}
