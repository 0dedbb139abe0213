//! What can be asked of a registry (OCI distribution specification 1.1).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, LINK};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use crate::image::{Digest, Repository, Tag, Version};

use super::config::Config;
use super::content::{MANIFEST_LIMIT, found, manifest_target};
use super::error::RegistryError;
use super::host::{Answer, Host, Question};
use super::manifest::ACCEPT;

/// A page of tags is read up to this size, in bytes.
const PAGE_LIMIT: usize = 16 << 20;
/// More pages than this are no list but a loop.
const PAGES: usize = 10_000;
/// How many images' metadata is kept.
const KEPT: usize = 50_000;

/// What is known of an image. It never changes for a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The digest of its manifest or index.
    pub digest: Digest,
    /// When it was built, if it says anything usable.
    pub created: Option<Timestamp>,
}

/// A client of any number of registries. Clones share connections, tokens and what was learned.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    known: Mutex<Known>,
}

/// What was learned. Deleting it costs requests and nothing else.
#[derive(Debug, Default)]
struct Known {
    images: HashMap<(Repository, Digest), Image>,
    /// What tags held when they were first seen.
    tags: HashMap<(Repository, Tag), Digest>,
}

#[derive(Deserialize)]
struct TagPage {
    tags: Option<Vec<String>>,
}

impl Client {
    /// A client; files with certificates are read now, credentials when they are needed.
    ///
    /// # Errors
    /// A file of certificates that cannot be used.
    pub fn new(config: Config) -> Result<Client, RegistryError> {
        // One provider for the whole process; a second call finds it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut hosts = HashMap::new();
        for host in &config.hosts {
            hosts.insert(host.host.clone(), Arc::new(Host::new(&host.host, &config)?));
        }
        let inner = Inner { config, hosts: Mutex::new(hosts), known: Mutex::default() };
        Ok(Client { inner: Arc::new(inner) })
    }

    /// Whether the host can be reached, is a registry, and takes our credentials (section "Determining Support").
    pub async fn ping(&self, host: &str) -> Result<(), RegistryError> {
        let question = question(Method::GET, "/v2/".to_owned(), "application/json", None, PAGE_LIMIT);
        let answer = self.host(host)?.ask(&question).await?;
        if answer.status.is_success() && !is_html(&answer) {
            return Ok(());
        }
        Err(not_a_registry(host, &answer))
    }

    /// All tags of a repository, in the order of the registry (section "Listing Tags"). Pages are followed through
    /// `Link`, whatever the registry thinks of page sizes; names that are no tags are left out.
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        let host = self.host(repository.host())?;
        let mut target = format!("/v2/{}/tags/list", repository.path());
        let mut asked = HashSet::new();
        let mut seen = HashSet::new();
        let mut tags = Vec::new();
        while asked.len() < PAGES && asked.insert(target.clone()) {
            let question = question(Method::GET, target.clone(), "application/json", Some(repository), PAGE_LIMIT);
            let answer = host.ask(&question).await?;
            match answer.status {
                StatusCode::OK if !is_html(&answer) => {}
                StatusCode::NOT_FOUND if is_registry_error(&answer) => {
                    return Err(RegistryError::NoRepository(repository.clone()));
                }
                _ => return Err(not_a_registry(repository.host(), &answer)),
            }
            let page: TagPage = serde_json::from_slice(&answer.body)
                .map_err(|error| broken(repository, &target, format!("not a list of tags ({error})")))?;
            let names = page.tags.unwrap_or_default();
            let before = seen.len();
            tags.extend(
                names.iter().filter_map(|name| name.parse::<Tag>().ok()).filter(|tag| seen.insert(tag.clone())),
            );
            // A page that brings nothing new is the end, even where the registry links to it for ever.
            let next = next_link(&answer).filter(|_| seen.len() > before);
            match next.and_then(|link| host.target_of_link(&answer.url, &link)) {
                Some(next) => target = next,
                None => break,
            }
        }
        Ok(tags)
    }

    /// The digest that a tag has now, or whether a digest is there (section "Checking if content exists in the
    /// registry"). Always asks.
    pub async fn digest(&self, repository: &Repository, version: &Version) -> Result<Digest, RegistryError> {
        let target = manifest_target(repository, version);
        let question = question(Method::HEAD, target.clone(), ACCEPT, Some(repository), MANIFEST_LIMIT);
        let answer = self.host(repository.host())?.ask(&question).await?;
        found(repository, version, &answer)?;
        match header(&answer, "docker-content-digest").map(|text| text.parse()) {
            Some(Ok(digest)) => consistent(version, digest, repository, &target),
            Some(Err(_)) => Err(broken(repository, &target, "its Docker-Content-Digest is no digest".to_owned())),
            // The header is optional: then only the bytes tell.
            None => Ok(self.manifest(repository, version).await?.digest),
        }
    }

    pub(super) fn remembered(&self, repository: &Repository, version: &Version) -> Option<Image> {
        let known = self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = match (&version.digest, &version.tag) {
            (Some(digest), _) => digest,
            (None, Some(tag)) => known.tags.get(&(repository.clone(), tag.clone()))?,
            (None, None) => return None,
        };
        known.images.get(&(repository.clone(), digest.clone())).cloned()
    }

    pub(super) fn remember(&self, repository: &Repository, version: &Version, image: &Image) {
        let mut known = self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.images.len() >= KEPT || known.tags.len() >= KEPT {
            *known = Known::default();
        }
        known.images.insert((repository.clone(), image.digest.clone()), image.clone());
        if let (None, Some(tag)) = (&version.digest, &version.tag) {
            known.tags.insert((repository.clone(), tag.clone()), image.digest.clone());
        }
    }

    pub(super) fn host(&self, name: &str) -> Result<Arc<Host>, RegistryError> {
        let mut hosts = self.inner.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Ok(Arc::clone(host));
        }
        let host = Arc::new(Host::new(name, &self.inner.config)?);
        hosts.insert(name.to_owned(), Arc::clone(&host));
        Ok(host)
    }
}

pub(super) fn question(
    method: Method,
    target: String,
    accept: &'static str,
    repository: Option<&Repository>,
    limit: usize,
) -> Question {
    let scope = repository.map(|repository| format!("repository:{}:pull", repository.path())).unwrap_or_default();
    Question { method, target, accept, scope, limit, one_byte: false }
}

/// A digest that was asked for has to be the one that is claimed.
fn consistent(
    version: &Version,
    digest: Digest,
    repository: &Repository,
    target: &str,
) -> Result<Digest, RegistryError> {
    match &version.digest {
        Some(asked) if *asked != digest => {
            Err(broken(repository, target, format!("it claims to be {digest}, not {asked}")))
        }
        _ => Ok(digest),
    }
}

pub(super) fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).and_then(|value| value.to_str().ok())
}

pub(super) fn is_html(answer: &Answer) -> bool {
    header(answer, CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with("text/html"))
}

/// Whether a body is the distribution API's own error (section "Error Codes").
fn is_registry_error(answer: &Answer) -> bool {
    #[derive(Deserialize)]
    struct Errors {
        #[serde(rename = "errors")]
        _errors: Vec<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Errors>(&answer.body).is_ok()
}

pub(super) fn not_a_registry(host: &str, answer: &Answer) -> RegistryError {
    let kind = header(answer, CONTENT_TYPE.as_str()).unwrap_or("no content type");
    let reason = format!("{} answered status {} ({kind})", answer.url.path(), answer.status.as_u16());
    RegistryError::NotARegistry { host: host.to_owned(), reason }
}

pub(super) fn broken(repository: &Repository, what: &str, reason: String) -> RegistryError {
    RegistryError::Broken { host: repository.host().to_owned(), what: what.to_owned(), reason }
}

/// The target of `Link: <…>; rel="next"` (RFC 8288).
fn next_link(answer: &Answer) -> Option<String> {
    answer.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).find_map(|text| {
        let (target, parameters) = text.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.replace(['"', ' '], "").split(';').any(|parameter| parameter == "rel=next");
        is_next.then(|| target.to_owned())
    })
}
