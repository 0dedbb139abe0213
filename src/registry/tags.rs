//! All tags of a repository (OCI distribution specification 1.1, section "Listing Tags").

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use reqwest::header::ETAG;
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use crate::http::next_link;
use crate::image::{Repository, Tag};

use super::client::{Client, broken, header, is_html, is_registry_error, not_a_registry};
use super::endpoint::Endpoint;
use super::error::RegistryError;
use super::listing::{Fingerprint, Listing, Page, hash};
use super::transport::Response;

/// A page of tags is read up to this size, in bytes.
const PAGE_LIMIT: usize = 16 << 20;
/// More pages than this are no list but a loop.
const PAGES: usize = 2_000;

#[derive(Deserialize)]
struct TagPage {
    tags: Option<Vec<String>>,
}

/// What a registry lists.
#[derive(Debug, Clone)]
pub struct TagList {
    /// Tells this listing from others.
    pub fingerprint: Fingerprint,
    /// The tags, in the order of the registry; `None` where the listing is the one that is known.
    pub tags: Option<Vec<Tag>>,
}

impl Client {
    /// All tags of a repository, in the order of the registry. Pages are followed through `Link`, whatever the registry
    /// thinks of page sizes; names that are no tags are left out. Where the registry marks its pages (ETag), only those
    /// that changed are sent again.
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        Ok(self.list(repository, None).await?.tags.unwrap_or_default())
    }

    /// The same, without the tags where they are those of a listing that is known: then nothing is read but what the
    /// registry sends.
    pub async fn list(&self, repository: &Repository, known: Option<Fingerprint>) -> Result<TagList, RegistryError> {
        let endpoints = self.endpoints(repository)?;
        if let Some(mirror) = endpoints.trusted_mirror() {
            match self.list_at(mirror, repository, known).await {
                Ok(listed) => return Ok(listed),
                Err(error) => mirror.passed_over(&error),
            }
        }
        self.list_at(&endpoints.origin, repository, known).await
    }

    /// The tags of a repository as they were listed last. Asks nothing.
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
        // What was remembered is not all there.
        let mut walk = Walk::new(self, endpoint, repository, Listing::default());
        let listed = walk.follow(known).await?;
        listed.ok_or_else(|| {
            broken(repository, "tags/list", "it says that what was never read has not changed".to_owned())
        })
    }
}

/// The tags that were found so far.
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

    /// Adds a page; gives whether it brought anything new.
    fn add(&mut self, page: Vec<Tag>) -> bool {
        let before = self.tags.len();
        self.tags.extend(page.into_iter().filter(|tag| self.seen.insert(tag.clone())));
        self.tags.len() > before
    }
}

/// A page as it was asked for just now.
enum Asked {
    /// It is as it was.
    Same(Page),
    /// It is new, with these tags.
    New(Page, Vec<Tag>),
}

/// The way through the pages of a listing.
struct Walk<'w> {
    client: &'w Client,
    endpoint: &'w Endpoint,
    repository: &'w Repository,
    before: Listing,
    now: Listing,
    /// The tags of the pages so far, once one of them has changed.
    found: Option<Found>,
    /// The tags of pages that have changed.
    changed: HashMap<usize, Vec<Tag>>,
    /// The tags of all pages before, once they were read.
    remembered: Option<Vec<Vec<Tag>>>,
}

impl<'w> Walk<'w> {
    fn new(client: &'w Client, endpoint: &'w Endpoint, repository: &'w Repository, before: Listing) -> Walk<'w> {
        let now = Listing { host: endpoint.host.name().to_owned(), pages: Vec::new() };
        Walk { client, endpoint, repository, before, now, found: None, changed: HashMap::new(), remembered: None }
    }

    /// Follows the pages to the end; `None` where what was remembered of them does not suffice.
    async fn follow(&mut self, known: Option<Fingerprint>) -> Result<Option<TagList>, RegistryError> {
        let mut asked = HashSet::new();
        let mut target = self.endpoint.target("tags/list");
        while asked.insert(target.clone()) {
            if asked.len() > PAGES {
                let reason = format!("the list of tags goes on after {PAGES} pages");
                return Err(broken(self.repository, &target, reason));
            }
            let page = self.ask(target).await?;
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
            cache.keep_listing(self.repository, &self.now, &self.changed);
        }
        if let Some(found) = &self.found {
            cache.keep_listed(self.repository, &found.seen);
        }
        let fingerprint = self.now.fingerprint();
        if known == Some(fingerprint) {
            return Ok(Some(TagList { fingerprint, tags: None }));
        }
        let found = self.found.take().map(|found| found.tags);
        let tags = found.or_else(|| self.client.last_listed(self.repository));
        Ok(tags.map(|tags| TagList { fingerprint, tags: Some(tags) }))
    }

    async fn ask(&self, target: String) -> Result<Asked, RegistryError> {
        let known = self.before.pages.get(self.now.pages.len()).filter(|page| page.target == target);
        let mut request = self.endpoint.request(Method::GET, "tags/list", "application/json", PAGE_LIMIT);
        request.target = target;
        request.if_none_match = known.and_then(|page| page.etag.clone());
        let response = self.endpoint.send(&request).await?;
        let link = next_link(&response.headers);
        let link = link.and_then(|link| self.endpoint.host.target_of_link(&response.url, &link));
        match known {
            // A registry that marks the names alone has nothing to say on the page after them.
            Some(page) if response.status == StatusCode::NOT_MODIFIED => {
                Ok(Asked::Same(Page { link: link.or_else(|| page.link.clone()), ..page.clone() }))
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
    ) -> Result<Asked, RegistryError> {
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
            return Ok(Asked::Same(Page { etag, link, ..page.clone() }));
        }
        let listed: TagPage = serde_json::from_slice(&response.body)
            .map_err(|error| broken(self.repository, &target, format!("not a list of tags ({error})")))?;
        let tags = listed.tags.unwrap_or_default().iter().filter_map(|name| name.parse().ok()).collect();
        Ok(Asked::New(Page { target, etag, hash, link, is_last: false }, tags))
    }

    /// Takes a page; gives where to go on, and `None` where what was remembered does not suffice.
    #[expect(clippy::option_option, reason = "the end of the list is no failure")]
    fn take(&mut self, page: Asked) -> Option<Option<String>> {
        let place = self.now.pages.len();
        let (mut page, tags) = match page {
            Asked::Same(page) if self.found.is_none() => {
                let next = page.next().cloned();
                self.now.pages.push(page);
                return Some(next);
            }
            Asked::Same(page) => (page, self.remembered()?.get(place)?.clone()),
            Asked::New(page, tags) => {
                self.changed.insert(place, tags.clone());
                (page, tags)
            }
        };
        if self.found.is_none() {
            let pages = if place > 0 { self.remembered()?.get(..place)? } else { &[] };
            self.found = Some(Found::of(pages));
        }
        // A page that brings nothing new is the end, even where the registry links to it for ever.
        page.is_last = !self.found.as_mut()?.add(tags);
        let next = page.next().cloned();
        self.now.pages.push(page);
        Some(next)
    }

    /// The tags of all pages before.
    fn remembered(&mut self) -> Option<&Vec<Vec<Tag>>> {
        if self.remembered.is_none() {
            self.remembered = self.client.cache().listed(self.repository, self.before.pages.len());
        }
        self.remembered.as_ref()
    }
}
