//! Where an image says that it comes from: annotations of its index or manifest, else labels of its configuration (OCI
//! image specification 1.1, section "Pre-Defined Annotation Keys").

use crate::image::{Digest, Repository, Version};

use super::client::{Client, broken};
use super::content::{Read, parse_digest};
use super::error::RegistryError;
use super::manifest::{Configuration, Provenance};
use super::metadata::missing;

impl Client {
    /// Where an image says that it comes from. Kept by digest; a tag that was seen before is taken not to have moved.
    pub async fn provenance(&self, repository: &Repository, version: &Version) -> Result<Provenance, RegistryError> {
        let digest = self.image(repository, version).await?.digest;
        if let Some(known) = self.cache().provenance(repository, &digest) {
            return Ok(known);
        }
        let read = self.manifest(repository, &exactly(digest.clone())).await?;
        let mut said = read.manifest.provenance();
        if !said.is_complete() {
            said = said.or(self.provenance_below(repository, read).await?);
        }
        self.cache().remember_provenance(repository, &digest, &said);
        Ok(said)
    }

    /// Where an image is known to come from, if that was asked before. Asks nothing.
    pub fn known_provenance(&self, repository: &Repository, version: &Version) -> Option<Provenance> {
        self.cache().provenance(repository, &self.known(repository, version)?.digest)
    }

    /// What a manifest's configuration says; of an index the first platform that is there speaks for all.
    async fn provenance_below(&self, repository: &Repository, read: Read) -> Result<Provenance, RegistryError> {
        if !read.manifest.is_index() {
            return self.provenance_of_config(repository, &read).await;
        }
        for platform in read.manifest.platforms() {
            let version = exactly(parse_digest(repository, &platform.digest)?);
            match self.manifest(repository, &version).await {
                Ok(inner) => {
                    let said = inner.manifest.provenance();
                    let complete = said.is_complete();
                    return if complete {
                        Ok(said)
                    } else {
                        Ok(said.or(self.provenance_of_config(repository, &inner).await?))
                    };
                }
                Err(error) if error.is_absence() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Provenance::default())
    }

    async fn provenance_of_config(&self, repository: &Repository, read: &Read) -> Result<Provenance, RegistryError> {
        let Some(config) = &read.manifest.config else { return Ok(Provenance::default()) };
        let digest = parse_digest(repository, &config.digest)?;
        let bytes = self.configuration(repository, &digest).await?;
        let bytes = bytes.ok_or_else(|| missing(repository, &read.digest, "the configuration", &config.digest))?;
        let configuration = Configuration::read(&bytes)
            .map_err(|error| broken(repository, &digest.to_string(), format!("not a configuration ({error})")))?;
        Ok(configuration.provenance())
    }
}

fn exactly(digest: Digest) -> Version {
    Version { tag: None, digest: Some(digest) }
}
