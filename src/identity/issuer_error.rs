//! The errors of issuers.

use crate::fault::{Explain, Fault};

use super::github::error::AppError;

/// An access token could not be obtained.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IssuerError {
    /// By a GitHub App.
    #[error(transparent)]
    GitHubApp(#[from] AppError),
}

impl Explain for IssuerError {
    fn fault(&self) -> Fault {
        match self {
            IssuerError::GitHubApp(error) => error.fault(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            IssuerError::GitHubApp(error) => error.help(),
        }
    }
}
