//! The external systems that cycles use, apart from the infrastructure repository.

use std::sync::Arc;

use crate::forge::client::Forge;
use crate::registry::client::Client;
use crate::repo::source::Sources;

use super::evidence::sources::Evidence;
use super::secrets::verify::Secrets;

/// The external systems that cycles use.
#[derive(Debug)]
pub struct Services {
    /// The registries.
    pub registry: Client,
    /// The repositories from which images are built.
    pub sources: Sources,
    /// The forge where pull requests are opened, if one is configured.
    pub forge: Option<Arc<Forge>>,
    /// The checks that stages require.
    pub evidence: Evidence,
    /// The SOPS files and the identities that decrypt them.
    pub secrets: Secrets,
}
