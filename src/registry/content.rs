//! Manifests and blobs, their bytes proved against their digests (OCI distribution specification 1.1, section "Pull").

use reqwest::{Method, StatusCode};
use sha2::{Digest as _, Sha256, Sha512};

use crate::image::{Digest, Reference, Repository, Version};

use super::client::{Client, broken, header, is_html, not_a_registry};
use super::endpoint::Endpoint;
use super::error::RegistryError;
use super::manifest::{ACCEPT, Manifest};
use super::transport::Response;

/// A manifest and a configuration are read up to these sizes, in bytes. The specification wants registries to take
/// manifests of 4 MiB.
pub(super) const MANIFEST_LIMIT: usize = 8 << 20;
const IMAGE_CONFIG_LIMIT: usize = 8 << 20;

/// A manifest or index with what its bytes are.
#[derive(Debug)]
pub(super) struct FetchedManifest {
    /// What the bytes hash to.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// What it says.
    pub manifest: Manifest,
}

impl Client {
    /// A manifest or index, its bytes proved against the digest that was asked for or claimed. By digest it may come
    /// from a mirror; what a tag means is asked of the registry first then.
    pub(super) async fn manifest(
        &self,
        repository: &Repository,
        version: &Version,
    ) -> Result<FetchedManifest, RegistryError> {
        let endpoints = self.endpoints(repository)?;
        let Some(mirror) = &endpoints.mirror else {
            return self.manifest_at(&endpoints.origin, repository, version).await;
        };
        let digest = match &version.digest {
            Some(digest) => digest.clone(),
            None => self.digest(repository, version).await?,
        };
        let exact = Version { tag: version.tag.clone(), digest: Some(digest) };
        match self.manifest_at(mirror, repository, &exact).await {
            Ok(read) => Ok(read),
            Err(error) => {
                mirror.passed_over(&error);
                self.manifest_at(&endpoints.origin, repository, &exact).await
            }
        }
    }

    pub(super) async fn manifest_at(
        &self,
        endpoint: &Endpoint,
        repository: &Repository,
        version: &Version,
    ) -> Result<FetchedManifest, RegistryError> {
        let request = endpoint.request(Method::GET, &manifest_name(version), ACCEPT, MANIFEST_LIMIT);
        let response = endpoint.send(&request).await?;
        found(repository, version, &response)?;
        let target = &request.target;
        let claimed = header(&response, "docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        let expected = version.digest.clone().or(claimed);
        let digest = match expected {
            Some(expected) => {
                let actual = digest_of(&response.body, &expected);
                if actual != expected {
                    return Err(broken(repository, target, format!("its bytes hash to {actual}, not to {expected}")));
                }
                expected
            }
            None => sha256(&response.body),
        };
        let manifest: Manifest = serde_json::from_slice(&response.body)
            .map_err(|error| broken(repository, target, format!("not a manifest ({error})")))?;
        if manifest.is_neither() {
            return Err(broken(repository, target, "it is neither a manifest nor an index".to_owned()));
        }
        Ok(FetchedManifest { digest, size: response.body.len() as u64, manifest })
    }

    /// The bytes of a configuration; `None` when the registry does not have it.
    pub(super) async fn image_config(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Vec<u8>>, RegistryError> {
        let endpoints = self.endpoints(repository)?;
        if let Some(mirror) = &endpoints.mirror {
            match self.image_config_at(mirror, repository, digest).await {
                Ok(Some(bytes)) => return Ok(Some(bytes)),
                Ok(None) => {}
                Err(error) => mirror.passed_over(&error),
            }
        }
        self.image_config_at(&endpoints.origin, repository, digest).await
    }

    async fn image_config_at(
        &self,
        endpoint: &Endpoint,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Vec<u8>>, RegistryError> {
        let request = endpoint.request(Method::GET, &format!("blobs/{digest}"), "*/*", IMAGE_CONFIG_LIMIT);
        let response = endpoint.send(&request).await?;
        match response.status {
            StatusCode::NOT_FOUND => Ok(None),
            status if !status.is_success() => Err(not_a_registry(repository.host(), &response)),
            _ if digest_of(&response.body, digest) != *digest => {
                Err(broken(repository, &request.target, "its bytes do not hash to its digest".to_owned()))
            }
            _ => Ok(Some(response.body.clone())),
        }
    }
}

/// What an answer to a question for a manifest means.
pub(super) fn found(repository: &Repository, version: &Version, response: &Response) -> Result<(), RegistryError> {
    match response.status {
        status if status.is_success() && !is_html(response) => Ok(()),
        StatusCode::NOT_FOUND => {
            let reference = Reference { repository: repository.clone(), version: version.clone() };
            Err(RegistryError::NoImage { image: reference.to_string() })
        }
        _ => Err(not_a_registry(repository.host(), response)),
    }
}

/// By digest where there is one: that is what runtimes obey.
pub(super) fn manifest_name(version: &Version) -> String {
    let reference = match (&version.digest, &version.tag) {
        (Some(digest), _) => digest.as_str(),
        (None, Some(tag)) => tag.as_str(),
        (None, None) => "latest",
    };
    format!("manifests/{reference}")
}

/// The digest that a manifest points to.
pub(super) fn parse_digest(repository: &Repository, text: &str) -> Result<Digest, RegistryError> {
    text.parse().map_err(|_| broken(repository, "a manifest", format!("it points to `{text}`, which is no digest")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest::sha256(&hex(&Sha256::digest(bytes)))
}

/// The digest of bytes by the algorithm of another digest.
fn digest_of(bytes: &[u8], like: &Digest) -> Digest {
    if like.as_str().starts_with("sha512:") { Digest::sha512(&hex(&Sha512::digest(bytes))) } else { sha256(bytes) }
}
