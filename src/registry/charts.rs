//! Charts in Helm repositories that are not OCI registries: files below a URL, with an index that lists them. The index
//! takes the place of the list of tags, and an archive that of an image.
//!
//! An index lists many charts, so it is kept in memory for those that are looked up next. It is requested again with its
//! ETag.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::ETAG;
use reqwest::{Method, StatusCode, Url};
use sha2::{Digest as _, Sha256};

use crate::http::excerpt::excerpt;
use crate::image::chart::ChartIndex;
use crate::image::{DEFAULT_HOST, Digest, Reference, Repository, Tag, Version};

use super::chart_index::{ChartVersion, Charts};
use super::client::Client;
use super::endpoint::SMALL;
use super::error::{Flaw, RegistryError};
use super::host::{Authentication, Host, Request};
use super::indexes::KnownIndex;
use super::listing::{Fingerprint, Listing, Page};
use super::metadata::ImageMetadata;
use super::packed::pack_tags;
use super::page_link::target_of_link;
use super::response::{header, is_html};
use super::tags::{LONGEST_ETAG, TagList};

/// The largest index that is read, in bytes.
const INDEX_LIMIT: usize = 16 << 20;
/// A chart with more versions than this needs a slot in memory, as a long list of tags does.
const LONG: usize = 5_000;
/// The time for which an index is not requested again: all charts of a cycle are looked up in the same one.
const FRESH: Duration = Duration::from_secs(5);

/// The chart of a request.
#[derive(Clone, Copy)]
pub(super) struct Chart<'c> {
    pub client: &'c Client,
    pub repository: &'c Repository,
    pub index: ChartIndex<'c>,
}

impl Client {
    /// Returns the chart of a name, if an index lists it.
    pub(super) fn chart<'c>(&'c self, repository: &'c Repository) -> Option<Chart<'c>> {
        Some(Chart { client: self, repository, index: repository.index()? })
    }
}

impl Chart<'_> {
    /// Lists the versions of the chart like tags.
    pub async fn list(&self, known: Option<Fingerprint>) -> Result<TagList, RegistryError> {
        let (cache, host, target) = (self.client.cache(), self.host()?, self.index.target());
        let is_same_page = |page: &Page| page.target == target && page.is_last;
        let before = cache.listing(self.repository);
        let before = before.filter(|before| before.host == host.name() && before.pages.iter().all(is_same_page));
        let etag = before.as_ref().and_then(|before| before.pages.first()?.etag.clone());
        let current = match (self.unless_same(FRESH, etag).await?, &before) {
            (Some(current), _) => current,
            (None, Some(before)) => {
                cache.touch(self.repository, before);
                let fingerprint = before.fingerprint();
                if known == Some(fingerprint) {
                    return Ok(TagList { fingerprint, tags: None, slot: None });
                }
                match self.client.last_listed(self.repository).await {
                    Some(listed) => return Ok(listed),
                    // The cached listing is incomplete.
                    None => self.current(FRESH).await?,
                }
            }
            (None, None) => self.current(FRESH).await?,
        };
        let versions = current.charts.versions(self.index.chart).ok_or_else(|| self.not_listed(None))?;
        let slot = match versions.len() > LONG {
            true => Some(host.memory().listings.acquire().await),
            false => None,
        };
        let page = Page { target, etag: current.etag.clone(), hash: hash_of(versions), link: None, is_last: true };
        let listing = Listing { host: host.name().to_owned(), pages: vec![page] };
        let tags = versions.iter().filter(|version| !version.is_deprecated).map(|version| version.tag.clone());
        let tags: Vec<Tag> = tags.collect();
        if before.as_ref() == Some(&listing) {
            cache.touch(self.repository, &listing);
        } else {
            cache.store_listing(self.repository, &listing, HashMap::from([(0, pack_tags(tags.iter()))]));
            cache.retain_tags(self.repository, &tags);
        }
        let fingerprint = listing.fingerprint();
        Ok(TagList { fingerprint, tags: (known != Some(fingerprint)).then_some(tags), slot })
    }

    /// Returns the digest that the index gives a version now.
    pub async fn digest(&self, version: &Version) -> Result<Digest, RegistryError> {
        Ok(self.version(version, Duration::ZERO).await?.digest)
    }

    /// Returns what the index says about a version.
    pub async fn metadata(&self, version: &Version) -> Result<ImageMetadata, RegistryError> {
        let ChartVersion { digest, created, .. } = self.version(version, FRESH).await?;
        Ok(ImageMetadata { digest, created, platforms: Vec::new() })
    }

    /// Checks that the archive of a version is there, and returns its digest.
    pub async fn check(&self, version: &Version) -> Result<Digest, RegistryError> {
        let ChartVersion { digest, url, .. } = self.version(version, FRESH).await?;
        let problem = match &url {
            Some(url) => self.problem_at(url).await?,
            None => Some("has no URL in the index".to_owned()),
        };
        let Some(problem) = problem else { return Ok(digest) };
        let image = Reference { repository: self.repository.clone(), version: version.clone() }.to_string();
        let flaw = Flaw { what: "the archive".to_owned(), digest: digest.to_string(), problem };
        Err(RegistryError::Incomplete { image, flaws: vec![flaw] })
    }

    /// Looks up a version in an index that is no older than `max_age`.
    async fn version(&self, version: &Version, max_age: Duration) -> Result<ChartVersion, RegistryError> {
        let current = self.current(max_age).await?;
        let is_wanted = |listed: &&ChartVersion| {
            version.tag.as_ref().is_none_or(|tag| *tag == listed.tag)
                && version.digest.as_ref().is_none_or(|digest| *digest == listed.digest)
        };
        let versions = current.charts.versions(self.index.chart).unwrap_or_default();
        versions.iter().find(is_wanted).cloned().ok_or_else(|| self.not_listed(Some(version)))
    }

    fn not_listed(&self, version: Option<&Version>) -> RegistryError {
        let name = match version {
            Some(version) => Reference { repository: self.repository.clone(), version: version.clone() }.to_string(),
            None => self.repository.to_string(),
        };
        RegistryError::NoChart { name }
    }

    fn host(&self) -> Result<Arc<Host>, RegistryError> {
        self.client.host(self.repository.host())
    }

    /// Returns the index.
    async fn current(&self, max_age: Duration) -> Result<KnownIndex, RegistryError> {
        let current = self.unless_same(max_age, None).await?;
        current.ok_or_else(|| self.no_index("it reports as unchanged what was never requested".to_owned()))
    }

    /// Returns the index, unless it is not in memory and still has an ETag.
    async fn unless_same(&self, max_age: Duration, etag: Option<String>) -> Result<Option<KnownIndex>, RegistryError> {
        let host = self.host()?;
        if self.index.is_plain && host.base().scheme() != "http" {
            return Err(RegistryError::Unencrypted {
                host: host.name().to_owned(),
                chart: self.repository.to_string(),
            });
        }
        let key = (host.name().to_owned(), self.index.target());
        let slot = self.client.indexes().slot(&key);
        let mut known = slot.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.at.elapsed() <= max_age) {
            return Ok(Some(known.clone()));
        }
        let etag = known.as_ref().map_or(etag, |known| known.etag.clone());
        match (self.fetch(&host, etag).await?, known.as_mut()) {
            (Some(fetched), _) => {
                self.client.indexes().note_size(&key, fetched.charts.size());
                *known = Some(fetched);
            }
            (None, Some(known)) => known.at = Instant::now(),
            (None, None) => {}
        }
        Ok(known.clone())
    }

    /// Fetches the index; `None` if it still has an ETag.
    async fn fetch(&self, host: &Arc<Host>, etag: Option<String>) -> Result<Option<KnownIndex>, RegistryError> {
        let may_be_same = etag.is_some();
        let request = Request { if_none_match: etag, ..request(Method::GET, self.index.target(), SMALL) };
        let (response, _slot) = match host.send(&request).await {
            Err(RegistryError::TooLarge { .. }) => {
                let slot = host.memory().indexes.acquire().await;
                (host.send(&Request { limit: INDEX_LIMIT, ..request }).await?, Some(slot))
            }
            response => (response?, None),
        };
        match response.status {
            StatusCode::NOT_MODIFIED if may_be_same => return Ok(None),
            StatusCode::OK if !is_html(&response) => {}
            StatusCode::OK => return Err(self.no_index("it is a web page".to_owned())),
            status => return Err(self.no_index(format!("the server responded with status {}", status.as_u16()))),
        }
        let is_usable = |etag: &&str| !etag.is_empty() && etag.len() <= LONGEST_ETAG;
        let etag = header(&response, ETAG.as_str()).filter(is_usable).map(str::to_owned);
        // Parsing tens of megabytes takes a second, in which a thread of the runtime would serve nobody.
        let charts = tokio::task::spawn_blocking(move || Charts::read(&response.body)).await;
        let charts = charts.map_err(|error| self.no_index(error.to_string()))?;
        let charts = Arc::new(charts.map_err(|error| self.no_index(error.to_string()))?);
        Ok(Some(KnownIndex { etag, at: Instant::now(), charts }))
    }

    fn no_index(&self, reason: String) -> RegistryError {
        let url = format!("{}{}", self.repository.host(), self.index.target());
        RegistryError::NotAnIndex { url, reason }
    }

    /// Returns the problem of an archive that cannot be fetched. Its URL may name another server, which is then treated
    /// as if the repository redirected there.
    async fn problem_at(&self, url: &str) -> Result<Option<String>, RegistryError> {
        if url.starts_with("oci://") {
            return self.problem_in_registry(url).await;
        }
        let host = self.host()?;
        let index = host.url_of(&self.index.target());
        let Ok(archive) = index.join(url) else { return Ok(Some("has an invalid URL in the index".to_owned())) };
        let mut status = self.status_of(&host, &index, &archive, Method::HEAD).await?;
        // Storage may support only GET.
        if matches!(status, StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED) {
            status = self.status_of(&host, &index, &archive, Method::GET).await?;
        }
        // A query may be a secret, and so may what is before the host.
        let shown = format!("{}{}", archive.origin().ascii_serialization(), excerpt(archive.path()));
        let problem = || format!("cannot be fetched: {shown} responds with status {}", status.as_u16());
        Ok((!status.is_success()).then(problem))
    }

    async fn status_of(
        &self,
        host: &Arc<Host>,
        index: &Url,
        archive: &Url,
        method: Method,
    ) -> Result<StatusCode, RegistryError> {
        let one_byte = method == Method::GET;
        match target_of_link(host.base(), index, archive.as_str()) {
            Some(target) => {
                let request = Request { one_byte, ..request(method, target, 0) };
                Ok(host.send(&request).await?.status)
            }
            None => host.status_elsewhere(index, archive.clone(), method).await,
        }
    }

    /// Returns the problem of a chart that is in an OCI registry, although an index lists it. Only a registry that is
    /// configured is asked: the index must not lead to others.
    async fn problem_in_registry(&self, url: &str) -> Result<Option<String>, RegistryError> {
        let Ok(reference) = Reference::parse_any(url) else {
            return Ok(Some("has an invalid URL in the index".to_owned()));
        };
        let host = reference.repository.host();
        if host != DEFAULT_HOST && self.client.config().of_host(host).is_none() {
            return Ok(Some(format!("is at {host}, which is not listed under `registries`")));
        }
        match self.client.digest(&reference.repository, &reference.version).await {
            Ok(_) => Ok(None),
            Err(error) if error.concerns_image() => Ok(Some(format!("cannot be fetched: {error}"))),
            Err(error) => Err(error),
        }
    }
}

fn request(method: Method, target: String, limit: usize) -> Request {
    Request {
        method,
        target,
        accept: "*/*",
        scope: String::new(),
        authentication: Authentication::Challenged,
        limit,
        one_byte: false,
        if_none_match: None,
    }
}

/// Hashes what an index says about a chart. Its other charts change more often than this one.
fn hash_of(versions: &[ChartVersion]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for ChartVersion { tag, digest, created, url, is_deprecated } in versions {
        hash.update(format!("{tag} {digest} {created:?} {url:?} {is_deprecated}\n"));
    }
    hash.finalize().into()
}
