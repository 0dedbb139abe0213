//! Lists the tags of a repository (OCI distribution specification 1.1, section "Listing Tags").

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use reqwest::header::ETAG;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Deserializer};

use crate::http::client::Response;
use crate::http::next_link;
use crate::image::{Repository, Tag};

use super::bounded::{List, Text};
use super::client::Client;
use super::endpoint::{Endpoint, SMALL};
use super::error::RegistryError;
use super::listing::{Fingerprint, Listing, Page, hash};
use super::memory::Slot;
use super::packed::pack_tags;
use super::response::{header, invalid_response, is_html, is_registry_error, not_a_registry};

/// The largest page of tags that is read, in bytes.
const PAGE_LIMIT: usize = 16 << 20;
/// The most pages that are read; more are taken for a loop.
const PAGES: usize = 2_000;
/// The most tags that a repository may have.
const TAGS: usize = 300_000;
/// The size of all pages together, in bytes, with what is kept about each.
const BYTES: usize = 24 << 20;
/// A longer listing needs a slot in memory: one of more bytes, more tags, or more bytes as they are cached.
const SHORT: usize = 1 << 20;
const FEW: usize = 20_000;
const SHORT_CACHED: usize = 256 << 10;
/// The longest address of a next page, and the longest ETag, in bytes.
const LONGEST_LINK: usize = 2048;
pub(super) const LONGEST_ETAG: usize = 256;

#[derive(Deserialize)]
struct TagPage {
    tags: Option<List<ListedTag, TAGS>>,
}

/// A listed name, if it is a valid tag.
struct ListedTag(Option<Tag>);

impl<'de> Deserialize<'de> for ListedTag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Longer than a tag can be, so that the beginning of a longer name is not taken for one.
        let name = Text::<{ Tag::LONGEST + 1 }>::deserialize(deserializer)?;
        Ok(ListedTag(name.0.parse().ok()))
    }
}

/// The tags of a repository, as listed.
#[derive(Debug)]
pub struct TagList {
    /// Identifies this listing.
    pub fingerprint: Fingerprint,
    /// The tags, in the registry's order; `None` if the listing is the known one.
    pub tags: Option<Vec<Tag>>,
    /// The slot that a long list takes, which is to be kept as long as the tags.
    pub slot: Option<Slot>,
}

impl Client {
    /// All tags of a repository, in the registry's order. Pages are followed through `Link`, whatever their size; names
    /// that are not valid tags are omitted. If the registry supports ETags, only changed pages are transferred again.
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        Ok(self.list(repository, None).await?.tags.unwrap_or_default())
    }

    /// The same, without the tags if the listing is the `known` one: then the cached tags are not read.
    pub async fn list(&self, repository: &Repository, known: Option<Fingerprint>) -> Result<TagList, RegistryError> {
        self.within_time(repository, "listing tags", self.list_now(repository, known)).await
    }

    async fn list_now(&self, repository: &Repository, known: Option<Fingerprint>) -> Result<TagList, RegistryError> {
        if let Some(chart) = self.chart(repository) {
            return chart.list(known).await;
        }
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
    pub async fn last_listed(&self, repository: &Repository) -> Option<TagList> {
        let listing = self.cache().listing(repository)?;
        let slot = match self.cache().listed_bytes(repository) > SHORT_CACHED {
            true => Some(self.host(repository.host()).ok()?.memory().listings.acquire().await),
            false => None,
        };
        let tags = Some(self.read_listed(repository, listing.pages.len())?);
        Some(TagList { fingerprint: listing.fingerprint(), tags, slot })
    }

    fn read_listed(&self, repository: &Repository, pages: usize) -> Option<Vec<Tag>> {
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

/// Parses a page of a listing, and returns its tags with the number of names. Names that are not valid tags are omitted,
/// and so is what exceeds the limit.
///
/// # Errors
/// It is not a page of tags.
pub fn tags_on_page(body: &[u8]) -> Result<(Vec<Tag>, usize), serde_json::Error> {
    let page: TagPage = serde_json::from_slice(body)?;
    let (names, count) = page.tags.map(|list| (list.kept, list.count)).unwrap_or_default();
    Ok((names.into_iter().filter_map(|listed| listed.0).collect(), count))
}

/// The distinct tags found so far.
#[derive(Debug, Default)]
struct Found {
    /// The hashes of the tags, which take much less memory. Their key is random, so none can be made to collide.
    seen: HashSet<u64>,
    hasher: RandomState,
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
        let is_new = |tag: &Tag| self.seen.insert(self.hasher.hash_one(tag));
        self.tags.extend(page.into_iter().filter(is_new));
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
    /// The packed tags of changed pages.
    changed: HashMap<usize, Vec<u8>>,
    /// The cached tags of all pages, once they have been read.
    cached: Option<Vec<Vec<Tag>>>,
    /// The size of the pages so far, in bytes.
    bytes: usize,
    /// The slot that it takes, if it is long.
    slot: Option<Slot>,
}

impl<'w> Walk<'w> {
    fn new(client: &'w Client, endpoint: &'w Endpoint, repository: &'w Repository, before: Listing) -> Walk<'w> {
        let now = Listing { host: endpoint.host.name().to_owned(), pages: Vec::new() };
        Walk {
            client,
            endpoint,
            repository,
            before,
            now,
            found: None,
            changed: HashMap::new(),
            cached: None,
            bytes: 0,
            slot: None,
        }
    }

    async fn reserve(&mut self) {
        if self.slot.is_none() {
            self.slot = Some(self.endpoint.host.memory().listings.acquire().await);
        }
    }

    /// Reserves memory for the cached tags of all pages, if they are to be read and are many.
    async fn reserve_for_cached(&mut self) {
        if self.cached.is_none() && self.client.cache().listed_bytes(self.repository) > SHORT_CACHED {
            self.reserve().await;
        }
    }

    /// The error for a list that is longer than it may be.
    fn too_long(&self, limit: &str) -> RegistryError {
        let target = self.endpoint.target("tags/list");
        invalid_response(self.repository, &target, format!("the list of tags has more than {limit}"))
    }

    /// Follows the pages to the end; `None` if the cached pages are incomplete.
    async fn follow(&mut self, known: Option<Fingerprint>) -> Result<Option<TagList>, RegistryError> {
        if self.client.is_long(self.repository) {
            self.reserve().await;
        }
        let mut visited = HashSet::new();
        let mut target = self.endpoint.target("tags/list");
        while visited.insert(target.clone()) {
            if visited.len() > PAGES {
                return Err(self.too_long(&format!("{PAGES} pages")));
            }
            let page = self.fetch(target).await?;
            if self.bytes > BYTES {
                return Err(self.too_long(&format!("{BYTES} bytes")));
            }
            if self.bytes > SHORT || self.found.as_ref().is_some_and(|found| found.tags.len() > FEW) {
                self.reserve().await;
            }
            let is_new = matches!(page, FetchedPage::New(..));
            if is_new == self.found.is_none() && !self.now.pages.is_empty() {
                self.reserve_for_cached().await;
            }
            let Some(next) = self.take(page) else { return Ok(None) };
            if self.found.as_ref().is_some_and(|found| found.tags.len() > TAGS) {
                return Err(self.too_long(&format!("{TAGS} tags")));
            }
            match next {
                Some(next) => target = next,
                None => break,
            }
        }
        self.cached = None;
        self.store();
        let fingerprint = self.now.fingerprint();
        if known == Some(fingerprint) {
            return Ok(Some(TagList { fingerprint, tags: None, slot: None }));
        }
        let tags = match self.found.take() {
            Some(found) => Some(found.tags),
            None => {
                self.reserve_for_cached().await;
                self.client.read_listed(self.repository, self.now.pages.len())
            }
        };
        Ok(tags.map(|tags| TagList { fingerprint, tags: Some(tags), slot: self.slot.take() }))
    }

    /// Caches the listing.
    fn store(&mut self) {
        let cache = self.client.cache();
        if self.now == self.before {
            cache.touch(self.repository, &self.now);
        } else {
            cache.store_listing(self.repository, &self.now, std::mem::take(&mut self.changed));
        }
        if let Some(found) = &self.found {
            cache.retain_tags(self.repository, &found.tags);
            self.client.note_long(self.repository, self.slot.is_some() && self.bytes > SMALL);
        }
    }

    async fn fetch(&mut self, target: String) -> Result<FetchedPage, RegistryError> {
        let known = self.before.pages.get(self.now.pages.len()).filter(|page| page.target == target);
        let limit = if self.slot.is_some() { PAGE_LIMIT } else { SMALL };
        let mut request = self.endpoint.request(Method::GET, "tags/list", "application/json", limit);
        request.target = target;
        request.if_none_match = known.and_then(|page| page.etag.clone());
        let response = match self.endpoint.send(&request).await {
            Err(RegistryError::TooLarge { .. }) if limit < PAGE_LIMIT => {
                self.reserve().await;
                request.limit = PAGE_LIMIT;
                self.endpoint.send(&request).await?
            }
            response => response?,
        };
        let link = next_link(&response.headers);
        if let Some(link) = link.as_ref().filter(|link| link.len() > LONGEST_LINK) {
            let reason = format!("the address of its next page has {} bytes, more than {LONGEST_LINK}", link.len());
            return Err(invalid_response(self.repository, &request.target, reason));
        }
        let link = link.and_then(|link| self.endpoint.host.target_of_link(&response.url, &link));
        // Of each page, the next one's address is kept as well.
        self.bytes += response.body.len() + request.target.len() * 2;
        let known = self.before.pages.get(self.now.pages.len()).filter(|page| page.target == request.target);
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
        let is_usable = |etag: &&str| !etag.is_empty() && etag.len() <= LONGEST_ETAG;
        let etag = header(response, ETAG.as_str()).filter(is_usable).map(str::to_owned);
        let hash = hash(&response.body);
        if let Some(page) = known.filter(|page| page.hash == hash) {
            return Ok(FetchedPage::Same(Page { etag, link, ..page.clone() }));
        }
        let (tags, count) = tags_on_page(&response.body)
            .map_err(|error| invalid_response(self.repository, &target, format!("not a list of tags ({error})")))?;
        if count > TAGS {
            return Err(self.too_long(&format!("{TAGS} tags")));
        }
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
                self.changed.insert(place, pack_tags(tags.iter()));
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
