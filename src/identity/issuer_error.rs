//! The errors of issuers.

use crate::fault::{Explain, Fault};

use super::error::IdentityError;
use super::github::error::AppError;

/// An access token could not be obtained.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IssuerError {
    /// By a GitHub App.
    #[error(transparent)]
    GitHubApp(#[from] AppError),
    /// By workload identity.
    #[error(transparent)]
    Workload(#[from] IdentityError),
}

impl Explain for IssuerError {
    fn fault(&self) -> Fault {
        match self {
            IssuerError::GitHubApp(error) => error.fault(),
            IssuerError::Workload(error) => error.fault(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            IssuerError::GitHubApp(error) => error.help(),
            IssuerError::Workload(error) => error.help(),
        }
    }
}
