//! Lists the tags of a repository (OCI distribution specification 1.1, section "Listing Tags").

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use reqwest::header::ETAG;
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use crate::http::next_link;
use crate::image::{Repository, Tag};

use super::client::Client;
use super::endpoint::Endpoint;
use super::error::RegistryError;
use super::listing::{Fingerprint, Listing, Page, hash};
use super::response::{header, invalid_response, is_html, is_registry_error, not_a_registry};
use super::transport::Response;

/// The largest page of tags that is read, in bytes.
const PAGE_LIMIT: usize = 16 << 20;
/// The most pages that are read; more are taken for a loop.
const PAGES: usize = 2_000;

#[derive(Deserialize)]
struct TagPage {
    tags: Option<Vec<String>>,
}

/// The tags of a repository, as listed.
#[derive(Debug, Clone)]
pub struct TagList {
    /// Identifies this listing.
    pub fingerprint: Fingerprint,
    /// The tags, in the registry's order; `None` if the listing is the known one.
    pub tags: Option<Vec<Tag>>,
}

impl Client {
    /// All tags of a repository, in the registry's order. Pages are followed through `Link`, whatever their size; names
    /// that are not valid tags are omitted. If the registry supports ETags, only changed pages are transferred again.
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        Ok(self.list(repository, None).await?.tags.unwrap_or_default())
    }

    /// The same, without the tags if the listing is the `known` one: then the cached tags are not read.
    pub async fn list(&self, repository: &Repository, known: Option<Fingerprint>) -> Result<TagList, RegistryError> {
        let endpoints = self.endpoints(repository)?;
        if let Some(mirror) = endpoints.trusted_mirror() {
            match self.list_at(mirror, repository, known).await {
                Ok(listed) => return Ok(listed),
                Err(error) => mirror.log_skipped(&error),
            }
        }
        self.list_at(&endpoints.origin, repository, known).await
    }

    /// The tags of a repository as last listed. Sends no request.
    pub fn last_listed(&self, repository: &Repository) -> Option<Vec<Tag>> {
        let pages = self.cache().listing(repository)?.pages.len();
        Some(Found::of(&self.cache().listed(repository, pages)?).tags)
    }

    async fn list_at(
        &self,
        endpoint: &Endpoint,
        repository: &Repository,
        known: Option<Fingerprint>,
    ) -> Result<TagList, RegistryError> {
        let before = self.cache().listing(repository).filter(|before| before.host == endpoint.host.name());
        if let Some(before) = before {
            let mut walk = Walk::new(self, endpoint, repository, before);
            if let Some(listed) = walk.follow(known).await? {
                return Ok(listed);
            }
        }
        // The cached listing is incomplete.
        let mut walk = Walk::new(self, endpoint, repository, Listing::default());
        let listed = walk.follow(known).await?;
        listed.ok_or_else(|| {
            invalid_response(
                repository,
                "tags/list",
                "it reports a page as unchanged that was never requested".to_owned(),
            )
        })
    }
}

/// The distinct tags found so far.
#[derive(Debug, Default)]
struct Found {
    seen: HashSet<Tag>,
    tags: Vec<Tag>,
}

impl Found {
    fn of(pages: &[Vec<Tag>]) -> Found {
        let mut found = Found::default();
        for page in pages {
            found.add(page.clone());
        }
        found
    }

    /// Adds a page; returns whether it has any new tags.
    fn add(&mut self, page: Vec<Tag>) -> bool {
        let before = self.tags.len();
        self.tags.extend(page.into_iter().filter(|tag| self.seen.insert(tag.clone())));
        self.tags.len() > before
    }
}

/// A page as just fetched.
enum FetchedPage {
    /// The page is unchanged.
    Same(Page),
    /// The page is new or has changed, with these tags.
    New(Page, Vec<Tag>),
}

/// A walk through the pages of a listing.
struct Walk<'w> {
    client: &'w Client,
    endpoint: &'w Endpoint,
    repository: &'w Repository,
    before: Listing,
    now: Listing,
    /// The tags of the pages so far, once one of them has changed.
    found: Option<Found>,
    /// The tags of changed pages.
    changed: HashMap<usize, Vec<Tag>>,
    /// The cached tags of all pages, once they have been read.
    cached: Option<Vec<Vec<Tag>>>,
}

impl<'w> Walk<'w> {
    fn new(client: &'w Client, endpoint: &'w Endpoint, repository: &'w Repository, before: Listing) -> Walk<'w> {
        let now = Listing { host: endpoint.host.name().to_owned(), pages: Vec::new() };
        Walk { client, endpoint, repository, before, now, found: None, changed: HashMap::new(), cached: None }
    }

    /// Follows the pages to the end; `None` if the cached pages are incomplete.
    async fn follow(&mut self, known: Option<Fingerprint>) -> Result<Option<TagList>, RegistryError> {
        let mut visited = HashSet::new();
        let mut target = self.endpoint.target("tags/list");
        while visited.insert(target.clone()) {
            if visited.len() > PAGES {
                let reason = format!("the list of tags has more than {PAGES} pages");
                return Err(invalid_response(self.repository, &target, reason));
            }
            let page = self.fetch(target).await?;
            let Some(next) = self.take(page) else { return Ok(None) };
            match next {
                Some(next) => target = next,
                None => break,
            }
        }
        let cache = self.client.cache();
        if self.now == self.before {
            cache.touch(self.repository, &self.now);
        } else {
            cache.store_listing(self.repository, &self.now, &self.changed);
        }
        if let Some(found) = &self.found {
            cache.retain_tags(self.repository, &found.seen);
        }
        let fingerprint = self.now.fingerprint();
        if known == Some(fingerprint) {
            return Ok(Some(TagList { fingerprint, tags: None }));
        }
        let found = self.found.take().map(|found| found.tags);
        let tags = found.or_else(|| self.client.last_listed(self.repository));
        Ok(tags.map(|tags| TagList { fingerprint, tags: Some(tags) }))
    }

    async fn fetch(&self, target: String) -> Result<FetchedPage, RegistryError> {
        let known = self.before.pages.get(self.now.pages.len()).filter(|page| page.target == target);
        let mut request = self.endpoint.request(Method::GET, "tags/list", "application/json", PAGE_LIMIT);
        request.target = target;
        request.if_none_match = known.and_then(|page| page.etag.clone());
        let response = self.endpoint.send(&request).await?;
        let link = next_link(&response.headers);
        let link = link.and_then(|link| self.endpoint.host.target_of_link(&response.url, &link));
        match known {
            // A registry whose ETag covers only the names sends no link to the next page.
            Some(page) if response.status == StatusCode::NOT_MODIFIED => {
                Ok(FetchedPage::Same(Page { link: link.or_else(|| page.link.clone()), ..page.clone() }))
            }
            known => self.read(known, request.target, link, &response),
        }
    }

    fn read(
        &self,
        known: Option<&Page>,
        target: String,
        link: Option<String>,
        response: &Arc<Response>,
    ) -> Result<FetchedPage, RegistryError> {
        match response.status {
            StatusCode::OK if !is_html(response) => {}
            StatusCode::NOT_FOUND if is_registry_error(response) => {
                return Err(RegistryError::NoRepository(self.repository.clone()));
            }
            _ => return Err(not_a_registry(self.repository.host(), response)),
        }
        let etag = header(response, ETAG.as_str()).filter(|etag| !etag.is_empty()).map(str::to_owned);
        let hash = hash(&response.body);
        if let Some(page) = known.filter(|page| page.hash == hash) {
            return Ok(FetchedPage::Same(Page { etag, link, ..page.clone() }));
        }
        let listed: TagPage = serde_json::from_slice(&response.body)
            .map_err(|error| invalid_response(self.repository, &target, format!("not a list of tags ({error})")))?;
        let tags = listed.tags.unwrap_or_default().iter().filter_map(|name| name.parse().ok()).collect();
        Ok(FetchedPage::New(Page { target, etag, hash, link, is_last: false }, tags))
    }

    /// Adds a page; returns the next target, and `None` if the cached pages are incomplete.
    #[expect(clippy::option_option, reason = "the end of the list is not a failure")]
    fn take(&mut self, page: FetchedPage) -> Option<Option<String>> {
        let place = self.now.pages.len();
        let (mut page, tags) = match page {
            FetchedPage::Same(page) if self.found.is_none() => {
                let next = page.next().cloned();
                self.now.pages.push(page);
                return Some(next);
            }
            FetchedPage::Same(page) => (page, self.cached()?.get(place)?.clone()),
            FetchedPage::New(page, tags) => {
                self.changed.insert(place, tags.clone());
                (page, tags)
            }
        };
        if self.found.is_none() {
            let pages = if place > 0 { self.cached()?.get(..place)? } else { &[] };
            self.found = Some(Found::of(pages));
        }
        // A page without new tags is the last, even if the registry keeps linking to it.
        page.is_last = !self.found.as_mut()?.add(tags);
        let next = page.next().cloned();
        self.now.pages.push(page);
        Some(next)
    }

    /// The cached tags of all pages.
    fn cached(&mut self) -> Option<&Vec<Vec<Tag>>> {
        if self.cached.is_none() {
            self.cached = self.client.cache().listed(self.repository, self.before.pages.len());
        }
        self.cached.as_ref()
    }
}
