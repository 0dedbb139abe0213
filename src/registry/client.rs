//! A client of any number of registries (OCI distribution specification 1.1).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;

use crate::image::{Digest, Repository, Tag, Version};

use super::cache::Cache;
use super::config::Config;
use super::content::{MANIFEST_LIMIT, found, manifest_name};
use super::credentials::Credential;
use super::endpoint::Endpoint;
use super::error::RegistryError;
use super::host::{Authentication, Host, Request};
use super::manifest::ACCEPT;
use super::metadata::ImageMetadata;
use super::traffic::Traffic;
use super::transport::Response;

const PING_LIMIT: usize = 1 << 20;

/// A client of any number of registries. Clones share connections, tokens and what was learned.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    /// Opened when something is to be looked up: who only connects leaves no file.
    cache: OnceLock<Cache>,
}

impl Client {
    /// A client; files with certificates are read now, credentials when they are needed.
    ///
    /// # Errors
    /// A file of certificates that cannot be used.
    pub fn new(config: Config) -> Result<Client, RegistryError> {
        let mut hosts = HashMap::new();
        for host in &config.hosts {
            hosts.insert(host.host.clone(), Arc::new(Host::new(&host.host, &config)?));
        }
        let inner = Inner { config, hosts: Mutex::new(hosts), cache: OnceLock::new() };
        Ok(Client { inner: Arc::new(inner) })
    }

    /// Whether the host can be reached, is a registry, and takes our credentials (section "Determining Support").
    pub async fn ping(&self, host: &str) -> Result<(), RegistryError> {
        let request = Request {
            method: Method::GET,
            target: "/v2/".to_owned(),
            accept: "application/json",
            scope: String::new(),
            authentication: Authentication::Challenged,
            limit: PING_LIMIT,
            one_byte: false,
            if_none_match: None,
        };
        let response = self.host(host)?.send(&request).await?;
        if response.status.is_success() && !is_html(&response) {
            return Ok(());
        }
        Err(not_a_registry(host, &response))
    }

    /// The digest that a tag has now, or whether a digest is there (section "Checking if content exists in the
    /// registry"). Always asks.
    pub async fn digest(&self, repository: &Repository, version: &Version) -> Result<Digest, RegistryError> {
        let endpoints = self.endpoints(repository)?;
        if let Some(mirror) = endpoints.trusted_mirror() {
            match self.digest_at(mirror, repository, version).await {
                Ok(digest) => return Ok(digest),
                Err(error) => mirror.passed_over(&error),
            }
        }
        self.digest_at(&endpoints.origin, repository, version).await
    }

    /// Whether a credential, which comes `from` somewhere, is good for pulling an image.
    pub async fn check_credential(
        &self,
        repository: &Repository,
        version: &Version,
        credential: Credential,
        from: String,
    ) -> Result<(), RegistryError> {
        let endpoint = self.endpoint_with_credential(repository, credential, from)?;
        self.digest_at(&endpoint, repository, version).await.map(drop)
    }

    async fn digest_at(
        &self,
        endpoint: &Endpoint,
        repository: &Repository,
        version: &Version,
    ) -> Result<Digest, RegistryError> {
        let request = endpoint.request(Method::HEAD, &manifest_name(version), ACCEPT, MANIFEST_LIMIT);
        let response = endpoint.send(&request).await?;
        found(repository, version, &response)?;
        match header(&response, "docker-content-digest").map(|text| text.parse()) {
            Some(Ok(digest)) => consistent(version, digest, repository, &request.target),
            Some(Err(_)) => {
                Err(broken(repository, &request.target, "its Docker-Content-Digest is no digest".to_owned()))
            }
            // The header is optional: then only the bytes tell.
            None => Ok(self.manifest_at(endpoint, repository, version).await?.digest),
        }
    }

    /// What was learned of an image before, if anything. Asks nothing.
    pub fn known(&self, repository: &Repository, version: &Version) -> Option<ImageMetadata> {
        let of_tag = || self.cache().tag(repository, version.tag.as_ref()?);
        match &version.digest {
            Some(digest) => of_tag().filter(|image| image.digest == *digest).or_else(|| self.cache().image(digest)),
            None => of_tag(),
        }
    }

    /// What was learned of the tags of a repository before. Asks nothing.
    pub fn known_images(&self, repository: &Repository) -> HashMap<Tag, ImageMetadata> {
        self.cache().images(repository)
    }

    /// Keeps what was learned of an image.
    pub(super) fn remember(&self, repository: &Repository, version: &Version, image: &ImageMetadata) {
        let tag: Option<&Tag> = version.tag.as_ref().filter(|_| version.digest.is_none());
        self.cache().remember(repository, tag, image);
    }

    /// Brings what was learned to the disk.
    pub fn flush(&self) {
        self.inner.cache.get().into_iter().for_each(Cache::flush);
    }

    /// The requests that were sent to each host since this was asked last.
    pub fn take_traffic(&self) -> Vec<Traffic> {
        let hosts = self.inner.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.values().flat_map(|host| host.take_traffic()).collect()
    }

    pub(super) fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(super) fn cache(&self) -> &Cache {
        self.inner.cache.get_or_init(|| Cache::open(self.inner.config.cache_dir.as_deref()))
    }

    pub(super) fn host(&self, name: &str) -> Result<Arc<Host>, RegistryError> {
        let mut hosts = self.inner.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Ok(Arc::clone(host));
        }
        let host = Arc::new(Host::new(name, &self.inner.config)?);
        hosts.insert(name.to_owned(), Arc::clone(&host));
        Ok(host)
    }
}

/// A digest that was asked for has to be the one that is claimed.
fn consistent(
    version: &Version,
    digest: Digest,
    repository: &Repository,
    target: &str,
) -> Result<Digest, RegistryError> {
    match &version.digest {
        Some(asked) if *asked != digest => {
            Err(broken(repository, target, format!("it claims to be {digest}, not {asked}")))
        }
        _ => Ok(digest),
    }
}

pub(super) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.get(name).and_then(|value| value.to_str().ok())
}

pub(super) fn is_html(response: &Response) -> bool {
    header(response, CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with("text/html"))
}

/// Whether a body is the distribution API's own error (section "Error Codes").
pub(super) fn is_registry_error(response: &Response) -> bool {
    #[derive(Deserialize)]
    struct Errors {
        #[serde(rename = "errors")]
        _errors: Vec<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Errors>(&response.body).is_ok()
}

pub(super) fn not_a_registry(host: &str, response: &Response) -> RegistryError {
    let kind = header(response, CONTENT_TYPE.as_str()).unwrap_or("no content type");
    let reason = format!("{} answered status {} ({kind})", response.url.path(), response.status.as_u16());
    RegistryError::NotARegistry { host: host.to_owned(), reason }
}

pub(super) fn broken(repository: &Repository, what: &str, reason: String) -> RegistryError {
    RegistryError::InvalidResponse { host: repository.host().to_owned(), what: what.to_owned(), reason }
}
