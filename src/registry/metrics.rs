//! Counts requests to registries.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The metrics of registry clients. Clones count into the same families, so counts outlive any one client.
#[derive(Debug, Clone, Default)]
pub struct RegistryMetrics {
    requests: Family<[(&'static str, String); 2], Counter>,
}

impl RegistryMetrics {
    /// Registers the families.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Requests to registries by host and status, which is none where no answer came";
        registry.register("registry_requests", help, self.requests.clone());
    }

    /// Counts a request by the status of its response, if there was one.
    pub fn count(&self, host: &str, status: Option<u16>) {
        let code = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        self.requests.get_or_create(&[("host", host.to_owned()), ("code", code)]).inc();
    }
}
