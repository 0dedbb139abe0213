//! Metrics of what is deployed: images that are broken, and pods that run something else than the repository says.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::agent::deployed_checks::result::{Check, CheckResult, Look, Verification};
use crate::agent::runtime::Runtime;

/// The most images that have series of their own for pods that have drifted.
const DRIFTED_SERIES: usize = 100;
/// The labels of all others.
const OTHERS: &str = "(others)";

/// A namespace and an image.
type Labels = [(&'static str, String); 2];

/// Metrics of what is deployed.
#[derive(Debug, Default)]
pub struct DeployedMetrics {
    broken: Gauge,
    unknown: Gauge,
    expiring: Gauge,
    verified: Gauge,
    drifted: Family<Labels, Gauge>,
    compared: Gauge,
    unread: Gauge,
    /// The labels that `drifted` currently has.
    shown: Mutex<BTreeSet<Labels>>,
}

impl DeployedMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Deployed images that are missing or incomplete in their registry";
        registry.register("deployed_broken_images", help, self.broken.clone());
        let help = "Deployed images that could not be verified, because their registry did not answer";
        registry.register("deployed_unknown_images", help, self.unknown.clone());
        let help = "Deployed images that the next cleanup of their registry would delete";
        registry.register("deployed_expiring_images", help, self.expiring.clone());
        let help = "When all deployed images were last verified";
        registry.register_with_unit("deployed_verified_timestamp", help, Unit::Seconds, self.verified.clone());
        let help = "Pods that run another image than the repository says";
        registry.register("drifted_pods", help, self.drifted.clone());
        let help = "When pods were last compared with the repository";
        registry.register_with_unit("pods_compared_timestamp", help, Unit::Seconds, self.compared.clone());
        let help = "Namespaces whose pods could not be read";
        registry.register("pods_unread_namespaces", help, self.unread.clone());
    }

    pub(in crate::agent) fn configured(&self, runtime: &Runtime) {
        if runtime.config.verify_deployed.is_none() {
            self.clear_images();
        }
        if runtime.cluster.pods.is_none() {
            self.clear_pods();
        }
    }

    pub(in crate::agent) fn checked(&self, result: &CheckResult) {
        match result {
            CheckResult::Deployed(Verification { at, broken, unknown, expiring, .. }) => {
                self.broken.set(broken.len() as i64);
                self.unknown.set(*unknown as i64);
                self.expiring.set(expiring.len() as i64);
                self.verified.set(at.as_second());
            }
            CheckResult::Pods(look) => self.compared(look),
            CheckResult::Failed(Check::Deployed | Check::Pods, _) => {}
        }
    }

    pub(super) fn clear(&self) {
        self.clear_images();
        self.clear_pods();
    }

    fn compared(&self, look: &Look) {
        let mut pods: BTreeMap<Labels, i64> = BTreeMap::new();
        for drift in &look.drifts {
            let own = [("namespace", drift.place.namespace.clone()), ("image", drift.place.image.to_string())];
            let others = [("namespace", drift.place.namespace.clone()), ("image", OTHERS.to_owned())];
            let labels = if pods.len() < DRIFTED_SERIES || pods.contains_key(&own) { own } else { others };
            *pods.entry(labels).or_default() += drift.pods as i64;
        }
        self.show(&pods);
        self.unread.set(look.unread.len() as i64);
        self.compared.set(look.at.as_second());
    }

    /// Shows these series. One that stays is never removed in between.
    fn show(&self, pods: &BTreeMap<Labels, i64>) {
        let mut shown = self.shown.lock();
        for gone in shown.iter().filter(|labels| !pods.contains_key(*labels)) {
            self.drifted.remove(gone);
        }
        for (labels, count) in pods {
            self.drifted.get_or_create(labels).set(*count);
        }
        *shown = pods.keys().cloned().collect();
    }

    fn clear_images(&self) {
        for gauge in [&self.broken, &self.unknown, &self.expiring, &self.verified] {
            gauge.set(0);
        }
    }

    fn clear_pods(&self) {
        self.show(&BTreeMap::new());
        for gauge in [&self.compared, &self.unread] {
            gauge.set(0);
        }
    }
}
