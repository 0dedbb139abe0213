//! Checks that an image is complete: everything that a runtime would pull is in the registry, with the right size and
//! digest.
//!
//! OCI image specification 1.1, sections "Image Index", "Image Manifest", "Content Descriptors"; distribution
//! specification 1.1, section "Checking if content exists in the registry".

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use reqwest::{Method, StatusCode};

use crate::http::client::Response;
use crate::image::{Digest, Reference, Repository, Tag, Version};
use crate::platform::Platform;

use super::client::Client;
use super::content::{FetchedManifest, parse_digest};
use super::endpoint::Endpoint;
use super::error::{Flaw, RegistryError};
use super::host::Request;
use super::manifest::{Descriptor, Manifest};
use super::response::{header, not_a_registry};

/// The number of parts of one image that are checked concurrently; the client limits the requests to each host.
const CONCURRENCY: usize = 8;
/// The most parts of one image that are checked, over all of its platforms. Each takes a request.
const MAX_PARTS: usize = 4096;
/// The most manifests, and parts of them, that are cached before integrity checks. Of many new images, few are checked.
const MAX_CACHED: usize = 512;
/// The size of all cached manifests, in bytes.
const MAX_CACHED_BYTES: u64 = 8 << 20;
/// The most parts that are cached after they were checked.
const MAX_CHECKED: usize = 100_000;
/// The deepest nesting of indexes.
const DEPTH: u8 = 4;

/// A cache of the parts of images. It is valid for one cycle, because a registry's content changes.
#[derive(Debug, Clone, Default)]
pub struct PartCache {
    parts: Arc<Mutex<HashMap<(Repository, Digest), Part>>>,
    /// Manifests that the registry has served in this cycle.
    manifests: Arc<Mutex<HashMap<(Repository, Digest), FetchedManifest>>>,
    /// The digests of their tags.
    tags: Arc<Mutex<HashMap<(Repository, Tag), Digest>>>,
}

impl PartCache {
    /// Caches a manifest that the registry served, and the tag that it was requested by.
    pub(super) fn add_manifest(&self, repository: &Repository, version: &Version, read: FetchedManifest) {
        let mut tags = self.tags.lock();
        if let (None, Some(tag), true) = (&version.digest, &version.tag, tags.len() < MAX_CACHED) {
            tags.insert((repository.clone(), tag.clone()), read.digest.clone());
        }
        let mut manifests = self.manifests.lock();
        let bytes: u64 = manifests.values().map(|cached| cached.size).sum();
        if manifests.len() < MAX_CACHED && bytes + read.size <= MAX_CACHED_BYTES {
            manifests.insert((repository.clone(), read.digest.clone()), read);
        }
    }

    /// Caches that the registry has an image config of this size.
    pub(super) fn add_image_config(&self, repository: &Repository, digest: &Digest, size: u64) {
        let mut parts = self.parts.lock();
        if parts.len() < MAX_CACHED {
            parts.insert((repository.clone(), digest.clone()), Part::Present(Some(size)));
        }
    }

    fn tagged(&self, repository: &Repository, version: &Version) -> Option<Digest> {
        let tag = version.tag.as_ref().filter(|_| version.digest.is_none())?;
        let tags = self.tags.lock();
        tags.get(&(repository.clone(), tag.clone())).cloned()
    }

    pub(super) fn take_manifest(&self, repository: &Repository, version: &Version) -> Option<FetchedManifest> {
        let key = (repository.clone(), version.digest.clone()?);
        self.manifests.lock().remove(&key)
    }
}

/// Whether a registry has a blob, and its size if the registry reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Present(Option<u64>),
    Missing,
}

/// The check of one image.
struct IntegrityCheck<'p> {
    client: &'p Client,
    repository: &'p Repository,
    platforms: &'p [Platform],
    part_cache: &'p PartCache,
    /// The number of parts so far.
    parts: AtomicUsize,
}

impl Client {
    /// The digest of a version in this cycle: a tag whose manifest was fetched in this cycle is not requested again.
    pub async fn digest_in_cycle(
        &self,
        repository: &Repository,
        version: &Version,
        part_cache: &PartCache,
    ) -> Result<Digest, RegistryError> {
        match part_cache.tagged(repository, version) {
            Some(digest) => Ok(digest),
            None => self.digest(repository, version).await,
        }
    }

    /// Checks that an image is complete: its index, the manifest of each of `platforms` (if empty, of all platforms
    /// that the index lists, except attestations), their image configs and layers. Returns its digest.
    ///
    /// # Errors
    /// [`RegistryError::Incomplete`] lists everything that is missing or wrong.
    pub async fn check_integrity(
        &self,
        repository: &Repository,
        version: &Version,
        platforms: &[Platform],
        part_cache: &PartCache,
    ) -> Result<Digest, RegistryError> {
        let work = self.check_integrity_now(repository, version, platforms, part_cache);
        self.within_time(repository, "the check of an image", work).await
    }

    async fn check_integrity_now(
        &self,
        repository: &Repository,
        version: &Version,
        platforms: &[Platform],
        part_cache: &PartCache,
    ) -> Result<Digest, RegistryError> {
        if let Some(chart) = self.chart(repository) {
            return chart.check(version).await;
        }
        let read = match part_cache.take_manifest(repository, version) {
            Some(read) => read,
            None => self.manifest(repository, version).await?,
        };
        let digest = read.digest.clone();
        let check = IntegrityCheck { client: self, repository, platforms, part_cache, parts: AtomicUsize::new(0) };
        let mut flaws = check.image(read).await?;
        if flaws.is_empty() {
            return Ok(digest);
        }
        flaws.sort();
        flaws.dedup();
        let image = Reference { repository: repository.clone(), version: version.clone() };
        Err(RegistryError::Incomplete { image: image.to_string(), flaws })
    }
}

impl IntegrityCheck<'_> {
    async fn image(&self, read: FetchedManifest) -> Result<Vec<Flaw>, RegistryError> {
        if read.manifest.is_index() {
            return self.index(&read.digest, &read.manifest, DEPTH).await;
        }
        let image_config = match self.platforms {
            [] => None,
            _ => self.platform_of(&read.manifest).await?,
        };
        let mut flaws = self.manifest(&read.digest, &read.manifest, &label(image_config.as_ref())).await?;
        if let Some(built) = image_config {
            let unserved = self.platforms.iter().filter(|wanted| !wanted.is_served_by(&built));
            flaws.extend(unserved.map(|wanted| lacks(&read.digest, wanted)));
        }
        Ok(flaws)
    }

    /// Checks each manifest of an index that is needed.
    fn index<'a>(
        &'a self,
        digest: &'a Digest,
        index: &'a Manifest,
        depth: u8,
    ) -> BoxFuture<'a, Result<Vec<Flaw>, RegistryError>> {
        async move {
            let children: Vec<&Descriptor> = index.platforms().filter(|child| self.needs(child)).collect();
            let mut flaws: Vec<Flaw> = Vec::new();
            // A nested index does not state its platforms, so missing platforms are reported for the outermost index
            // only.
            let lists_indexes = children.iter().any(|child| child.platform().is_none());
            if depth == DEPTH && !lists_indexes {
                let listed: Vec<Platform> = children.iter().filter_map(|child| child.platform()).collect();
                let unserved =
                    self.platforms.iter().filter(|wanted| !listed.iter().any(|built| wanted.is_served_by(built)));
                flaws.extend(unserved.map(|wanted| lacks(digest, wanted)));
            }
            if children.is_empty() && flaws.is_empty() {
                let problem = "lists no image".to_owned();
                flaws.push(Flaw { what: "the index".to_owned(), digest: digest.to_string(), problem });
            }
            if self.are_too_many(children.len()) {
                return Ok(vec![too_many("the index", digest)]);
            }
            let checks: Vec<_> = children.into_iter().map(|child| self.child(child, depth)).collect();
            let found = stream::iter(checks).buffer_unordered(CONCURRENCY);
            flaws.extend(found.try_collect::<Vec<_>>().await?.into_iter().flatten());
            Ok(flaws)
        }
        .boxed()
    }

    /// Counts parts, and returns whether the image has too many.
    fn are_too_many(&self, parts: usize) -> bool {
        self.parts.fetch_add(parts, Ordering::Relaxed) + parts > MAX_PARTS
    }

    /// Returns whether a manifest of an index is for one of the wanted platforms.
    fn needs(&self, child: &Descriptor) -> bool {
        match child.platform() {
            Some(built) if !self.platforms.is_empty() => {
                self.platforms.iter().any(|wanted| wanted.is_served_by(&built))
            }
            _ => true,
        }
    }

    async fn child(&self, child: &Descriptor, depth: u8) -> Result<Vec<Flaw>, RegistryError> {
        let digest = parse_digest(self.repository, child.digest())?;
        let label = label(child.platform().as_ref());
        let flaw =
            |problem: String| Flaw { what: format!("the manifest{label}"), digest: child.digest().to_owned(), problem };
        let version = Version { tag: None, digest: Some(digest.clone()) };
        let read = match self.listed(&version).await {
            Ok(read) => read,
            Err(error) if error.is_not_found() => return Ok(vec![flaw("is missing".to_owned())]),
            Err(RegistryError::InvalidResponse { reason, .. }) => {
                return Ok(vec![flaw(format!("is broken: {reason}"))]);
            }
            Err(error) => return Err(error),
        };
        let mut flaws: Vec<Flaw> = wrong_size(child.size, Some(read.size)).map(flaw).into_iter().collect();
        flaws.extend(match (read.manifest.is_index(), depth) {
            (false, _) => self.manifest(&digest, &read.manifest, &label).await?,
            (true, 0) => vec![Flaw {
                what: format!("the index{label}"),
                digest: child.digest().to_owned(),
                problem: "is nested too deeply".to_owned(),
            }],
            (true, _) => self.index(&digest, &read.manifest, depth - 1).await?,
        });
        Ok(flaws)
    }

    /// Fetches a manifest that an index lists. A mirror may serve the bytes, but the registry itself must have it.
    async fn listed(&self, version: &Version) -> Result<FetchedManifest, RegistryError> {
        if let Some(read) = self.part_cache.take_manifest(self.repository, version) {
            return Ok(read);
        }
        if self.client.endpoints(self.repository)?.mirror.is_some() {
            self.client.digest(self.repository, version).await?;
        }
        self.client.manifest(self.repository, version).await
    }

    /// Checks the image config of a manifest, and every layer that the registry must have.
    async fn manifest(&self, digest: &Digest, manifest: &Manifest, label: &str) -> Result<Vec<Flaw>, RegistryError> {
        let image_config = manifest.config.iter().map(|part| (format!("the configuration{label}"), part));
        let layers = manifest.layers().filter(|layer| !layer.is_foreign());
        let parts = image_config.chain(layers.map(|part| (format!("a layer{label}"), part)));
        let parts: Vec<_> = parts.collect();
        if self.are_too_many(parts.len()) {
            return Ok(vec![too_many(&format!("the manifest{label}"), digest)]);
        }
        let checks: Vec<_> = parts.into_iter().map(|(what, part)| self.blob(what, part)).collect();
        let found = stream::iter(checks).buffer_unordered(CONCURRENCY);
        Ok(found.try_collect::<Vec<_>>().await?.into_iter().flatten().collect())
    }

    async fn blob(&self, what: String, part: &Descriptor) -> Result<Option<Flaw>, RegistryError> {
        let digest = parse_digest(self.repository, part.digest())?;
        let key = (self.repository.clone(), digest.clone());
        let known = self.part_cache.parts.lock().get(&key).cloned();
        let found = match known {
            Some(found) => found,
            None => {
                let found = self.client.blob(self.repository, &digest).await?;
                let mut parts = self.part_cache.parts.lock();
                if parts.len() < MAX_CHECKED {
                    parts.insert(key, found.clone());
                }
                found
            }
        };
        let problem = match found {
            Part::Present(size) => wrong_size(part.size, size),
            Part::Missing => Some("is missing".to_owned()),
        };
        Ok(problem.map(|problem| Flaw { what, digest: part.digest().to_owned(), problem }))
    }

    /// The platform of a manifest outside an index, which only its image config states.
    async fn platform_of(&self, manifest: &Manifest) -> Result<Option<Platform>, RegistryError> {
        let Some(config) = &manifest.config else { return Ok(None) };
        let digest = parse_digest(self.repository, config.digest())?;
        let found = self.client.image_config(self.repository, &digest).await?;
        Ok(found.and_then(|found| found.config.ok()).and_then(|config| config.platform()))
    }
}

impl Client {
    /// Checks whether a blob exists.
    async fn blob(&self, repository: &Repository, digest: &Digest) -> Result<Part, RegistryError> {
        let endpoints = self.endpoints(repository)?;
        if let Some(mirror) = endpoints.trusted_mirror() {
            match self.blob_at(mirror, repository, digest).await {
                Ok(Part::Missing) => {}
                Ok(found) => return Ok(found),
                Err(error) => mirror.log_skipped(&error),
            }
        }
        self.blob_at(&endpoints.origin, repository, digest).await
    }

    /// Storage that a registry redirects to may support only GET: then one byte is requested, and the response includes
    /// the whole size (RFC 9110 section 14.4).
    async fn blob_at(
        &self,
        endpoint: &Endpoint,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Part, RegistryError> {
        let name = format!("blobs/{digest}");
        let response = endpoint.send(&endpoint.request(Method::HEAD, &name, "*/*", 0)).await?;
        let length = |response: &Response| header(response, "content-length").and_then(|text| text.parse().ok());
        match response.status {
            StatusCode::OK => return Ok(Part::Present(length(&response))),
            StatusCode::NOT_FOUND => return Ok(Part::Missing),
            StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {}
            _ => return Err(not_a_registry(repository.host(), &response)),
        }
        let get = Request { one_byte: true, ..endpoint.request(Method::GET, &name, "*/*", 0) };
        let response = endpoint.send(&get).await?;
        match response.status {
            StatusCode::PARTIAL_CONTENT => {
                let range = header(&response, "content-range").unwrap_or_default();
                Ok(Part::Present(range.rsplit('/').next().and_then(|size| size.parse().ok())))
            }
            StatusCode::OK => Ok(Part::Present(length(&response))),
            StatusCode::NOT_FOUND => Ok(Part::Missing),
            _ => Err(not_a_registry(repository.host(), &response)),
        }
    }
}

fn wrong_size(expected: Option<u64>, actual: Option<u64>) -> Option<String> {
    let (expected, actual) = (expected?, actual?);
    (expected != actual).then(|| format!("has {actual} bytes, not {expected}"))
}

/// ` of linux/amd64`, or nothing if the platform is unknown.
fn label(platform: Option<&Platform>) -> String {
    platform.map(|platform| format!(" of {platform}")).unwrap_or_default()
}

fn too_many(what: &str, digest: &Digest) -> Flaw {
    let problem = format!("brings the image to more than {MAX_PARTS} parts");
    Flaw { what: what.to_owned(), digest: digest.to_string(), problem }
}

fn lacks(image: &Digest, wanted: &Platform) -> Flaw {
    Flaw { what: "the image".to_owned(), digest: image.to_string(), problem: format!("has nothing for {wanted}") }
}
