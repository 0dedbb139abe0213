//! When the contents of an image were built. An annotation of the manifest or index can say anything, also about an old
//! image; its image config belongs to what runs.

use jiff::Timestamp;

use crate::image::{Repository, Version};

use super::client::Client;
use super::content::{FetchedManifest, parse_digest};
use super::error::RegistryError;
use super::integrity::PartCache;
use super::manifest::Descriptor;

/// The most platforms of an index whose image configs are read.
const MOST_PLATFORMS: usize = 64;

impl Client {
    /// Returns when the newest image config of an image was made, if annotations say when the image was built: otherwise that
    /// is the same. What was fetched is kept in `part_cache`, so that checking the image's integrity does not fetch it
    /// again. Missing and broken parts have no date; the integrity check reports them.
    pub async fn config_date(
        &self,
        repository: &Repository,
        version: &Version,
        part_cache: &PartCache,
    ) -> Result<Option<Timestamp>, RegistryError> {
        if repository.index().is_some() {
            return Ok(None);
        }
        let Some(read) = intact(self.fetched(repository, version, part_cache).await)? else { return Ok(None) };
        let mut parts = Vec::new();
        for platform in read.manifest.platforms().take(MOST_PLATFORMS) {
            let version = Version { tag: None, digest: Some(parse_digest(repository, platform.digest())?) };
            let part = intact(self.fetched(repository, &version, part_cache).await)?;
            parts.extend(part.map(|part| (version, part)));
        }
        parts.push((version.clone(), read));
        let mut newest = None;
        if parts.iter().any(|(_, part)| part.manifest.created().is_some()) {
            for config in parts.iter().filter_map(|(_, part)| part.manifest.config.as_ref()) {
                newest = newest.max(self.date_in(repository, config, part_cache).await?);
            }
        }
        for (version, part) in parts {
            self.cache_part(part_cache, repository, &version, part)?;
        }
        Ok(newest)
    }

    async fn fetched(
        &self,
        repository: &Repository,
        version: &Version,
        part_cache: &PartCache,
    ) -> Result<FetchedManifest, RegistryError> {
        match part_cache.take_manifest(repository, version) {
            Some(read) => Ok(read),
            None => self.manifest(repository, version).await,
        }
    }

    async fn date_in(
        &self,
        repository: &Repository,
        config: &Descriptor,
        part_cache: &PartCache,
    ) -> Result<Option<Timestamp>, RegistryError> {
        let digest = parse_digest(repository, config.digest())?;
        let Some(read) = intact(self.image_config(repository, &digest).await)?.flatten() else { return Ok(None) };
        if !self.has_mirror(repository)? {
            part_cache.add_image_config(repository, &digest, read.size);
        }
        read.config.iter().for_each(|config| self.note_source(repository, config));
        Ok(read.config.ok().and_then(|config| config.created()))
    }
}

/// Returns `None` instead of an error that concerns only the image.
fn intact<T>(result: Result<T, RegistryError>) -> Result<Option<T>, RegistryError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() || error.concerns_image() => Ok(None),
        Err(error) => Err(error),
    }
}
