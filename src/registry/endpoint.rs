//! The hosts that serve a repository: its registry, and a mirror if one is configured.
//!
//! Anything requested by digest may come from either, because its bytes are verified. The digest of a tag, and whether
//! something exists, comes from the registry itself, unless the mirror is trusted with that too.

use std::sync::Arc;

use reqwest::Method;

use crate::http::client::Response;
use crate::image::Repository;

use super::client::Client;
use super::credentials::Credential;
use super::error::RegistryError;
use super::host::{Authentication, Host, Request};
use super::memory::Slot;

/// The largest answers, in bytes, of which there may be as many as requests.
pub const SMALL: usize = 256 << 10;

/// A host that serves a repository.
#[derive(Debug)]
pub struct Endpoint {
    /// The host.
    pub host: Arc<Host>,
    /// The repository's path there.
    path: String,
    /// The registry that this mirrors, if it is a mirror.
    mirror_of: Option<String>,
}

/// The registry of a repository, and its mirror, if any.
#[derive(Debug)]
pub struct Endpoints {
    /// The registry itself.
    pub origin: Endpoint,
    /// Its mirror.
    pub mirror: Option<Endpoint>,
    /// Whether the mirror is trusted with digests of tags and with what exists.
    pub trusts_mirror: bool,
}

impl Endpoints {
    /// The mirror, if it is trusted with digests of tags and with what exists.
    pub fn trusted_mirror(&self) -> Option<&Endpoint> {
        self.mirror.as_ref().filter(|_| self.trusts_mirror)
    }
}

impl Endpoint {
    /// A request for a resource of the repository, such as `manifests/TAG`.
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

    /// The path and query of a resource of the repository.
    pub fn target(&self, what: &str) -> String {
        // As containerd queries mirrors of several registries.
        match &self.mirror_of {
            Some(host) => format!("/v2/{}/{what}?ns={host}", self.path),
            None => format!("/v2/{}/{what}", self.path),
        }
    }

    /// Sends a request. A mirror is tried once, because the registry is the fallback.
    pub async fn send(&self, request: &Request) -> Result<Arc<Response>, RegistryError> {
        match self.mirror_of {
            Some(_) => self.host.send_once(request).await,
            None => self.host.send(request).await,
        }
    }

    /// Sends a request whose answer is usually small. A large one is requested again once there is memory for it, which
    /// is to be kept as long as the answer.
    pub async fn send_with_memory(&self, request: &Request) -> Result<(Arc<Response>, Option<Slot>), RegistryError> {
        let small = Request { limit: request.limit.min(SMALL), ..request.clone() };
        match self.send(&small).await {
            Err(RegistryError::TooLarge { .. }) if request.limit > SMALL => {
                let slot = self.host.memory().answers.acquire().await;
                Ok((self.send(request).await?, Some(slot)))
            }
            response => Ok((response?, None)),
        }
    }

    /// Logs why a mirror was not used.
    pub fn log_skipped(&self, error: &RegistryError) {
        tracing::debug!(mirror = %self.host.name(), %error, "skipping the mirror");
    }
}

impl Client {
    /// The registry of a repository, with a separate credential and without a mirror.
    pub(super) fn endpoint_with_credential(
        &self,
        repository: &Repository,
        credential: Credential,
        from: String,
    ) -> Result<Endpoint, RegistryError> {
        let host = self.host(repository.host())?.with_credential(credential, from);
        Ok(Endpoint { host: Arc::new(host), path: repository.path().to_owned(), mirror_of: None })
    }

    /// The hosts that serve a repository.
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
