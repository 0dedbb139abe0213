//! The commit and source repository that an image was built from, according to the annotations of its index or manifest
//! or the labels of its image config (OCI image specification 1.1, section "Pre-Defined Annotation Keys").

use crate::image::{Digest, Repository, Version};

use super::client::Client;
use super::content::{FetchedManifest, parse_digest};
use super::error::RegistryError;
use super::inspect::missing;
use super::manifest::{ImageConfig, SourceLabels};

/// The longest address that is remembered, in bytes.
const LONGEST_SOURCE: usize = 1_000;

impl Client {
    /// The source labels of an image, which are cached by digest. A cached tag is assumed not to have moved.
    pub async fn source_labels(
        &self,
        repository: &Repository,
        version: &Version,
    ) -> Result<SourceLabels, RegistryError> {
        // An index says nothing about sources.
        if repository.index().is_some() {
            return Ok(SourceLabels::default());
        }
        let digest = self.image(repository, version).await?.digest;
        match self.cache().source_labels(repository, &digest) {
            Some(known) => Ok(known),
            None => {
                let work = self.source_labels_now(repository, digest);
                self.within_time(repository, "describing an image", work).await
            }
        }
    }

    async fn source_labels_now(&self, repository: &Repository, digest: Digest) -> Result<SourceLabels, RegistryError> {
        let read = self.manifest(repository, &exactly(digest.clone())).await?;
        let mut labels = read.manifest.source_labels();
        if !labels.is_complete() {
            labels = labels.or(self.source_labels_below(repository, read).await?);
        }
        self.cache().remember_source_labels(repository, &digest, &labels);
        Ok(labels)
    }

    /// The cached source labels of an image. Sends no request.
    pub fn known_source_labels(&self, repository: &Repository, version: &Version) -> Option<SourceLabels> {
        self.cache().source_labels(repository, &self.known(repository, version)?.digest)
    }

    /// The source repository of the images of a repository, as far as one of them has named it by the way. Sends no request.
    pub fn known_source(&self, repository: &Repository) -> Option<String> {
        self.cache().source(repository)
    }

    /// Remembers the source repository that an image config names, which was read for its date.
    pub(super) fn note_source(&self, repository: &Repository, config: &ImageConfig) {
        if let Some(source) = config.source_labels().source.filter(|source| source.len() <= LONGEST_SOURCE) {
            self.cache().remember_source(repository, &source);
        }
    }

    /// The labels of a manifest's image config; for an index, those of the first platform that exists.
    async fn source_labels_below(
        &self,
        repository: &Repository,
        read: FetchedManifest,
    ) -> Result<SourceLabels, RegistryError> {
        if !read.manifest.is_index() {
            return self.source_labels_of_config(repository, &read).await;
        }
        for platform in read.manifest.platforms() {
            let version = exactly(parse_digest(repository, platform.digest())?);
            match self.manifest(repository, &version).await {
                Ok(inner) => {
                    let labels = inner.manifest.source_labels();
                    if labels.is_complete() {
                        return Ok(labels);
                    }
                    return Ok(labels.or(self.source_labels_of_config(repository, &inner).await?));
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(SourceLabels::default())
    }

    async fn source_labels_of_config(
        &self,
        repository: &Repository,
        read: &FetchedManifest,
    ) -> Result<SourceLabels, RegistryError> {
        let Some(config) = &read.manifest.config else { return Ok(SourceLabels::default()) };
        let digest = parse_digest(repository, config.digest())?;
        let found = self.image_config(repository, &digest).await?;
        let found = found.ok_or_else(|| missing(repository, &read.digest, "the image config", config.digest()))?;
        Ok(found.config?.source_labels())
    }
}

fn exactly(digest: Digest) -> Version {
    Version { tag: None, digest: Some(digest) }
}
