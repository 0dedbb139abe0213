//! Where a repository is asked for: at its registry, and at a mirror of it where one is configured.
//!
//! What is asked for by digest may come from anywhere, as its bytes prove themselves. What a tag means, and whether
//! something is there, is for the registry to say, unless the mirror is trusted with that too.

use std::sync::Arc;

use reqwest::Method;

use crate::image::Repository;

use super::client::Client;
use super::credentials::Credential;
use super::error::RegistryError;
use super::host::{Authentication, Host, Request};
use super::sign_in::CredentialSource;
use super::transport::Response;

/// A host that has a repository.
#[derive(Debug)]
pub struct Endpoint {
    /// The host.
    pub host: Arc<Host>,
    /// What the repository is called there.
    path: String,
    /// The registry that this is a mirror of.
    mirror_of: Option<String>,
}

/// The registry of a repository, and its mirror if there is one.
#[derive(Debug)]
pub struct Endpoints {
    /// The registry itself.
    pub origin: Endpoint,
    /// Its mirror.
    pub mirror: Option<Endpoint>,
    /// Whether the mirror may say what tags mean and what is there.
    pub trusts_mirror: bool,
}

impl Endpoints {
    /// The mirror, for what the registry itself has to say unless the mirror is trusted.
    pub fn trusted_mirror(&self) -> Option<&Endpoint> {
        self.mirror.as_ref().filter(|_| self.trusts_mirror)
    }
}

impl Endpoint {
    /// A question for something of the repository, such as `manifests/TAG`.
    pub fn request(&self, method: Method, what: &str, accept: &'static str, limit: usize) -> Request {
        Request {
            method,
            target: self.target(what),
            accept,
            scope: format!("repository:{}:pull", self.path),
            authentication: Authentication::Challenged,
            limit,
            one_byte: false,
            if_none_match: None,
        }
    }

    /// The path and query of something of the repository.
    pub fn target(&self, what: &str) -> String {
        // As containerd asks mirrors of several registries.
        match &self.mirror_of {
            Some(host) => format!("/v2/{}/{what}?ns={host}", self.path),
            None => format!("/v2/{}/{what}", self.path),
        }
    }

    /// Asks. A mirror is tried once: there is the registry to fall back to.
    pub async fn send(&self, request: &Request) -> Result<Arc<Response>, RegistryError> {
        match self.mirror_of {
            Some(_) => self.host.send_once(request).await,
            None => self.host.send(request).await,
        }
    }

    /// Says why a mirror was of no use.
    pub fn passed_over(&self, error: &RegistryError) {
        tracing::debug!(mirror = %self.host.name(), %error, "the mirror is passed over");
    }
}

impl Client {
    /// Where a repository is asked for with a credential of its own, and without a mirror.
    pub(super) fn endpoint_with_credential(
        &self,
        repository: &Repository,
        credential: Credential,
        from: String,
    ) -> Result<Endpoint, RegistryError> {
        let host = Host::with_credential_source(
            repository.host(),
            self.config(),
            CredentialSource::Given { credential, from },
        )?;
        Ok(Endpoint { host: Arc::new(host), path: repository.path().to_owned(), mirror_of: None })
    }

    /// Where a repository is asked for.
    pub(super) fn endpoints(&self, repository: &Repository) -> Result<Endpoints, RegistryError> {
        let own = self.config().of_host(repository.host());
        let mirror = match own.and_then(|own| own.mirror.as_ref()) {
            Some(mirror) => Some(Endpoint {
                host: self.host(&mirror.host)?,
                path: format!("{}{}", mirror.prefix, repository.path()),
                mirror_of: Some(repository.host().to_owned()),
            }),
            None => None,
        };
        let host = self.host(repository.host())?;
        let origin = Endpoint { host, path: repository.path().to_owned(), mirror_of: None };
        Ok(Endpoints { origin, mirror, trusts_mirror: own.is_some_and(|own| own.mirror_tags) })
    }
}
