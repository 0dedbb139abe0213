//! The reasons for which it is not known whether a check has passed.

use crate::cluster::error::ClusterError;
use crate::fault::{Explain, Fault};
use crate::forge::error::ForgeError;

/// The reason for which it is not known whether a check has passed. It says nothing about the check itself.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// No forge is configured.
    #[error("no forge is configured to read commit statuses from")]
    NoForge,
    /// Flux is not configured.
    #[error("`cluster.flux` is not configured, so nothing is known about Flux")]
    NoFlux,
    /// Argo CD is not configured.
    #[error("`cluster.argocd` is not configured, so nothing is known about Argo CD")]
    NoArgocd,
    /// The forge could not be queried.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// The cluster could not be queried.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

impl EvidenceError {
    /// Returns whether further requests in the same cycle would fail as well.
    pub(super) fn concerns_all(&self) -> bool {
        matches!(
            self,
            EvidenceError::NoForge
                | EvidenceError::Forge(
                    ForgeError::TokenFile { .. }
                        | ForgeError::Denied { .. }
                        | ForgeError::Unreachable { .. }
                        | ForgeError::TimedOut { .. }
                        | ForgeError::Unavailable { .. }
                        | ForgeError::Redirected { .. }
                )
        )
    }
}

impl Explain for EvidenceError {
    fn fault(&self) -> Fault {
        match self {
            EvidenceError::NoForge | EvidenceError::NoFlux | EvidenceError::NoArgocd => Fault::BadInput,
            EvidenceError::Forge(error) => error.fault(),
            EvidenceError::Cluster(error) => error.fault(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            EvidenceError::NoForge => Some("set git.forge to the forge that hosts the repository".to_owned()),
            EvidenceError::NoFlux => Some("set cluster.flux.gitRepository".to_owned()),
            EvidenceError::NoArgocd => Some("set cluster.argocd".to_owned()),
            EvidenceError::Forge(error) => error.help(),
            EvidenceError::Cluster(error) => error.help(),
        }
    }
}
