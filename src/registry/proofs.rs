//! Fetches what may prove the origin of an image: signatures and attestations, in the forms in which cosign 2 and 3 store
//! them. Nothing of it is verified here except digests and sizes.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use crate::http::client::Response;
use crate::image::{Digest, Repository, Tag, Version};
use crate::sigstore::material::{Content, MAX_BYTES, MAX_COUNT, Material};
use crate::sigstore::requirement::PredicateType;

use super::bounded::{List, Text};
use super::client::Client;
use super::content::{check_found, digest_of, manifest_name, parse_digest};
use super::endpoint::{Endpoint, SMALL};
use super::error::RegistryError;
use super::listed_manifests;
use super::manifest::ACCEPT;
use super::memory::Slot;
use super::proof_places::Place;
use super::referrers::Referrer;
use super::response::{invalid_response, not_a_registry};

/// The beginning of the media types of Sigstore bundles.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// The media type of signatures of cosign 2.
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The media type of attestations of cosign 2.
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
/// The beginning of the types of artifacts that cosign 2 can store as referrers.
const COSIGN_ARTIFACT: &str = "application/vnd.dev.cosign.artifact.";
/// The annotations that name the predicate type of an attestation.
const BUNDLE_PREDICATE: &str = "dev.sigstore.bundle.predicateType";
const ENVELOPE_PREDICATE: &str = "predicateType";
/// The predicate type of signatures in bundles.
const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// The largest manifest of signatures that is read, in bytes. Certificates and log entries are in its annotations.
const MANIFEST_LIMIT: usize = 2 << 20;
/// The most artifacts whose manifests are read for an image.
const ARTIFACTS: usize = 32;
/// The number of requests for the parts of one image that are sent at a time.
const CONCURRENCY: usize = 4;
/// The longest media type or digest that is kept, in bytes.
const LONGEST: usize = 1024;
/// The most manifests of platforms that are looked at, if an index itself is not signed.
const PLATFORMS: usize = 32;

/// What to look for. Anything else is not fetched, as far as a registry says what it is.
#[derive(Debug, Clone, Copy)]
pub struct Kinds<'k> {
    /// The attestations that are wanted; none if empty.
    pub attestations: &'k [PredicateType],
}

/// The signatures and attestations of an image, as far as they have been fetched.
#[derive(Debug)]
pub struct Proofs<'c> {
    client: &'c Client,
    repository: &'c Repository,
    kinds: Kinds<'c>,
    /// What was found, with the digest of the manifest that it was stored for.
    pub material: Vec<(Digest, Material)>,
    /// What was left out, and why.
    pub omitted: Vec<String>,
    /// The memory for it, if it is large.
    slot: Option<Slot>,
    /// The size of it, in bytes.
    bytes: u64,
}

/// A manifest of signatures or attestations.
#[derive(Debug, Deserialize)]
struct Artifact {
    layers: Option<List<Layer, MAX_COUNT>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    #[serde(default)]
    media_type: Text<LONGEST>,
    digest: Text<LONGEST>,
    size: u64,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

/// A layer that is wanted, and the place where it was found.
struct Part {
    digest: Digest,
    size: u64,
    place: String,
    media_type: String,
    annotations: BTreeMap<String, String>,
}

impl Kinds<'_> {
    fn wants(&self, predicate: Option<&str>) -> bool {
        match predicate {
            None | Some(SIGNATURE) => true,
            Some(other) => self.attestations.iter().any(|wanted| wanted.covers(other)),
        }
    }

    fn wants_artifact(&self, referrer: &Referrer) -> bool {
        let kind = referrer.artifact_type();
        // Clients that keep the list under a tag need not copy the type.
        let may_be = kind.is_empty() || kind.starts_with(BUNDLE) || kind.starts_with(COSIGN_ARTIFACT);
        may_be && self.wants(referrer.annotation(BUNDLE_PREDICATE))
    }
}

impl Client {
    /// Begins to collect the signatures and attestations of an image.
    pub fn proofs<'c>(&'c self, repository: &'c Repository, kinds: Kinds<'c>) -> Proofs<'c> {
        let (material, omitted) = (Vec::new(), Vec::new());
        Proofs { client: self, repository, kinds, material, omitted, slot: None, bytes: 0 }
    }

    /// The places where signatures may be, in the order in which to look: first where the repository had them the last
    /// time.
    pub fn places_of_proofs(&self, repository: &Repository) -> [Place; 2] {
        self.proof_places().in_order(repository)
    }

    /// Takes note of the place where a repository has its signatures.
    pub fn note_place_of_proofs(&self, repository: &Repository, place: Place) {
        self.proof_places().found(repository, place);
    }
}

impl Proofs<'_> {
    /// The manifests that an index lists, which prove its origin if each of them is proven; none if it is not an index.
    ///
    /// # Errors
    /// The registry cannot be asked.
    pub async fn listed_manifests(&mut self, digest: &Digest) -> Result<Vec<Digest>, RegistryError> {
        let version = Version { tag: None, digest: Some(digest.clone()) };
        let Some(stored) = stored(self.client, self.repository, &version).await? else { return Ok(Vec::new()) };
        let listed = match listed_manifests::digests(&stored.response.body) {
            Ok(listed) => listed.unwrap_or_default(),
            Err(reason) => {
                self.omitted.push(format!("the platforms of {digest} prove nothing: {reason}"));
                return Ok(Vec::new());
            }
        };
        if listed.len() > PLATFORMS {
            self.omitted.push(format!("{digest} lists {} manifests; at most {PLATFORMS} are looked at", listed.len()));
            return Ok(Vec::new());
        }
        listed.iter().map(|digest| parse_digest(self.repository, digest)).collect()
    }

    /// Fetches what one place has about a manifest.
    ///
    /// # Errors
    /// The registry cannot be asked. What it has lost, or what makes no sense, is left out: it must not hide what is at the
    /// other place.
    pub async fn fetch(&mut self, place: Place, digest: &Digest) -> Result<(), RegistryError> {
        let found = self.fetch_now(place, digest).await;
        self.omitted.extend(omit_if_it_concerns_the_image(found)?.err());
        Ok(())
    }

    async fn fetch_now(&mut self, place: Place, digest: &Digest) -> Result<(), RegistryError> {
        let parts = match place {
            Place::Referrers => self.parts_of_referrers(digest).await?,
            Place::Tags => self.parts_of_tags(digest).await?,
        };
        let parts = self.within_limits(parts);
        self.bytes += parts.iter().map(|part| part.size).sum::<u64>();
        if self.bytes > SMALL as u64 && self.slot.is_none() {
            self.slot = Some(self.client.host(self.repository.host())?.memory().proofs.acquire().await);
        }
        let (client, repository) = (self.client, self.repository);
        let fetches: Vec<_> = parts.into_iter().map(|part| fetch_part(client, repository, part)).collect();
        let found: Vec<_> = stream::iter(fetches).buffered(CONCURRENCY).try_collect().await?;
        for found in found {
            match found {
                Ok(material) => self.material.push((digest.clone(), material)),
                Err(omitted) => self.omitted.push(omitted),
            }
        }
        Ok(())
    }

    /// The layers of the artifacts that refer to a manifest.
    async fn parts_of_referrers(&mut self, digest: &Digest) -> Result<Vec<Part>, RegistryError> {
        let listed = self.client.referrers(self.repository, digest).await?;
        let mut wanted: Vec<_> = listed.iter().filter(|referrer| self.kinds.wants_artifact(referrer)).collect();
        if wanted.len() > ARTIFACTS {
            self.omitted.push(format!("{digest} has {} signatures; {ARTIFACTS} are looked at", wanted.len()));
            wanted.truncate(ARTIFACTS);
        }
        let mut digests = Vec::new();
        for referrer in wanted {
            digests.push(parse_digest(self.repository, referrer.digest())?);
        }
        let (client, repository) = (self.client, self.repository);
        let fetches: Vec<_> = digests
            .into_iter()
            .map(|digest| async move {
                let version = Version { tag: None, digest: Some(digest) };
                let found = artifact(client, repository, &version).await;
                omit_if_it_concerns_the_image(found.map(|artifact| (version, artifact)))
            })
            .collect();
        let found: Vec<_> = stream::iter(fetches).buffered(CONCURRENCY).try_collect().await?;
        let mut parts = Vec::new();
        for found in found {
            match found {
                Ok((version, Some(artifact))) => parts.extend(self.parts_of(artifact, &version)?),
                Ok((version, None)) => self.omitted.push(format!("the registry lists {version}, but does not have it")),
                Err(omitted) => self.omitted.push(omitted),
            }
        }
        Ok(parts)
    }

    /// The layers of the manifests below the tags of cosign 2.
    async fn parts_of_tags(&mut self, digest: &Digest) -> Result<Vec<Part>, RegistryError> {
        let mut parts = Vec::new();
        let suffixes = [Some("sig"), (!self.kinds.attestations.is_empty()).then_some("att")];
        for suffix in suffixes.into_iter().flatten() {
            let name = format!("{}.{suffix}", digest.as_str().replace(':', "-"));
            // The digits of a longer digest do not fit into a tag, so nobody signs these that way.
            let Ok(tag) = name.parse::<Tag>() else { continue };
            let version = Version { tag: Some(tag), digest: None };
            if let Some(artifact) = artifact(self.client, self.repository, &version).await? {
                parts.extend(self.parts_of(artifact, &version)?);
            }
        }
        Ok(parts)
    }

    /// The layers of a manifest that are wanted.
    fn parts_of(&mut self, artifact: Artifact, version: &Version) -> Result<Vec<Part>, RegistryError> {
        // Lists that clients keep under a tag do not say what a bundle is about, but its manifest does.
        let annotations = artifact.annotations.unwrap_or_default();
        let is_wanted = self.kinds.wants(annotations.get(BUNDLE_PREDICATE).map(String::as_str));
        let Some(layers) = artifact.layers.filter(|_| is_wanted) else { return Ok(Vec::new()) };
        if layers.count > layers.kept.len() {
            self.omitted.push(format!("{version} has {} layers; {} are looked at", layers.count, layers.kept.len()));
        }
        let mut parts = Vec::new();
        for (index, layer) in layers.kept.into_iter().enumerate() {
            let media_type = layer.media_type.0;
            let annotations = layer.annotations.unwrap_or_default();
            let is_wanted = match media_type.as_str() {
                SIMPLE_SIGNING => true,
                ENVELOPE => {
                    let predicate = annotations.get(ENVELOPE_PREDICATE).map(String::as_str);
                    !self.kinds.attestations.is_empty() && self.kinds.wants(predicate)
                }
                other => other.starts_with(BUNDLE),
            };
            if is_wanted {
                let digest = parse_digest(self.repository, &layer.digest.0)?;
                let place = format!("{version}, layer {}", index + 1);
                parts.push(Part { digest, size: layer.size, place, media_type, annotations });
            }
        }
        Ok(parts)
    }

    /// The parts that fit into the limits of an image, with those that were fetched before.
    fn within_limits(&mut self, parts: Vec<Part>) -> Vec<Part> {
        let (mut count, mut bytes) = (self.material.len(), self.bytes);
        let mut fitting = Vec::new();
        for part in parts {
            let size = bytes.saturating_add(part.size);
            if size > MAX_BYTES as u64 || count >= MAX_COUNT {
                self.omitted.push(format!(
                    "{} was not read: at most {MAX_COUNT} signatures and attestations of together {} MiB are read",
                    part.place,
                    MAX_BYTES >> 20
                ));
                continue;
            }
            (count, bytes) = (count + 1, size);
            fitting.push(part);
        }
        fitting
    }
}

/// A manifest as it is stored, with the memory for it.
struct Stored {
    response: Arc<Response>,
    _slot: Option<Slot>,
}

/// Fetches a manifest of signatures or attestations; `None` if there is none.
async fn artifact(
    client: &Client,
    repository: &Repository,
    version: &Version,
) -> Result<Option<Artifact>, RegistryError> {
    let Some(stored) = stored(client, repository, version).await? else { return Ok(None) };
    let read = serde_json::from_slice(&stored.response.body);
    let target = manifest_name(version);
    read.map(Some).map_err(|error| invalid_response(repository, &target, format!("not a manifest ({error})")))
}

/// Fetches a manifest; `None` if there is none.
async fn stored(client: &Client, repository: &Repository, version: &Version) -> Result<Option<Stored>, RegistryError> {
    let endpoints = client.endpoints(repository)?;
    if let Some(mirror) = endpoints.trusted_mirror() {
        match stored_at(mirror, repository, version).await {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) => {}
            Err(error) => mirror.log_skipped(&error),
        }
    }
    stored_at(&endpoints.origin, repository, version).await
}

async fn stored_at(
    endpoint: &Endpoint,
    repository: &Repository,
    version: &Version,
) -> Result<Option<Stored>, RegistryError> {
    let request = endpoint.request(Method::GET, &manifest_name(version), ACCEPT, MANIFEST_LIMIT);
    let (response, slot) = endpoint.send_with_memory(&request).await?;
    match check_found(repository, version, &response) {
        Err(error) if error.is_not_found() => return Ok(None),
        checked => checked?,
    }
    if let Some(digest) = &version.digest
        && digest_of(&response.body, digest) != *digest
    {
        return Err(invalid_response(repository, &request.target, "its bytes do not hash to its digest".to_owned()));
    }
    Ok(Some(Stored { response, _slot: slot }))
}

/// Fetches a layer. Returns the reason if only this layer cannot be used.
async fn fetch_part(
    client: &Client,
    repository: &Repository,
    part: Part,
) -> Result<Result<Material, String>, RegistryError> {
    let endpoints = client.endpoints(repository)?;
    if let Some(mirror) = &endpoints.mirror {
        match part_at(mirror, repository, &part).await {
            Ok(Some(bytes)) => return Ok(Ok(material(part, bytes))),
            Ok(None) => {}
            Err(error) => mirror.log_skipped(&error),
        }
    }
    match omit_if_it_concerns_the_image(part_at(&endpoints.origin, repository, &part).await)? {
        Ok(Some(bytes)) => Ok(Ok(material(part, bytes))),
        Ok(None) => Ok(Err(format!("{} is missing in the registry", part.place))),
        Err(reason) => Ok(Err(reason)),
    }
}

async fn part_at(endpoint: &Endpoint, repository: &Repository, part: &Part) -> Result<Option<Vec<u8>>, RegistryError> {
    let limit = usize::try_from(part.size).unwrap_or(MAX_BYTES).min(MAX_BYTES);
    let request = endpoint.request(Method::GET, &format!("blobs/{}", part.digest), "*/*", limit);
    let response = endpoint.send(&request).await?;
    match response.status {
        StatusCode::NOT_FOUND => Ok(None),
        status if !status.is_success() => Err(not_a_registry(repository.host(), &response)),
        _ if digest_of(&response.body, &part.digest) != part.digest => {
            Err(invalid_response(repository, &request.target, "its bytes do not hash to its digest".to_owned()))
        }
        _ => Ok(Some(response.body.to_vec())),
    }
}

fn material(part: Part, bytes: Vec<u8>) -> Material {
    let content = match part.media_type.as_str() {
        SIMPLE_SIGNING => Content::SimpleSigning { payload: bytes, annotations: part.annotations },
        ENVELOPE => Content::Envelope { envelope: bytes, annotations: part.annotations },
        _ => Content::Bundle { bytes },
    };
    Material { place: part.place, content }
}

/// Turns an error about this one piece into the reason why it is left out: a broken signature must not hide a good one.
fn omit_if_it_concerns_the_image<T>(result: Result<T, RegistryError>) -> Result<Result<T, String>, RegistryError> {
    match result {
        Ok(found) => Ok(Ok(found)),
        Err(error) if error.concerns_image() => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}
