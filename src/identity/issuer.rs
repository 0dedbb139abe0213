//! Whoever issues access tokens for a git server and its forge.

use std::fmt;
use std::sync::Arc;

use crate::secret::{SafeUrl, Secret};

use super::azure_devops::AzureDevOps;
use super::github::app::App;
use super::github::error::AppError;
use super::issuer_error::IssuerError;
use super::scope::Scope;

/// Whoever issues access tokens for a git server and its forge. Clones share their tokens.
#[derive(Clone)]
pub enum Issuer {
    /// A GitHub App.
    GitHubApp(Arc<App>),
    /// Workload identity at Azure DevOps.
    AzureDevOps(Arc<AzureDevOps>),
}

/// How git presents an access token over http.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitScheme {
    /// As the password of this user.
    Basic(&'static str),
    /// As a bearer token (RFC 6750).
    Bearer,
}

impl Issuer {
    /// Returns the issuer's name of a repository.
    ///
    /// # Errors
    /// The URL is not that of a repository at the issuer.
    pub fn repository(&self, url: &SafeUrl) -> Result<String, IssuerError> {
        match self {
            Issuer::GitHubApp(app) => {
                let invalid = || AppError::NotARepository { app: app.id().to_owned(), url: url.to_string() };
                Ok(url.owner_and_name().ok_or_else(invalid)?)
            }
            // Its tokens are for all repositories.
            Issuer::AzureDevOps(_) => Ok(url.to_string()),
        }
    }

    /// Returns an access token for a repository: a valid one from before, or a new one.
    ///
    /// # Errors
    /// The issuer cannot be reached or refuses.
    pub async fn token(&self, repository: &str, scope: Scope) -> Result<Secret<String>, IssuerError> {
        match self {
            Issuer::GitHubApp(app) => Ok(app.token(repository, scope).await?),
            Issuer::AzureDevOps(identity) => Ok(identity.token().await?),
        }
    }

    /// Forgets an access token, because a server has refused it. Returns whether another one may be accepted.
    pub async fn refused(&self, repository: &str, scope: Scope) -> bool {
        match self {
            Issuer::GitHubApp(app) => {
                app.forget(repository, scope).await;
                true
            }
            Issuer::AzureDevOps(identity) => identity.refused().await,
        }
    }

    /// Returns how git presents the access tokens over http.
    pub fn git_scheme(&self) -> GitScheme {
        match self {
            // "Authenticating as a GitHub App installation", HTTP-based git access.
            Issuer::GitHubApp(_) => GitScheme::Basic("x-access-token"),
            // "Use Microsoft Entra authentication with Azure DevOps", Git.
            Issuer::AzureDevOps(_) => GitScheme::Bearer,
        }
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Issuer::GitHubApp(app) => write!(f, "the GitHub App {}", app.id()),
            Issuer::AzureDevOps(identity) => write!(f, "the workload identity {} at Azure", identity.client_id()),
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Issuer {
    fn eq(&self, other: &Issuer) -> bool {
        match (self, other) {
            (Issuer::GitHubApp(app), Issuer::GitHubApp(other)) => Arc::ptr_eq(app, other),
            (Issuer::AzureDevOps(identity), Issuer::AzureDevOps(other)) => Arc::ptr_eq(identity, other),
            (Issuer::GitHubApp(_) | Issuer::AzureDevOps(_), _) => false,
        }
    }
}

impl Eq for Issuer {}
