//! The systems around the repository.

use std::sync::Arc;

use crate::forge::client::Forge;
use crate::registry::client::Client;
use crate::repo::source::Sources;

use super::secrets::verify::Secrets;

/// The systems around the repository.
#[derive(Debug)]
pub struct Services {
    /// The registries.
    pub registry: Client,
    /// The repositories that images are built from.
    pub sources: Sources,
    /// Where pull requests are opened, if they are.
    pub forge: Option<Arc<Forge>>,
    /// The age identities, and what they open.
    pub secrets: Secrets,
}
