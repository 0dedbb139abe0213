//! Counts requests to registries.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::http::client_certificate::CertificateFacts;

/// The usual failures. They are counted from 0 for each host, so that the first one shows as an increase.
const FAILURES: [Option<u16>; 6] = [None, Some(429), Some(500), Some(502), Some(503), Some(504)];

/// The metrics of registry clients. Clones count into the same families, so counts outlive any one client.
#[derive(Debug, Clone, Default)]
pub struct RegistryMetrics {
    requests: Family<[(&'static str, String); 2], Counter>,
    certificates_from: Family<[(&'static str, String); 1], Gauge>,
    certificates_until: Family<[(&'static str, String); 1], Gauge>,
}

impl RegistryMetrics {
    /// Registers the families.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Requests to registries by host and status, which is none if there was no response";
        registry.register("registry_requests", help, self.requests.clone());
        let help = "When the client certificate for a registry begins to be valid, in Unix time";
        let from = self.certificates_from.clone();
        registry.register_with_unit("registry_client_certificate_not_before_timestamp", help, Unit::Seconds, from);
        let help = "When the client certificate for a registry expires, in Unix time";
        let until = self.certificates_until.clone();
        registry.register_with_unit("registry_client_certificate_not_after_timestamp", help, Unit::Seconds, until);
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

    /// Shows the validity of the client certificate for a host.
    pub(super) fn note_certificate(&self, host: &str, facts: &CertificateFacts) {
        let labels = [("host", host.to_owned())];
        self.certificates_from.get_or_create(&labels).set(facts.not_before.as_second());
        self.certificates_until.get_or_create(&labels).set(facts.not_after.as_second());
    }

    /// Forgets the client certificates of an earlier configuration.
    pub(super) fn forget_certificates(&self) {
        self.certificates_from.clear();
        self.certificates_until.clear();
    }
}

fn labels(host: &str, status: Option<u16>) -> [(&'static str, String); 2] {
    let code = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
    [("host", host.to_owned()), ("code", code)]
}
