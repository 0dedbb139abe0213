//! Reads the metadata of images: their digest, build time and platforms.

use crate::image::{Digest, Repository, Version};

use super::client::Client;
use super::content::{FetchedManifest, parse_digest};
use super::error::{Flaw, RegistryError};
use super::integrity::PartCache;
use super::manifest::{Descriptor, Manifest};
use super::metadata::ImageMetadata;

use jiff::Timestamp;

/// The most platforms of an index that are kept.
const MOST_PLATFORMS: usize = 32;

impl Client {
    /// The metadata of an image, which is cached by digest. A cached tag is assumed not to have moved, as tags made
    /// from commits do not; call [`Client::digest`] first to be sure.
    pub async fn image(&self, repository: &Repository, version: &Version) -> Result<ImageMetadata, RegistryError> {
        self.inspect(repository, version, &PartCache::default()).await
    }

    /// The same, and caches what was fetched in `part_cache`, so that checking the image's integrity does not fetch it
    /// again.
    pub async fn inspect(
        &self,
        repository: &Repository,
        version: &Version,
        part_cache: &PartCache,
    ) -> Result<ImageMetadata, RegistryError> {
        match self.known(repository, version) {
            Some(image) => Ok(image),
            None => {
                let work = self.inspect_now(repository, version, part_cache);
                self.within_time(repository, "describing an image", work).await
            }
        }
    }

    async fn inspect_now(
        &self,
        repository: &Repository,
        version: &Version,
        part_cache: &PartCache,
    ) -> Result<ImageMetadata, RegistryError> {
        if let Some(chart) = self.chart(repository) {
            let image = chart.metadata(version).await?;
            self.remember(repository, version, &image);
            return Ok(image);
        }
        let read = self.manifest(repository, version).await?;
        let created = match read.manifest.created() {
            Some(created) => Some(created),
            None if read.manifest.is_index() => {
                self.created_of_platforms(repository, &read.digest, &read.manifest, part_cache).await?
            }
            None => self.created_of_config(repository, &read.digest, &read.manifest, part_cache).await?,
        };
        let platforms = platforms(&read.manifest);
        let image = ImageMetadata { digest: read.digest.clone(), created, platforms };
        self.cache_part(part_cache, repository, version, read)?;
        self.remember(repository, version, &image);
        Ok(image)
    }

    /// The newest build time of an index's platforms, which are built one after the other. A missing platform is
    /// ignored as long as another one has a build time; the integrity check reports it.
    async fn created_of_platforms(
        &self,
        repository: &Repository,
        index: &Digest,
        manifest: &Manifest,
        part_cache: &PartCache,
    ) -> Result<Option<Timestamp>, RegistryError> {
        let (mut newest, mut missing_part, mut found) = (None, None, false);
        for platform in manifest.platforms() {
            match self.created_of_platform(repository, platform, part_cache).await {
                Ok(created) => {
                    newest = newest.max(created);
                    found = true;
                }
                Err(error) if error.is_not_found() => {
                    missing_part = missing_part.or(Some(missing(repository, index, "the manifest", platform.digest())))
                }
                Err(error @ RegistryError::Incomplete { .. }) => missing_part = missing_part.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        missing_part.filter(|_| !found).map_or(Ok(newest), Err)
    }

    async fn created_of_platform(
        &self,
        repository: &Repository,
        platform: &Descriptor,
        part_cache: &PartCache,
    ) -> Result<Option<Timestamp>, RegistryError> {
        let digest = parse_digest(repository, platform.digest())?;
        let version = Version { tag: None, digest: Some(digest.clone()) };
        let read = self.manifest(repository, &version).await?;
        let created = match read.manifest.created() {
            Some(created) => Some(created),
            None => self.created_of_config(repository, &digest, &read.manifest, part_cache).await?,
        };
        self.cache_part(part_cache, repository, &version, read)?;
        Ok(created)
    }

    async fn created_of_config(
        &self,
        repository: &Repository,
        image: &Digest,
        manifest: &Manifest,
        part_cache: &PartCache,
    ) -> Result<Option<Timestamp>, RegistryError> {
        let Some(config) = &manifest.config else { return Ok(None) };
        let digest = parse_digest(repository, config.digest())?;
        let read = self.image_config(repository, &digest).await?;
        let read = read.ok_or_else(|| missing(repository, image, "the image config", config.digest()))?;
        let image_config = read.config?;
        self.note_source(repository, &image_config);
        let created = image_config.created();
        if !self.has_mirror(repository)? {
            part_cache.add_image_config(repository, &digest, read.size);
        }
        Ok(created)
    }

    /// Caches what the registry itself served. What a mirror has does not show that the registry has it.
    pub(super) fn cache_part(
        &self,
        part_cache: &PartCache,
        repository: &Repository,
        version: &Version,
        read: FetchedManifest,
    ) -> Result<(), RegistryError> {
        if !self.has_mirror(repository)? {
            part_cache.add_manifest(repository, version, read);
        }
        Ok(())
    }

    pub(super) fn has_mirror(&self, repository: &Repository) -> Result<bool, RegistryError> {
        Ok(self.endpoints(repository)?.mirror.is_some())
    }
}

/// The digests of an index's platforms; empty for a manifest.
fn platforms(manifest: &Manifest) -> Vec<Digest> {
    let listed = manifest.platforms().filter(|_| manifest.is_index());
    listed.filter_map(|platform| platform.digest().parse().ok()).take(MOST_PLATFORMS).collect()
}

pub(super) fn missing(repository: &Repository, image: &Digest, what: &str, digest: &str) -> RegistryError {
    let flaw = Flaw { what: what.to_owned(), digest: digest.to_owned(), problem: "is missing".to_owned() };
    RegistryError::Incomplete { image: format!("{repository}@{image}"), flaws: vec![flaw] }
}
