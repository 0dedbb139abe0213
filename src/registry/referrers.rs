//! Artifacts that refer to an image, such as signatures (OCI distribution specification 1.1, sections "Listing Referrers"
//! and "Referrers Tag Schema").

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde::Deserialize;

use crate::http::client::Response;
use crate::http::next_link;
use crate::image::{Digest, Repository};

use super::bounded::{List, Text};
use super::client::Client;
use super::endpoint::Endpoint;
use super::error::RegistryError;
use super::host::Request;
use super::response::{invalid_response, is_html, not_a_registry};

/// The media type of lists of referrers.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The largest list that is read, in bytes.
const LIST_LIMIT: usize = 1 << 20;
/// The most referrers of an image that are looked at, over all pages.
const MOST: usize = 256;
/// The most pages of a list.
const PAGES: usize = 4;
/// The longest digest or type that is kept, in bytes: no valid one is longer.
const LONGEST: usize = 1024;
/// The digits of a digest that a fallback tag has.
const DIGITS: usize = 64;

/// An artifact that refers to an image, as it is listed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Referrer {
    digest: Text<LONGEST>,
    #[serde(default)]
    artifact_type: Text<LONGEST>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Referrers {
    manifests: Option<List<Referrer, MOST>>,
}

impl Referrer {
    /// Its digest as it is written, which may be anything.
    pub fn digest(&self) -> &str {
        &self.digest.0
    }

    /// Its type; empty if the list does not say.
    pub fn artifact_type(&self) -> &str {
        &self.artifact_type.0
    }

    /// One of its annotations.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }
}

/// A page of referrers, and the path and query of the next one.
struct Page {
    referrers: Vec<Referrer>,
    next: Option<String>,
}

impl Client {
    /// The artifacts that refer to a manifest; none if the registry knows of none. A registry that lacks the referrers API
    /// keeps them in an index with a tag.
    pub(super) async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<Referrer>, RegistryError> {
        let endpoints = self.endpoints(repository)?;
        if let Some(mirror) = endpoints.trusted_mirror() {
            match self.referrers_at(mirror, repository, digest).await {
                Ok(found) if !found.is_empty() => return Ok(found),
                Ok(_) => {}
                Err(error) => mirror.log_skipped(&error),
            }
        }
        self.referrers_at(&endpoints.origin, repository, digest).await
    }

    async fn referrers_at(
        &self,
        endpoint: &Endpoint,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<Referrer>, RegistryError> {
        let host = endpoint.host.name();
        if !self.without_referrers().contains(host) {
            match listed(endpoint, repository, digest).await? {
                // Before the registry had the API, clients kept the list under a tag.
                Some(found) if found.is_empty() => {}
                Some(found) => return Ok(found),
                None => self.without_referrers().add(host),
            }
        }
        let name = format!("manifests/{}", fallback_tag(digest));
        let page = page(endpoint, repository, endpoint.target(&name)).await?;
        Ok(page.map(|page| page.referrers).unwrap_or_default())
    }
}

/// Asks the referrers API; `None` if the registry lacks it.
async fn listed(
    endpoint: &Endpoint,
    repository: &Repository,
    digest: &Digest,
) -> Result<Option<Vec<Referrer>>, RegistryError> {
    let mut found = Vec::new();
    let mut next = Some(endpoint.target(&format!("referrers/{digest}")));
    for _ in 0..PAGES {
        let Some(target) = next.take() else { break };
        let Some(page) = page(endpoint, repository, target).await? else { return Ok(None) };
        found.extend(page.referrers.into_iter().take(MOST - found.len()));
        next = page.next.filter(|_| found.len() < MOST);
    }
    Ok(Some(found))
}

/// Requests a page of referrers; `None` if there is nothing of that name.
async fn page(endpoint: &Endpoint, repository: &Repository, target: String) -> Result<Option<Page>, RegistryError> {
    let request = Request { target, ..endpoint.request(Method::GET, "", INDEX, LIST_LIMIT) };
    let (response, _slot) = endpoint.send_with_memory(&request).await?;
    if is_absent(&response) {
        return Ok(None);
    }
    if !response.status.is_success() {
        return Err(not_a_registry(repository.host(), &response));
    }
    let read = serde_json::from_slice::<Referrers>(&response.body).ok().and_then(|read| read.manifests);
    let Some(listed) = read else {
        let reason = "it is not an index".to_owned();
        return Err(invalid_response(repository, &request.target, reason));
    };
    let next = next_link(&response.headers).and_then(|link| endpoint.host.target_of_link(&response.url, &link));
    Ok(Some(Page { referrers: listed.kept, next }))
}

/// Returns whether a response says that there is nothing of that name, or no such API. Some servers answer paths that
/// they do not know with a web page.
fn is_absent(response: &Response) -> bool {
    matches!(
        response.status,
        StatusCode::NOT_FOUND
            | StatusCode::BAD_REQUEST
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_ACCEPTABLE
            | StatusCode::NOT_IMPLEMENTED
    ) || is_html(response)
}

/// The tag below which clients keep the list for a registry that lacks the API.
fn fallback_tag(digest: &Digest) -> String {
    let (algorithm, hex) = digest.as_str().split_once(':').unwrap_or_default();
    format!("{algorithm}-{}", &hex[..hex.len().min(DIGITS)])
}
