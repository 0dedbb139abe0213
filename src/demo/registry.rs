//! An embedded registry: the part of the OCI distribution API that pulls need, in memory, on a loopback port.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::{CancellationToken, DropGuard};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// The default number of tags on a page.
const PAGE: usize = 100;

/// A registry that runs as long as this value exists.
#[derive(Debug)]
pub struct EmbeddedRegistry {
    address: SocketAddr,
    store: Arc<Store>,
    _running: DropGuard,
}

#[derive(Default)]
struct Store {
    repositories: Mutex<BTreeMap<String, Repository>>,
    requests: AtomicU64,
    /// Called once, at the next request for a manifest's digest.
    before_digest: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Repository {
    tags: BTreeMap<String, String>,
    /// Manifests and blobs by digest, each with its media type.
    contents: BTreeMap<String, (&'static str, Vec<u8>)>,
}

impl EmbeddedRegistry {
    /// Starts a registry on a port that the system chooses.
    ///
    /// # Errors
    /// There is no free loopback port.
    pub async fn start() -> std::io::Result<EmbeddedRegistry> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let store = Arc::new(Store::default());
        let stop = CancellationToken::new();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&store));
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stopped).await });
        Ok(EmbeddedRegistry { address, store, _running: stop.drop_guard() })
    }

    /// Returns host and port, as written in image names.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Adds an image to the registry, built at `created`, and returns its digest.
    pub fn push(&self, repository: &str, tag: &str, created: Timestamp) -> String {
        let layer = format!("the files of {repository}:{tag}").into_bytes();
        let layer_digest = digest(&layer);
        let config = json!({
            "created": created.to_string(), "architecture": "amd64", "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": [layer_digest] },
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": { "mediaType": CONFIG, "digest": digest(&config), "size": config.len() },
            "layers": [{ "mediaType": LAYER, "digest": layer_digest, "size": layer.len() }],
        });
        let manifest = manifest.to_string().into_bytes();
        let manifest_digest = digest(&manifest);
        let mut repositories = self.store.repositories.lock();
        let repository = repositories.entry(repository.to_owned()).or_default();
        for (kind, bytes) in [(LAYER, layer), (CONFIG, config), (MANIFEST, manifest)] {
            repository.contents.insert(digest(&bytes), (kind, bytes));
        }
        repository.tags.insert(tag.to_owned(), manifest_digest.clone());
        manifest_digest
    }

    /// Returns the number of requests so far.
    pub fn requests(&self) -> u64 {
        self.store.requests.load(Ordering::Relaxed)
    }

    /// Runs `action` right before the next response with a digest, which is between a plan and its push.
    pub fn before_next_digest(&self, action: impl FnOnce() + Send + 'static) {
        *self.store.before_digest.lock() = Some(Box::new(action));
    }
}

async fn answer(State(store): State<Arc<Store>>, request: Request) -> Response {
    store.requests.fetch_add(1, Ordering::Relaxed);
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    let is_head = request.method() == Method::HEAD;
    if !is_head && request.method() != Method::GET {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED");
    }
    if path == "/v2/" {
        return axum::Json(json!({})).into_response();
    }
    let Some(rest) = path.strip_prefix("/v2/") else { return refusal(StatusCode::NOT_FOUND, "NAME_UNKNOWN") };
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return tags(&store, name, &query);
    }
    for (kind, missing) in [("/manifests/", "MANIFEST_UNKNOWN"), ("/blobs/", "BLOB_UNKNOWN")] {
        if let Some((name, reference)) = rest.split_once(kind) {
            if is_head && let Some(action) = store.before_digest.lock().take() {
                action();
            }
            let content = content(&store, name, reference);
            return content.unwrap_or_else(|| refusal(StatusCode::NOT_FOUND, missing));
        }
    }
    refusal(StatusCode::NOT_FOUND, "NAME_UNKNOWN")
}

/// Answers with a page of tags, and a `Link` to the next (distribution specification 1.1, section "Listing Tags").
fn tags(store: &Store, name: &str, query: &str) -> Response {
    let repositories = store.repositories.lock();
    let Some(repository) = repositories.get(name) else {
        return refusal(StatusCode::NOT_FOUND, "NAME_UNKNOWN");
    };
    let parameter = |wanted: &str| {
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == wanted)
            .map(|(_, value)| value.into_owned())
    };
    let size = parameter("n").and_then(|n| n.parse().ok()).unwrap_or(PAGE).max(1);
    let last = parameter("last").unwrap_or_default();
    let mut rest = repository.tags.keys().filter(|tag| last.is_empty() || **tag > last);
    let page: Vec<&String> = rest.by_ref().take(size).collect();
    let more = rest.next().is_some();
    let body = axum::Json(json!({ "name": name, "tags": page }));
    match page.last().filter(|_| more) {
        Some(last) => {
            let link = format!("</v2/{name}/tags/list?n={size}&last={last}>; rel=\"next\"");
            ([(header::LINK, link)], body).into_response()
        }
        None => body.into_response(),
    }
}

fn content(store: &Store, name: &str, reference: &str) -> Option<Response> {
    let repositories = store.repositories.lock();
    let repository = repositories.get(name)?;
    let digest = repository.tags.get(reference).map_or(reference, String::as_str);
    let (kind, bytes) = repository.contents.get(digest)?;
    let headers = [("content-type", (*kind).to_owned()), ("docker-content-digest", digest.to_owned())];
    Some((headers, Body::from(bytes.clone())).into_response())
}

fn refusal(status: StatusCode, code: &str) -> Response {
    (status, axum::Json(json!({ "errors": [{ "code": code }] }))).into_response()
}

fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
