//! What is known of an image: its digest and when it was built.

use crate::image::{Digest, Repository, Version};

use super::client::{Client, broken};
use super::content::{FetchedManifest, parse_digest};
use super::error::{Flaw, RegistryError};
use super::integrity::PartCache;
use super::manifest::{Descriptor, ImageConfig, Manifest};
use super::metadata::ImageMetadata;

use jiff::Timestamp;

/// At most this many platforms of an index are kept.
const MOST_PLATFORMS: usize = 64;

impl Client {
    /// What is known of an image. What was learned once is kept by digest; and a tag that was seen before is taken not
    /// to have moved, as tags made of commits do not: whoever must be sure asks [`Client::digest`] first.
    pub async fn image(&self, repository: &Repository, version: &Version) -> Result<ImageMetadata, RegistryError> {
        self.inspect(repository, version, &PartCache::default()).await
    }

    /// The same, with note taken of what the registry handed out for it: that need not be asked for again to prove the
    /// image whole.
    pub async fn inspect(
        &self,
        repository: &Repository,
        version: &Version,
        part_cache: &PartCache,
    ) -> Result<ImageMetadata, RegistryError> {
        if let Some(image) = self.known(repository, version) {
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
        self.note(part_cache, repository, version, read)?;
        self.remember(repository, version, &image);
        Ok(image)
    }

    /// The newest of an index's platforms: they are built one after the other. One that is gone is passed over as long
    /// as another can tell; whether the image is whole is asked elsewhere.
    async fn created_of_platforms(
        &self,
        repository: &Repository,
        index: &Digest,
        manifest: &Manifest,
        part_cache: &PartCache,
    ) -> Result<Option<Timestamp>, RegistryError> {
        let (mut newest, mut gone, mut told) = (None, None, false);
        for platform in manifest.platforms() {
            match self.created_of_platform(repository, platform, part_cache).await {
                Ok(created) => {
                    newest = newest.max(created);
                    told = true;
                }
                Err(error) if error.is_not_found() => {
                    gone = gone.or(Some(missing(repository, index, "the manifest", &platform.digest)))
                }
                Err(error @ RegistryError::Incomplete { .. }) => gone = gone.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        gone.filter(|_| !told).map_or(Ok(newest), Err)
    }

    async fn created_of_platform(
        &self,
        repository: &Repository,
        platform: &Descriptor,
        part_cache: &PartCache,
    ) -> Result<Option<Timestamp>, RegistryError> {
        let digest = parse_digest(repository, &platform.digest)?;
        let version = Version { tag: None, digest: Some(digest.clone()) };
        let read = self.manifest(repository, &version).await?;
        let created = match read.manifest.created() {
            Some(created) => Some(created),
            None => self.created_of_config(repository, &digest, &read.manifest, part_cache).await?,
        };
        self.note(part_cache, repository, &version, read)?;
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
        let digest = parse_digest(repository, &config.digest)?;
        let bytes = self.image_config(repository, &digest).await?;
        let bytes = bytes.ok_or_else(|| missing(repository, image, "the configuration", &config.digest))?;
        let image_config = ImageConfig::read(&bytes)
            .map_err(|error| broken(repository, &digest.to_string(), format!("not a configuration ({error})")))?;
        if !self.has_mirror(repository)? {
            part_cache.note_image_config(repository, &digest, bytes.len() as u64);
        }
        Ok(image_config.created())
    }

    /// Takes note of what the registry itself handed out. What a mirror has proves nothing.
    fn note(
        &self,
        part_cache: &PartCache,
        repository: &Repository,
        version: &Version,
        read: FetchedManifest,
    ) -> Result<(), RegistryError> {
        if !self.has_mirror(repository)? {
            part_cache.note_manifest(repository, version, read);
        }
        Ok(())
    }

    fn has_mirror(&self, repository: &Repository) -> Result<bool, RegistryError> {
        Ok(self.endpoints(repository)?.mirror.is_some())
    }
}

/// The digests of an index's platforms, none of a manifest.
fn platforms(manifest: &Manifest) -> Vec<Digest> {
    let listed = manifest.platforms().filter(|_| manifest.is_index());
    listed.filter_map(|platform| platform.digest.parse().ok()).take(MOST_PLATFORMS).collect()
}

pub(super) fn missing(repository: &Repository, image: &Digest, what: &str, digest: &str) -> RegistryError {
    let flaw = Flaw { what: what.to_owned(), digest: digest.to_owned(), problem: "is missing".to_owned() };
    RegistryError::Incomplete { image: format!("{repository}@{image}"), flaws: vec![flaw] }
}
