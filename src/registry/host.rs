//! Sends requests to one registry host, with retries and limits on their rate and number.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, IF_NONE_MATCH, RANGE};
use reqwest::{Method, StatusCode, Url};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::http::client::{self, Response};
use crate::http::peer_failure::CertificateObjection;
use crate::http::wait::retry_after;
use crate::image::DEFAULT_HOST;
use crate::secret::Secret;

use super::cloud_identity::CloudIdentity;
use super::config::{Config, Mirror};
use super::connection::Settings;
use super::connection_files::ConnectionFiles;
use super::credentials::Credential;
use super::error::RegistryError;
use super::memory::HostMemory;
use super::metrics::RegistryMetrics;
use super::page_link::{self, url_of_target};
use super::rate_limit::{Permit, RateLimit};
use super::sign_in::{CredentialSource, SignIn};
use super::single_flight::SingleFlight;
use super::transport::{Means, Transport, unreachable};

/// The host of Docker Hub's own API.
pub const HUB_API: &str = "hub.docker.com";

/// The host whose settings and credentials apply: Docker Hub's API has its own host, but not its own account.
fn account_of(name: &str) -> &str {
    if name == HUB_API { DEFAULT_HOST } else { name }
}

/// A request to a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    /// GET or HEAD.
    pub method: Method,
    /// The path and query below the host.
    pub target: String,
    /// The accepted media types.
    pub accept: &'static str,
    /// The token's scope, such as `repository:org/app:pull`; empty for none.
    pub scope: String,
    /// The authentication of the request.
    pub authentication: Authentication,
    /// The largest body that is read, in bytes.
    pub limit: usize,
    /// Whether only the headers are needed: one byte is requested, and none is read.
    pub one_byte: bool,
    /// The ETag of a cached response: then the response may be `304 Not Modified`.
    pub if_none_match: Option<String>,
}

/// The authentication of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Authentication {
    /// As the host's challenge asks, as for registries.
    Challenged,
    /// With user and password, without a challenge, as for product APIs.
    Basic,
    /// With a token obtained for user and password, as for Docker Hub's API.
    AccessToken,
}

impl Request {
    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Returns whether it pulls a manifest, which counts against Docker Hub's limit.
    fn is_metered(&self) -> bool {
        self.method == Method::GET && self.target.contains("/manifests/")
    }
}

/// A failed attempt, and whether a retry is useless.
struct FailedAttempt {
    error: RegistryError,
    is_final: bool,
}

impl From<RegistryError> for FailedAttempt {
    fn from(error: RegistryError) -> FailedAttempt {
        FailedAttempt { error, is_final: false }
    }
}

/// One registry host.
#[derive(Debug)]
pub struct Host {
    name: String,
    base: Url,
    transport: Transport,
    sign_in: Arc<SignIn>,
    permits: Arc<Semaphore>,
    memory: HostMemory,
    rate_limit: Arc<RateLimit>,
    /// The last request without a response.
    last_failure: Arc<Mutex<Option<RegistryError>>>,
    metrics: RegistryMetrics,
    in_flight: SingleFlight<Arc<Request>, Result<Arc<Response>, RegistryError>>,
}

impl Host {
    /// Creates a host with the configured credentials. Does not connect yet.
    pub(super) fn new(
        name: &str,
        config: &Config,
        metrics: RegistryMetrics,
        memory: HostMemory,
    ) -> Result<Host, RegistryError> {
        let own = config.of_host(account_of(name));
        // A mirror needs no entry of its own, because its URL has the scheme.
        let is_plain_mirror = |mirror: &Mirror| mirror.host == name && mirror.plain_http;
        let is_plain = own.is_some_and(|own| own.plain_http)
            || config.hosts.iter().filter_map(|host| host.mirror.as_ref()).any(is_plain_mirror);
        metrics.start(name);
        let scheme = if is_plain { "http" } else { "https" };
        let is_hub = account_of(name) == DEFAULT_HOST;
        let server = if name == DEFAULT_HOST { "registry-1.docker.io" } else { name };
        let base =
            Url::parse(&format!("{scheme}://{server}/")).map_err(|error| unreachable(name, error.to_string()))?;
        let transport = Transport::new(connection_settings(name, config, &base), metrics.clone())?;
        // Docker Hub locks out clients that send too fast; others announce their limits.
        let (usual, burst) = if is_hub { (10, 50) } else { (200, 1000) };
        let per_second = own.and_then(|own| own.requests_per_second);
        let file = config.credentials_file_of(account_of(name)).map(Path::to_owned);
        let credential_source = file.map_or(CredentialSource::Nothing, CredentialSource::File);
        let identity = CloudIdentity::new(account_of(name), &base, config);
        let token_server = own.and_then(|own| own.realm.clone());
        Ok(Host {
            name: name.to_owned(),
            sign_in: SignIn::new(account_of(name), &base, transport.clone(), credential_source, identity, token_server),
            base,
            transport,
            permits: Arc::new(Semaphore::new(config.concurrency.max(1))),
            memory,
            rate_limit: Arc::new(RateLimit::new(per_second.unwrap_or(usual), per_second.unwrap_or(burst))),
            last_failure: Arc::default(),
            metrics,
            in_flight: SingleFlight::default(),
        })
    }

    /// The same host with another credential. They share connections and limits.
    pub fn with_credential(&self, credential: Credential, from: String) -> Host {
        Host {
            name: self.name.clone(),
            sign_in: self.sign_in.with_credential_source(CredentialSource::Given { credential, from }),
            base: self.base.clone(),
            transport: self.transport.clone(),
            permits: Arc::clone(&self.permits),
            memory: self.memory.clone(),
            rate_limit: Arc::clone(&self.rate_limit),
            last_failure: Arc::clone(&self.last_failure),
            metrics: self.metrics.clone(),
            in_flight: SingleFlight::default(),
        }
    }

    /// Resolves a `Link` of a response. The next page may only be on the same host.
    pub fn target_of_link(&self, from: &Url, link: &str) -> Option<String> {
        page_link::target_of_link(&self.base, from, link)
    }

    /// Sends a request, with retries, and signs in if the registry asks for it. Identical concurrent requests are sent
    /// once.
    pub async fn send(self: &Arc<Self>, request: &Request) -> Result<Arc<Response>, RegistryError> {
        let request = &Arc::new(request.clone());
        let (host, sent) = (Arc::clone(self), Arc::clone(request));
        let start = || on_runtime(async move { host.send_with_retries(&sent).await.map(Arc::new) });
        self.in_flight.join(request, start).await
    }

    /// Returns the identity from a cloud that the last request was made with, in words.
    pub fn identity(&self) -> Option<String> {
        self.sign_in.identity()
    }

    /// Returns its share of the memory for large responses.
    pub(super) fn memory(&self) -> &HostMemory {
        &self.memory
    }

    /// Sends a request without retries, for callers that have an alternative.
    pub async fn send_once(self: &Arc<Self>, request: &Request) -> Result<Arc<Response>, RegistryError> {
        let request = &Arc::new(request.clone());
        let (host, sent) = (Arc::clone(self), Arc::clone(request));
        let start = || async move { host.attempt(&sent).await.map(Arc::new).map_err(|failed| failed.error) }.boxed();
        self.in_flight.join(request, start).await
    }

    /// The URL of the host.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The URL of a path and query at the host.
    pub fn url_of(&self, target: &str) -> Url {
        url_of_target(&self.base, target)
    }

    /// The status of a URL at another server, which a response from `from` named. It gets no credentials, and may lead
    /// no further than a redirect of this host.
    pub async fn status_elsewhere(&self, from: &Url, url: Url, method: Method) -> Result<StatusCode, RegistryError> {
        let _permit = self.permits.acquire().await.map_err(|closed| unreachable(&self.name, closed.to_string()))?;
        let what = url.path().to_owned();
        let mut sent = client::Request::new(method.clone(), url);
        if method == Method::GET {
            sent.headers.insert(RANGE, HeaderValue::from_static("bytes=0-0"));
        }
        Ok(self.transport.fetch_as_redirected(from, &sent, 0, &what).await?.status)
    }

    /// Returns how the host is reached.
    pub fn means(&self) -> Means {
        self.transport.means()
    }

    /// The name of the host, as in image names.
    pub fn name(&self) -> &str {
        &self.name
    }

    async fn send_with_retries(&self, request: &Request) -> Result<Response, RegistryError> {
        let delays =
            ExponentialBuilder::default().with_min_delay(Duration::from_millis(250)).with_max_times(2).with_jitter();
        (|| self.attempt(request))
            .retry(delays)
            .when(|failed: &FailedAttempt| {
                !failed.is_final && failed.error.is_transient() && !failed.error.used_full_timeout()
            })
            .await
            .map_err(|failed| failed.error)
    }

    async fn attempt(&self, request: &Request) -> Result<Response, FailedAttempt> {
        // A retry would not be permitted either.
        let not_permitted = |error| Err(FailedAttempt { error, is_final: true });
        match self.rate_limit.acquire(Instant::now(), request.is_metered()) {
            Permit::After(wait) => tokio::time::sleep(wait).await,
            Permit::Limited(wait) => {
                return not_permitted(RegistryError::RateLimited { host: self.name.clone(), wait: Some(wait) });
            }
            Permit::Down => {
                // What is wrong with the host is what the last request to it found.
                let last = self.last_failure.lock().clone();
                return not_permitted(last.unwrap_or_else(|| unreachable(&self.name, "it is down".to_owned())));
            }
        }
        let _permit = self.permits.acquire().await.map_err(|closed| unreachable(&self.name, closed.to_string()))?;
        let authorization = match request.authentication {
            Authentication::Challenged => self.sign_in.authorization(&request.scope).await?,
            Authentication::Basic => self.sign_in.basic(&request.scope).await?,
            Authentication::AccessToken => self.sign_in.access_token(&self.base, &request.scope).await?,
        };
        let response = self.exchange(request, authorization.as_ref()).await?;
        if response.status != StatusCode::UNAUTHORIZED || request.authentication != Authentication::Challenged {
            return Ok(self.check_status(request, response, authorization.is_some())?);
        }
        self.sign_in.challenged(&response.headers, &request.scope, authorization.as_ref()).await?;
        let Some(authorization) = self.sign_in.authorization(&request.scope).await? else {
            return Err(self.sign_in.no_credentials().into());
        };
        let response = self.exchange(request, Some(&authorization)).await?;
        Ok(self.check_status(request, response, true)?)
    }

    /// Turns statuses that mean the same for every request into errors.
    fn check_status(&self, request: &Request, response: Response, signed_in: bool) -> Result<Response, RegistryError> {
        if let Some(objection) = CertificateObjection::in_response(response.status, &response.body) {
            return Err(self.transport.certificate_refused(&response.url, objection).into());
        }
        // Storage that the registry redirects to does not receive our credentials, so it does not reject them.
        match response.status {
            StatusCode::FORBIDDEN if response.has_left => Ok(response),
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err(self.transport.proxy_requires_credentials(&response.url).into())
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if signed_in => Err(self.sign_in.denied(&request.scope)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.sign_in.no_credentials()),
            StatusCode::TOO_MANY_REQUESTS => {
                let wait = retry_after(&response.headers);
                Err(RegistryError::RateLimited { host: self.name.clone(), wait })
            }
            status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
                Err(RegistryError::ServerError {
                    host: self.name.clone(),
                    status: status.as_u16(),
                    what: request.target.clone(),
                })
            }
            _ => Ok(response),
        }
    }

    #[tracing::instrument(
        level = "debug",
        skip_all,
        fields(
            otel.name = %request.method,
            otel.kind = "client",
            http.request.method = %request.method,
            server.address = %self.name,
            url.path = request.path(),
            http.response.status_code,
        )
    )]
    async fn exchange(
        &self,
        request: &Request,
        authorization: Option<&Secret<String>>,
    ) -> Result<Response, RegistryError> {
        let mut sent = client::Request::new(request.method.clone(), url_of_target(&self.base, &request.target));
        sent.headers.insert(ACCEPT, HeaderValue::from_static(request.accept));
        if request.one_byte {
            sent.headers.insert(RANGE, HeaderValue::from_static("bytes=0-0"));
        }
        if let Some(etag) = request.if_none_match.as_deref().and_then(|etag| HeaderValue::from_str(etag).ok()) {
            sent.headers.insert(IF_NONE_MATCH, etag);
        }
        if let Some(authorization) = authorization {
            let failed = |error| self.transport.failed(error, &request.target);
            sent = sent.with_secret(AUTHORIZATION, authorization).map_err(failed)?;
        }
        let start = Instant::now();
        let response = match self.transport.fetch(&sent, request.limit, &request.target).await {
            Ok(response) => response,
            Err(error) => {
                self.metrics.count(&self.name, None);
                if error.is_without_response() {
                    *self.last_failure.lock() = Some(error.clone());
                    self.rate_limit.no_response(Instant::now());
                }
                return Err(error);
            }
        };
        self.metrics.count(&self.name, Some(response.status.as_u16()));
        tracing::Span::current().record("http.response.status_code", response.status.as_u16());
        self.rate_limit.response(Instant::now(), response.status, &response.headers, request.is_metered());
        tracing::debug!(
            host = %self.name,
            method = %request.method,
            path = request.path(),
            status = response.status.as_u16(),
            ms = start.elapsed().as_millis() as u64,
            "registry request"
        );
        // A challenge of a server that the registry redirected to is neither learned nor answered.
        if let Some(problem) = response.wants_credentials_elsewhere() {
            return Err(self.transport.failed(problem.into(), &request.target));
        }
        Ok(response)
    }
}

/// The settings for connections to a host. What a host has in common with the account that it belongs to does not include
/// the client certificate, which is for one origin.
fn connection_settings(name: &str, config: &Config, base: &Url) -> Settings {
    let own = config.of_host(account_of(name));
    let certificate = config.of_host(name).and_then(|own| own.client_certificate.clone());
    let files = ConnectionFiles {
        ca_file: own.and_then(|own| own.ca_file.clone()),
        certificate,
        proxy_credentials: own.and_then(|own| own.proxy_credentials_file.clone()),
    };
    Settings {
        name: name.to_owned(),
        base: base.clone(),
        timeout: config.timeout_of(account_of(name)),
        files,
        proxy: own.map(|own| own.proxy.clone()).unwrap_or_default(),
        redirects: own.map(|own| own.redirects.clone()).unwrap_or_default(),
    }
}

/// Runs work on the runtime's threads, where connections are served, so that the waiting thread wakes once and not at
/// each step. The work is aborted when nobody waits for it any more.
fn on_runtime<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> BoxFuture<'static, T> {
    let task = AbortOnDropHandle::new(tokio::spawn(work.in_current_span()));
    task.map(|ended| ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))).boxed()
}
