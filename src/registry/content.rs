//! Manifests, their digests, and image configs, verified against the digest that was requested (OCI distribution
//! specification 1.1, section "Pull").

use reqwest::{Method, StatusCode};
use sha2::{Digest as _, Sha256, Sha512};

use crate::http::client::Response;
use crate::image::{Digest, Reference, Repository, Version};

use super::client::Client;
use super::credentials::Credential;
use super::endpoint::Endpoint;
use super::error::RegistryError;
use super::manifest::{ACCEPT, ImageConfig, Manifest};
use super::response::{header, invalid_response, is_html, not_a_registry};

/// The largest manifests and image configs that are read, in bytes. The specification asks registries to accept
/// manifests of 4 MiB.
pub(super) const MANIFEST_LIMIT: usize = 4 << 20;
const IMAGE_CONFIG_LIMIT: usize = 4 << 20;

/// A manifest or index as it was fetched.
#[derive(Debug)]
pub(super) struct FetchedManifest {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Its content.
    pub manifest: Manifest,
}

/// An image config as it was fetched.
#[derive(Debug)]
pub(super) struct FetchedConfig {
    /// Its content, or the error if it has another form.
    pub config: Result<ImageConfig, RegistryError>,
    /// Its size in bytes.
    pub size: u64,
}

impl Client {
    /// The current digest of a tag; for a digest, checks that it exists (section "Checking if content exists in the
    /// registry"). Always sends a request.
    pub async fn digest(&self, repository: &Repository, version: &Version) -> Result<Digest, RegistryError> {
        if let Some(chart) = self.chart(repository) {
            return chart.digest(version).await;
        }
        let endpoints = self.endpoints(repository)?;
        if let Some(mirror) = endpoints.trusted_mirror() {
            match self.digest_at(mirror, repository, version).await {
                Ok(digest) => return Ok(digest),
                Err(error) => mirror.log_skipped(&error),
            }
        }
        self.digest_at(&endpoints.origin, repository, version).await
    }

    /// Checks that a credential can pull an image. `from` names where the credential comes from.
    pub async fn check_credential(
        &self,
        repository: &Repository,
        version: &Version,
        credential: Credential,
        from: String,
    ) -> Result<(), RegistryError> {
        let endpoint = self.endpoint_with_credential(repository, credential, from)?;
        self.digest_at(&endpoint, repository, version).await.map(drop)
    }

    async fn digest_at(
        &self,
        endpoint: &Endpoint,
        repository: &Repository,
        version: &Version,
    ) -> Result<Digest, RegistryError> {
        let request = endpoint.request(Method::HEAD, &manifest_name(version), ACCEPT, MANIFEST_LIMIT);
        let response = endpoint.send(&request).await?;
        check_found(repository, version, &response)?;
        match header(&response, "docker-content-digest").map(|text| text.parse()) {
            Some(Ok(digest)) => consistent(version, digest, repository, &request.target),
            Some(Err(_)) => Err(invalid_response(
                repository,
                &request.target,
                "its Docker-Content-Digest is not a valid digest".to_owned(),
            )),
            // The header is optional; without it, the digest is that of the bytes.
            None => Ok(self.manifest_at(endpoint, repository, version).await?.digest),
        }
    }

    /// Fetches a manifest or index and verifies its bytes against the requested or claimed digest. A mirror may serve
    /// it by digest; the digest of a tag comes from the registry itself.
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
                mirror.log_skipped(&error);
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
        let (response, _slot) = endpoint.send_with_memory(&request).await?;
        check_found(repository, version, &response)?;
        let target = &request.target;
        let claimed = header(&response, "docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        let expected = version.digest.clone().or(claimed);
        let digest = match expected {
            Some(expected) => {
                let actual = digest_of(&response.body, &expected);
                if actual != expected {
                    return Err(invalid_response(
                        repository,
                        target,
                        format!("its bytes hash to {actual}, not to {expected}"),
                    ));
                }
                expected
            }
            None => sha256(&response.body),
        };
        let manifest: Manifest = serde_json::from_slice(&response.body)
            .map_err(|error| invalid_response(repository, target, format!("not a manifest ({error})")))?;
        if manifest.is_neither() {
            return Err(invalid_response(repository, target, "it is neither a manifest nor an index".to_owned()));
        }
        if let Some(problem) = manifest.excess() {
            return Err(invalid_response(repository, target, problem));
        }
        Ok(FetchedManifest { digest, size: response.body.len() as u64, manifest })
    }

    /// Fetches an image config; `None` if the registry does not have it.
    pub(super) async fn image_config(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<FetchedConfig>, RegistryError> {
        let endpoints = self.endpoints(repository)?;
        if let Some(mirror) = &endpoints.mirror {
            match self.image_config_at(mirror, repository, digest).await {
                Ok(Some(read)) => return Ok(Some(read)),
                Ok(None) => {}
                Err(error) => mirror.log_skipped(&error),
            }
        }
        self.image_config_at(&endpoints.origin, repository, digest).await
    }

    async fn image_config_at(
        &self,
        endpoint: &Endpoint,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<FetchedConfig>, RegistryError> {
        let request = endpoint.request(Method::GET, &format!("blobs/{digest}"), "*/*", IMAGE_CONFIG_LIMIT);
        let (response, _slot) = endpoint.send_with_memory(&request).await?;
        match response.status {
            StatusCode::NOT_FOUND => Ok(None),
            status if !status.is_success() => Err(not_a_registry(repository.host(), &response)),
            _ if digest_of(&response.body, digest) != *digest => {
                Err(invalid_response(repository, &request.target, "its bytes do not hash to its digest".to_owned()))
            }
            _ => {
                let config = ImageConfig::read(&response.body).map_err(|error| {
                    invalid_response(repository, digest.as_str(), format!("not an image config ({error})"))
                });
                Ok(Some(FetchedConfig { config, size: response.body.len() as u64 }))
            }
        }
    }
}

/// Checks that the digest in the response is the one that was requested.
fn consistent(
    version: &Version,
    digest: Digest,
    repository: &Repository,
    target: &str,
) -> Result<Digest, RegistryError> {
    match &version.digest {
        Some(requested) if *requested != digest => {
            Err(invalid_response(repository, target, format!("it claims to be {digest}, not {requested}")))
        }
        _ => Ok(digest),
    }
}

/// Checks that a response to a request for a manifest is a success.
pub(super) fn check_found(
    repository: &Repository,
    version: &Version,
    response: &Response,
) -> Result<(), RegistryError> {
    match response.status {
        status if status.is_success() && !is_html(response) => Ok(()),
        StatusCode::NOT_FOUND => {
            let reference = Reference { repository: repository.clone(), version: version.clone() };
            Err(RegistryError::NoImage { image: reference.to_string() })
        }
        _ => Err(not_a_registry(repository.host(), response)),
    }
}

/// The path of a manifest: by digest if there is one, as container runtimes do.
pub(super) fn manifest_name(version: &Version) -> String {
    let reference = match (&version.digest, &version.tag) {
        (Some(digest), _) => digest.as_str(),
        (None, Some(tag)) => tag.as_str(),
        (None, None) => "latest",
    };
    format!("manifests/{reference}")
}

/// Parses a digest that a manifest refers to.
pub(super) fn parse_digest(repository: &Repository, text: &str) -> Result<Digest, RegistryError> {
    text.parse().map_err(|_| {
        invalid_response(repository, "a manifest", format!("it refers to `{text}`, which is not a valid digest"))
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest::sha256(&hex(&Sha256::digest(bytes)))
}

/// The digest of bytes, with the algorithm of another digest.
pub(super) fn digest_of(bytes: &[u8], like: &Digest) -> Digest {
    if like.as_str().starts_with("sha512:") { Digest::sha512(&hex(&Sha512::digest(bytes))) } else { sha256(bytes) }
}
