//! Counts requests to registries.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The usual failures. They are counted from 0 for each host, so that the first one shows as an increase.
const FAILURES: [Option<u16>; 6] = [None, Some(429), Some(500), Some(502), Some(503), Some(504)];

/// The metrics of registry clients. Clones count into the same families, so counts outlive any one client.
#[derive(Debug, Clone, Default)]
pub struct RegistryMetrics {
    requests: Family<[(&'static str, String); 2], Counter>,
}

impl RegistryMetrics {
    /// Registers the families.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Requests to registries by host and status, which is none if there was no response";
        registry.register("registry_requests", help, self.requests.clone());
    }

    /// Starts to count the failures of a host.
    pub(super) fn start(&self, host: &str) {
        for status in FAILURES {
            drop(self.requests.get_or_create(&labels(host, status)));
        }
    }

    /// Counts a request by the status of its response, if there was one.
    pub fn count(&self, host: &str, status: Option<u16>) {
        self.requests.get_or_create(&labels(host, status)).inc();
    }
}

fn labels(host: &str, status: Option<u16>) -> [(&'static str, String); 2] {
    let code = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
    [("host", host.to_owned()), ("code", code)]
}
