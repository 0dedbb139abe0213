//! The credential for a registry from the cloud that this process runs in, or that trusts the cluster it runs in.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use reqwest::Url;

use crate::identity::azure::WorkloadIdentity;
use crate::identity::ecr::{self, EcrPassword};
use crate::identity::environment::{Environment, is_loopback};
use crate::identity::error::IdentityError;
use crate::identity::google::{self, AccessToken};
use crate::identity::hosts::provider_of;
use crate::identity::provider::Provider;
use crate::secret::Secret;

use super::acr::RefreshToken;
use super::config::{Config, IdentityProvider};
use super::credentials::Credential;
use super::error::RegistryError;
use super::transport::Transport;

/// The identity of this process at one registry.
#[derive(Debug)]
pub struct CloudIdentity {
    host: String,
    provider: Provider,
    source: Source,
    /// Whether it is configured. If it was only detected, the registry may be used without it.
    is_required: bool,
    is_used: AtomicBool,
    /// The reason why the registry is used without it.
    problem: Mutex<Option<RegistryError>>,
}

#[derive(Debug)]
enum Source {
    Aws(EcrPassword),
    Azure(RefreshToken),
    Google(AccessToken),
    Unusable(IdentityError),
}

impl CloudIdentity {
    /// Returns the identity that is configured for a host, or that the environment offers for it. Sends nothing yet.
    pub fn new(host: &str, base: &Url, config: &Config) -> Option<CloudIdentity> {
        let (provider, is_required) = match config.provider_of(host) {
            IdentityProvider::Never => return None,
            IdentityProvider::Of(provider) => (provider, true),
            IdentityProvider::Detected => {
                let provider = provider_of(host)?;
                let has_own_file = config.of_host(host).is_some_and(|own| own.credentials_file.is_some());
                if has_own_file || !config.environment.offers(provider) {
                    return None;
                }
                (provider, false)
            }
        };
        let source = match base.scheme() {
            "http" if !is_loopback(base) => Err(IdentityError::Unencrypted { host: host.to_owned(), provider }),
            _ => Source::new(provider, &config.environment, host),
        };
        Some(CloudIdentity {
            host: host.to_owned(),
            provider,
            source: source.unwrap_or_else(Source::Unusable),
            is_required,
            is_used: AtomicBool::new(false),
            problem: Mutex::default(),
        })
    }

    /// Returns the credential; `None` if the registry is to be tried without, because the identity was only detected and
    /// is of no use.
    ///
    /// # Errors
    /// The configured identity is of no use.
    pub async fn credential(&self, base: &Url, transport: &Transport) -> Result<Option<Credential>, RegistryError> {
        let error = match self.source.credential(base, transport).await {
            Ok(credential) => {
                *self.problem.lock() = None;
                self.is_used.store(true, Ordering::Relaxed);
                return Ok(Some(credential));
            }
            Err(Failure::Identity(error)) => RegistryError::identity(&self.host, self.provider, error),
            Err(Failure::Registry(error)) => error,
        };
        self.is_used.store(false, Ordering::Relaxed);
        if self.is_required {
            return Err(error);
        }
        let before = self.problem.lock().replace(error.clone());
        if before.is_none() {
            tracing::info!(%error, host = self.host, "the registry is used without credentials");
        }
        Ok(None)
    }

    /// Takes note that another credential was found.
    pub fn not_used(&self) {
        self.is_used.store(false, Ordering::Relaxed);
    }

    /// Returns whether the last credential came from here.
    pub fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Returns the reason why the registry is used without the identity.
    pub fn problem(&self) -> Option<RegistryError> {
        self.problem.lock().clone()
    }

    /// Forgets a credential that the registry has refused, and returns whether it makes sense to request another one.
    pub async fn refused(&self) -> bool {
        match &self.source {
            Source::Aws(password) => password.refused().await,
            Source::Azure(token) => token.refused().await,
            Source::Google(token) => token.refused().await,
            Source::Unusable(_) => false,
        }
    }

    /// Returns the cloud.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Returns the identity in words.
    pub fn description(&self) -> String {
        match &self.source {
            Source::Aws(password) => password.description(),
            Source::Azure(token) => token.description(),
            Source::Google(token) => token.description(),
            Source::Unusable(_) => format!("the identity at {}", self.provider),
        }
    }
}

/// A failure to obtain a credential.
enum Failure {
    /// Of the identity.
    Identity(IdentityError),
    /// Of the registry itself.
    Registry(RegistryError),
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Failure {
        Failure::Identity(error)
    }
}

impl Source {
    fn new(provider: Provider, environment: &Environment, host: &str) -> Result<Source, IdentityError> {
        Ok(match provider {
            Provider::Aws => Source::Aws(EcrPassword::new(environment, host)?),
            Provider::Azure => Source::Azure(RefreshToken::new(WorkloadIdentity::new(environment)?, host)),
            Provider::Google => Source::Google(AccessToken::new(environment)?),
        })
    }

    async fn credential(&self, base: &Url, transport: &Transport) -> Result<Credential, Failure> {
        let password = |user: &str, password: Secret<String>| Credential::Password { user: user.to_owned(), password };
        match self {
            Source::Aws(token) => Ok(password(ecr::USER, token.get().await?)),
            Source::Google(token) => Ok(password(google::USER, token.get().await?)),
            Source::Azure(token) => {
                token.get(base, transport).await.map(Credential::RefreshToken).map_err(Failure::Registry)
            }
            Source::Unusable(error) => Err(error.clone().into()),
        }
    }
}
