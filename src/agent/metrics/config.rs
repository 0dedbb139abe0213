//! Metrics of the configuration in use.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::agent::config::Config;

/// The label of a configuration that was taken.
const ACCEPTED: &str = "done";
/// The label of an invalid one.
const REJECTED: &str = "refused";

/// Metrics of the configuration in use.
#[derive(Debug, Default)]
pub struct ConfigMetrics {
    reads: Family<[(&'static str, String); 1], Counter>,
    last_read_successful: Gauge,
    suspended: Gauge,
}

impl ConfigMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Times that the configuration was read, by whether it was taken: done, refused";
        registry.register("config_reads", help, self.reads.clone());
        for result in [ACCEPTED, REJECTED] {
            drop(self.reads.get_or_create(&[("result", result.to_owned())]));
        }
        let help = "Whether the configuration as it is now is the one in use";
        registry.register("config_last_read_successful", help, self.last_read_successful.clone());
        registry.register("suspended", "Whether automation is suspended by configuration", self.suspended.clone());
    }

    pub(super) fn accepted(&self, config: &Config) {
        self.read(ACCEPTED, true);
        self.suspended.set(config.suspend.into());
    }

    pub(super) fn rejected(&self) {
        self.read(REJECTED, false);
    }

    fn read(&self, result: &str, successful: bool) {
        self.reads.get_or_create(&[("result", result.to_owned())]).inc();
        self.last_read_successful.set(successful.into());
    }
}
