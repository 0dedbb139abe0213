//! All tags of a repository (OCI distribution specification 1.1, section "Listing Tags").

use std::collections::HashSet;

use reqwest::header::ETAG;
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use crate::http::next_link;
use crate::image::{Repository, Tag};

use super::cache::Page;
use super::client::{Client, broken, header, is_html, is_registry_error, not_a_registry};
use super::error::RegistryError;
use super::source::Source;
use super::transport::Answer;

/// A page of tags is read up to this size, in bytes.
const PAGE_LIMIT: usize = 16 << 20;
/// More pages than this are no list but a loop.
const PAGES: usize = 2_000;

#[derive(Deserialize)]
struct TagPage {
    tags: Option<Vec<String>>,
}

impl Client {
    /// All tags of a repository, in the order of the registry. Pages are followed through `Link`, whatever the registry
    /// thinks of page sizes; names that are no tags are left out. Where the registry marks its pages (ETag), only those
    /// that changed are sent again.
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        let sources = self.sources(repository)?;
        if let Some(mirror) = sources.trusted_mirror() {
            match self.tags_at(mirror, repository).await {
                Ok(tags) => return Ok(tags),
                Err(error) => mirror.passed_over(&error),
            }
        }
        self.tags_at(&sources.origin, repository).await
    }

    async fn tags_at(&self, source: &Source, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        let host = source.host.name();
        let mut question = source.question(Method::GET, "tags/list", "application/json", PAGE_LIMIT);
        let mut asked = HashSet::new();
        let mut seen = HashSet::new();
        let mut tags = Vec::new();
        while asked.insert(question.target.clone()) {
            if asked.len() > PAGES {
                let reason = format!("the list of tags goes on after {PAGES} pages");
                return Err(broken(repository, &question.target, reason));
            }
            let known = self.cache().page(host, &question.target);
            question.if_none_match = known.as_ref().map(|page| page.etag.clone());
            let answer = source.ask(&question).await?;
            let page = match known.filter(|_| answer.status == StatusCode::NOT_MODIFIED) {
                Some(page) => page,
                None => {
                    let page = page(repository, &question.target, &answer)?;
                    if !page.etag.is_empty() {
                        self.cache().remember_page(host, &question.target, &page);
                    }
                    page
                }
            };
            let before = seen.len();
            let names = page.tags.iter().filter_map(|name| name.parse::<Tag>().ok());
            tags.extend(names.filter(|tag| seen.insert(tag.clone())));
            // A page that brings nothing new is the end, even where the registry links to it for ever.
            let next = page.next.filter(|_| seen.len() > before);
            match next.and_then(|link| source.host.target_of_link(&answer.url, &link)) {
                Some(next) => question.target = next,
                None => break,
            }
        }
        self.cache().keep_listed(repository, &seen.iter().collect());
        Ok(tags)
    }
}

fn page(repository: &Repository, target: &str, answer: &Answer) -> Result<Page, RegistryError> {
    match answer.status {
        StatusCode::OK if !is_html(answer) => {}
        StatusCode::NOT_FOUND if is_registry_error(answer) => {
            return Err(RegistryError::NoRepository(repository.clone()));
        }
        _ => return Err(not_a_registry(repository.host(), answer)),
    }
    let listed: TagPage = serde_json::from_slice(&answer.body)
        .map_err(|error| broken(repository, target, format!("not a list of tags ({error})")))?;
    let etag = header(answer, ETAG.as_str()).unwrap_or_default().to_owned();
    Ok(Page { etag, tags: listed.tags.unwrap_or_default(), next: next_link(&answer.headers) })
}
