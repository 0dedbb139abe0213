//! A client for any number of registries (OCI distribution specification 1.1).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::Method;

use crate::image::{Repository, Tag, Version};

use super::cache::Cache;
use super::config::{Config, HostConfig};
use super::error::RegistryError;
use super::host::{Authentication, Host, Request};
use super::indexes::Indexes;
use super::memory::HostMemory;
use super::metadata::ImageMetadata;
use super::metrics::RegistryMetrics;
use super::proof_places::ProofPlaces;
use super::response::{is_html, not_a_registry};
use super::transport::Means;
use super::without_referrers::WithoutReferrers;

const PING_LIMIT: usize = 1 << 20;
/// The time for all requests that one question takes, as a multiple of the timeout of a request. Git operations have the
/// same.
const WHOLE: u32 = 20;

/// A client for any number of registries. Clones share connections, tokens and the cache.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    metrics: RegistryMetrics,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    memory: HostMemory,
    /// The repositories whose listings were long the last time.
    long: Mutex<HashSet<Repository>>,
    /// The indexes of Helm repositories.
    indexes: Indexes,
    /// The registries that lack the referrers API.
    without_referrers: WithoutReferrers,
    /// The places where the signatures of repositories were found the last time.
    proof_places: ProofPlaces,
    /// Opened on first use, so that a client that only connects leaves no file.
    cache: OnceLock<Cache>,
}

impl Client {
    /// Creates a client. Files with certificates are read now, credentials when they are needed.
    ///
    /// # Errors
    /// A file of certificates cannot be used.
    pub fn new(config: Config) -> Result<Client, RegistryError> {
        Client::with_metrics(config, RegistryMetrics::default())
    }

    /// Creates a client that counts into existing metrics, as after a change of configuration.
    ///
    /// # Errors
    /// A file of certificates cannot be used.
    pub fn with_metrics(config: Config, metrics: RegistryMetrics) -> Result<Client, RegistryError> {
        metrics.forget_certificates();
        let memory = HostMemory::default();
        let mut hosts = HashMap::new();
        for HostConfig { host, .. } in &config.hosts {
            let host_memory = memory.for_another_host();
            hosts.insert(host.clone(), Arc::new(Host::new(host, &config, metrics.clone(), host_memory)?));
        }
        let inner = Inner {
            config,
            metrics,
            hosts: Mutex::new(hosts),
            memory,
            long: Mutex::default(),
            indexes: Indexes::default(),
            without_referrers: WithoutReferrers::default(),
            proof_places: ProofPlaces::default(),
            cache: OnceLock::new(),
        };
        Ok(Client { inner: Arc::new(inner) })
    }

    /// Checks that the host can be reached, is a registry and accepts our credentials (section "Determining Support").
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

    /// Returns the identity from a cloud that requests to a host are made with, in words; `None` if there has been none.
    pub fn identity_at(&self, host: &str) -> Option<String> {
        self.host(host).ok()?.identity()
    }

    /// Returns how a host is reached.
    ///
    /// # Errors
    /// A file that connections to the host depend on cannot be used.
    pub fn means(&self, host: &str) -> Result<Means, RegistryError> {
        Ok(self.host(host)?.means())
    }

    /// The cached metadata of an image. Sends no request.
    pub fn known(&self, repository: &Repository, version: &Version) -> Option<ImageMetadata> {
        let of_tag = || self.cache().tag(repository, version.tag.as_ref()?);
        match &version.digest {
            Some(digest) => of_tag().filter(|image| image.digest == *digest).or_else(|| self.cache().image(digest)),
            None => of_tag(),
        }
    }

    /// The cached metadata of all tags of a repository. Sends no request.
    pub fn known_images(&self, repository: &Repository) -> HashMap<Tag, ImageMetadata> {
        self.cache().images(repository)
    }

    /// Caches the metadata of an image.
    pub(super) fn remember(&self, repository: &Repository, version: &Version, image: &ImageMetadata) {
        let tag: Option<&Tag> = version.tag.as_ref().filter(|_| version.digest.is_none());
        self.cache().remember(repository, tag, image);
    }

    /// Writes the cache to disk.
    pub fn flush(&self) {
        self.inner.cache.get().into_iter().for_each(Cache::flush);
    }

    /// Limits the time of everything that one question about a repository takes, however often the registry responds.
    pub async fn within_time<T>(
        &self,
        repository: &Repository,
        what: &'static str,
        work: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        let after: Duration = self.config().timeout_of(repository.host()) * WHOLE;
        let overdue = || RegistryError::Unfinished { host: repository.host().to_owned(), what, after };
        tokio::time::timeout(after, work).await.unwrap_or_else(|_| Err(overdue()))
    }

    /// Returns whether a repository's listing was long the last time.
    pub(super) fn is_long(&self, repository: &Repository) -> bool {
        self.inner.long.lock().contains(repository)
    }

    /// Takes note of whether a repository's listing is long.
    pub(super) fn note_long(&self, repository: &Repository, is_long: bool) {
        let mut long = self.inner.long.lock();
        if is_long {
            long.insert(repository.clone());
        } else {
            long.remove(repository);
        }
    }

    pub(super) fn indexes(&self) -> &Indexes {
        &self.inner.indexes
    }

    pub(super) fn without_referrers(&self) -> &WithoutReferrers {
        &self.inner.without_referrers
    }

    pub(super) fn proof_places(&self) -> &ProofPlaces {
        &self.inner.proof_places
    }

    pub(super) fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(super) fn cache(&self) -> &Cache {
        self.inner.cache.get_or_init(|| Cache::open(self.inner.config.cache_dir.as_deref()))
    }

    pub(super) fn host(&self, name: &str) -> Result<Arc<Host>, RegistryError> {
        let mut hosts = self.inner.hosts.lock();
        if let Some(host) = hosts.get(name) {
            return Ok(Arc::clone(host));
        }
        let memory = self.inner.memory.for_another_host();
        let host = Arc::new(Host::new(name, &self.inner.config, self.inner.metrics.clone(), memory)?);
        hosts.insert(name.to_owned(), Arc::clone(&host));
        Ok(host)
    }
}
