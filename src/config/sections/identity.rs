//! The keys that replace a token of `git` and of `sources`: `githubApp` and `provider`.

use std::time::Duration;

use crate::config::reader::Section;
use crate::forge::config::{Kind, UnknownForge};
use crate::identity::azure_devops::AzureDevOps;
use crate::identity::environment::Environment;
use crate::identity::error::IdentityError;
use crate::identity::issuer::Issuer;
use crate::repo::access::Access;
use crate::repo::config::{Https, Identity};
use crate::secret::SafeUrl;

use super::github_app::{self, GitHubApp};

/// An identity in place of a token, as far as it can be read without knowing the repository.
#[derive(Debug, Clone)]
pub enum IdentityKeys {
    /// `githubApp`.
    GitHubApp(GitHubApp),
    /// `provider: azure`.
    Azure,
}

/// Why an identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The URL of the repository does not fit.
    #[error("githubApp: {0}")]
    Url(#[from] UnknownForge),
    /// The repository is not on Azure DevOps, whose tokens nobody else may see.
    #[error("provider: `azure` is for repositories on Azure DevOps Services (dev.azure.com, *.visualstudio.com)")]
    NotAzure,
    /// The environment does not offer it.
    #[error("provider: {0}")]
    Environment(#[from] IdentityError),
}

/// Returns whether a section has one of the keys.
pub fn is_in(section: &Section<'_>) -> bool {
    section.has("githubApp") || section.has("provider")
}

/// Reads the keys. `https` is the section next to them, whose token they replace.
pub fn read(section: &mut Section<'_>, https: &Https) -> Option<IdentityKeys> {
    let app = section.section("githubApp").and_then(github_app::read).map(IdentityKeys::GitHubApp);
    let azure = section.choice("provider", &[("azure", IdentityKeys::Azure)]);
    if app.is_some() && azure.is_some() {
        section.error("`githubApp` and `provider` exclude each other");
    }
    let identity = app.or(azure);
    if identity.is_some() && (https.token_file.is_some() || https.username.is_some()) {
        section.error(
            "`githubApp` and `provider` replace `https.tokenFile` and `https.username`; remove one or the other",
        );
    }
    identity
}

impl IdentityKeys {
    /// Completes the identity for a repository, or for the common prefix of several.
    pub fn settle(
        self,
        repository: &SafeUrl,
        https: &Https,
        timeout: Duration,
        environment: &Environment,
    ) -> Result<Issuer, Unusable> {
        match self {
            IdentityKeys::GitHubApp(app) => Ok(app.settle(repository, https, timeout)?),
            IdentityKeys::Azure if !Kind::takes_azure_tokens(repository) => Err(Unusable::NotAzure),
            IdentityKeys::Azure => Ok(Issuer::AzureDevOps(AzureDevOps::new(environment)?)),
        }
    }
}

/// Returns how to connect over https with an identity, unless there is a token, which comes from a flag.
pub fn with_identity(https: Https, issuer: Option<&Issuer>) -> Https {
    let issuer = issuer.filter(|_| https.token_file.is_none());
    let identity = issuer.map(|issuer| Identity { issuer: issuer.clone(), access: Access::Write });
    Https { identity, ..https }
}
