//! The metrics of the clients that cycles use.

use prometheus_client::registry::Registry;

use crate::registry::metrics::RegistryMetrics;
use crate::repo::metrics::GitMetrics;

/// The metrics of clients. Clones count into the same families, so counts outlive any one client.
#[derive(Debug, Clone, Default)]
pub struct ClientMetrics {
    /// Counted by clients of registries.
    pub registry: RegistryMetrics,
    /// Counted by the clone of the infrastructure repository.
    pub git: GitMetrics,
}

impl ClientMetrics {
    /// Registers all families.
    pub fn register(&self, registry: &mut Registry) {
        self.registry.register(registry);
        self.git.register(registry);
    }
}
