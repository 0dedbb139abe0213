//! When tags were pushed. The distribution API does not report that, but the API of the registry product does:
//!
//! - Gitea and Forgejo: `GET /api/v1/packages/{owner}?type=container&q={name}`, `created_at` of each version in whole
//!   seconds, and its `id`, which tells the order within a second (their swagger, operation `listPackages`)
//! - Harbor: `GET /api/v2.0/projects/{project}/repositories/{repository}/artifacts`, `push_time` of each tag (its
//!   swagger, operation `listArtifacts`; slashes in a repository are encoded twice)
//! - Docker Hub: `GET /v2/namespaces/{namespace}/repositories/{repository}/tags`, `tag_last_pushed` (its API reference,
//!   operation `ListRepositoryTags`)
//!
//! All three list the newest first, so pages are read until every wanted tag has been seen.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::clock;
use crate::http::client::Response;
use crate::http::encode_path_segment;
use crate::image::{DEFAULT_HOST, Repository, Tag};
use crate::policy::dates::is_ahead;

use super::bounded::{List, Text};
use super::client::Client;
use super::config::Api;
use super::error::RegistryError;
use super::host::{Authentication, HUB_API, Request};
use super::response::{invalid_response, not_a_registry};

/// The largest page that is read, in bytes.
const PAGE_LIMIT: usize = 4 << 20;
/// The most entries of a page that are read. Pages of at most 100 are requested.
const ENTRIES: usize = 1_000;
/// The most pages that are read.
const PAGES: usize = 200;

/// A name of a package or a tag, neither of which can be longer.
type Name = Text<256>;

/// The number of nanoseconds in a second.
const NANOSECONDS: u64 = 1_000_000_000;

/// A version of a package (Gitea, `Package`).
#[derive(Deserialize)]
struct Package {
    id: Option<u64>,
    name: Name,
    version: Name,
    created_at: Timestamp,
}

/// An artifact and its tags (Harbor, `Artifact` and `Tag`).
#[derive(Deserialize)]
struct Artifact {
    tags: Option<List<HarborTag, ENTRIES>>,
}

#[derive(Deserialize)]
struct HarborTag {
    name: Name,
    push_time: Option<Timestamp>,
}

/// A page of tags (Docker Hub, `paginated_tags`).
#[derive(Deserialize)]
struct HubPage {
    results: List<HubTag, ENTRIES>,
}

#[derive(Deserialize)]
struct HubTag {
    name: Name,
    tag_last_pushed: Option<Timestamp>,
    last_updated: Option<Timestamp>,
}

impl Package {
    /// Returns when it was pushed. Versions are numbered as they are pushed, so the number of one becomes the fraction of
    /// its second: the order of what was pushed within a second is then known without another field.
    fn pushed(&self) -> Timestamp {
        let at = self.created_at;
        let fraction = self.id.and_then(|id| i32::try_from(id % NANOSECONDS).ok()).unwrap_or_default();
        if at.subsec_nanosecond() == 0 { Timestamp::new(at.as_second(), fraction).unwrap_or(at) } else { at }
    }
}

impl Client {
    /// Returns whether the registry of an image reports push times, according to the configuration.
    pub fn reports_push_times(&self, repository: &Repository) -> bool {
        self.api(repository).is_some()
    }

    /// The push times of the wanted tags, as far as the registry's API reports them. They are cached: a known tag is
    /// assumed not to have moved. A time in the future is not cached.
    pub async fn push_times(
        &self,
        repository: &Repository,
        wanted: &BTreeSet<&Tag>,
    ) -> Result<BTreeMap<Tag, Timestamp>, RegistryError> {
        self.within_time(repository, "reporting push times", self.push_times_now(repository, wanted)).await
    }

    async fn push_times_now(
        &self,
        repository: &Repository,
        wanted: &BTreeSet<&Tag>,
    ) -> Result<BTreeMap<Tag, Timestamp>, RegistryError> {
        let known = self.cache().pushes(repository).into_iter();
        let mut found: BTreeMap<Tag, Timestamp> = known.filter(|(tag, _)| wanted.contains(tag)).collect();
        let Some(api) = self.api(repository) else { return Ok(found) };
        let host = self.host(if repository.host() == DEFAULT_HOST { HUB_API } else { repository.host() })?;
        let (mut seen, mut new, now) = (BTreeSet::new(), Vec::new(), clock::now());
        for page in 1..=PAGES {
            if wanted.iter().all(|tag| found.contains_key(*tag)) {
                break;
            }
            let request = api.request(repository, page);
            let response = host.send(&request).await?;
            let before = seen.len();
            for (name, at) in api.page(repository, &request.target, page, &response)? {
                seen.insert(name.clone());
                if let (Ok(tag), Some(at)) = (name.parse::<Tag>(), at)
                    && wanted.contains(&tag)
                    && found.insert(tag.clone(), at).is_none()
                    && !is_ahead(at, now)
                {
                    new.push((tag, at));
                }
            }
            // A page with nothing new is the last.
            if seen.len() == before {
                break;
            }
        }
        self.cache().remember_pushes(repository, &new);
        Ok(found)
    }

    fn api(&self, repository: &Repository) -> Option<Api> {
        if repository.index().is_some() {
            return None;
        }
        let own = self.config().hosts.iter().find(|own| own.host == repository.host());
        let hub = (repository.host() == DEFAULT_HOST).then_some(Api::DockerHub);
        own.and_then(|own| own.api).or(hub)
    }
}

impl Api {
    fn request(self, repository: &Repository, page: usize) -> Request {
        let (owner, name) = repository.path().split_once('/').unwrap_or(("library", repository.path()));
        let (authentication, target) = match self {
            Api::Gitea => {
                let (owner, name) = (encode_path_segment(owner), encode_path_segment(name));
                let target = format!("/api/v1/packages/{owner}?type=container&q={name}&page={page}&limit=50");
                (Authentication::Basic, target)
            }
            Api::Harbor => {
                let (project, name) = (encode_path_segment(owner), encode_path_segment(&encode_path_segment(name)));
                let target = format!(
                    "/api/v2.0/projects/{project}/repositories/{name}/artifacts\
                     ?page={page}&page_size=100&with_tag=true&sort=-push_time"
                );
                (Authentication::Basic, target)
            }
            Api::DockerHub => {
                let (namespace, name) = (encode_path_segment(owner), encode_path_segment(name));
                let target = format!("/v2/namespaces/{namespace}/repositories/{name}/tags?page={page}&page_size=100");
                (Authentication::AccessToken, target)
            }
        };
        Request {
            method: Method::GET,
            target,
            accept: "application/json",
            scope: format!("repository:{}:pull", repository.path()),
            authentication,
            limit: PAGE_LIMIT,
            one_byte: false,
            if_none_match: None,
        }
    }

    /// The names on a page, each with its push time.
    fn page(
        self,
        repository: &Repository,
        target: &str,
        page: usize,
        response: &Response,
    ) -> Result<Vec<(String, Option<Timestamp>)>, RegistryError> {
        match response.status {
            status if status.is_success() => {}
            // Docker Hub responds with 404 after the last page.
            StatusCode::NOT_FOUND if page > 1 => return Ok(Vec::new()),
            StatusCode::NOT_FOUND => return Err(RegistryError::NoRepository(repository.clone())),
            _ => return Err(not_a_registry(repository.host(), response)),
        }
        let names = match self {
            Api::Gitea => {
                let name = repository.path().split_once('/').map_or("", |(_, name)| name);
                let versions =
                    all(repository, target, read::<List<Package, ENTRIES>>(repository, target, response)?)?.into_iter();
                // `q` matches every package whose name contains this one.
                let versions = versions.filter(|package| package.name.0.eq_ignore_ascii_case(name));
                versions.map(|package| (package.pushed(), package.version.0)).map(|(at, tag)| (tag, Some(at))).collect()
            }
            Api::Harbor => {
                let artifacts =
                    all(repository, target, read::<List<Artifact, ENTRIES>>(repository, target, response)?)?
                        .into_iter();
                let tags = artifacts.filter_map(|artifact| artifact.tags).flat_map(|tags| tags.kept);
                tags.map(|tag| (tag.name.0, tag.push_time)).collect()
            }
            Api::DockerHub => {
                let tags = all(repository, target, read::<HubPage>(repository, target, response)?.results)?.into_iter();
                tags.map(|tag| (tag.name.0, tag.tag_last_pushed.or(tag.last_updated))).collect()
            }
        };
        Ok(names)
    }
}

/// The entries of a page, unless it has far more than were requested.
fn all<T>(repository: &Repository, target: &str, list: List<T, ENTRIES>) -> Result<Vec<T>, RegistryError> {
    match list.count {
        ..=ENTRIES => Ok(list.kept),
        count => Err(invalid_response(repository, target, format!("it lists {count} entries, more than {ENTRIES}"))),
    }
}

fn read<T: DeserializeOwned>(repository: &Repository, target: &str, response: &Response) -> Result<T, RegistryError> {
    serde_json::from_slice(&response.body)
        .map_err(|error| invalid_response(repository, target, format!("it does not match the API ({error})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_version_decides_within_a_second() {
        let pushed = |id: &str, at: &str| {
            let text = format!(r#"{{ "id": {id}, "name": "app", "version": "v1", "created_at": "{at}" }}"#);
            serde_json::from_str::<Package>(&text).expect("a package").pushed().to_string()
        };
        assert_eq!(pushed("42", "2026-04-01T10:00:00Z"), "2026-04-01T10:00:00.000000042Z");
        assert_eq!(pushed("1000000042", "2026-04-01T12:00:00+02:00"), "2026-04-01T10:00:00.000000042Z");
        assert_eq!(pushed("42", "2026-04-01T10:00:00.5Z"), "2026-04-01T10:00:00.5Z");
        assert_eq!(pushed("null", "2026-04-01T10:00:00Z"), "2026-04-01T10:00:00Z");
    }
}
