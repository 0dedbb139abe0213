//! Where an image says that it comes from: annotations of its index or manifest, else labels of its configuration (OCI
//! image specification 1.1, section "Pre-Defined Annotation Keys").

use crate::image::{Digest, Repository, Version};

use super::client::{Client, broken};
use super::content::{FetchedManifest, parse_digest};
use super::error::RegistryError;
use super::inspect::missing;
use super::manifest::{ImageConfig, SourceLabels};

impl Client {
    /// Where an image says that it comes from. Kept by digest; a tag that was seen before is taken not to have moved.
    pub async fn source_labels(
        &self,
        repository: &Repository,
        version: &Version,
    ) -> Result<SourceLabels, RegistryError> {
        let digest = self.image(repository, version).await?.digest;
        if let Some(known) = self.cache().source_labels(repository, &digest) {
            return Ok(known);
        }
        let read = self.manifest(repository, &exactly(digest.clone())).await?;
        let mut said = read.manifest.source_labels();
        if !said.is_complete() {
            said = said.or(self.source_labels_below(repository, read).await?);
        }
        self.cache().remember_source_labels(repository, &digest, &said);
        Ok(said)
    }

    /// Where an image is known to come from, if that was asked before. Asks nothing.
    pub fn known_source_labels(&self, repository: &Repository, version: &Version) -> Option<SourceLabels> {
        self.cache().source_labels(repository, &self.known(repository, version)?.digest)
    }

    /// What a manifest's configuration says; of an index the first platform that is there speaks for all.
    async fn source_labels_below(
        &self,
        repository: &Repository,
        read: FetchedManifest,
    ) -> Result<SourceLabels, RegistryError> {
        if !read.manifest.is_index() {
            return self.source_labels_of_config(repository, &read).await;
        }
        for platform in read.manifest.platforms() {
            let version = exactly(parse_digest(repository, &platform.digest)?);
            match self.manifest(repository, &version).await {
                Ok(inner) => {
                    let said = inner.manifest.source_labels();
                    let complete = said.is_complete();
                    return if complete {
                        Ok(said)
                    } else {
                        Ok(said.or(self.source_labels_of_config(repository, &inner).await?))
                    };
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
        let digest = parse_digest(repository, &config.digest)?;
        let bytes = self.image_config(repository, &digest).await?;
        let bytes = bytes.ok_or_else(|| missing(repository, &read.digest, "the configuration", &config.digest))?;
        let image_config = ImageConfig::read(&bytes)
            .map_err(|error| broken(repository, &digest.to_string(), format!("not a configuration ({error})")))?;
        Ok(image_config.source_labels())
    }
}

fn exactly(digest: Digest) -> Version {
    Version { tag: None, digest: Some(digest) }
}
