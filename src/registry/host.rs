//! One registry host: connections, limits, retries, sign-in.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::sync::Semaphore;

use crate::secret::Secret;

use super::auth::{Challenge, Token, TokenAnswer};
use super::config::{Config, HostConfig};
use super::credentials::{self, Credential};
use super::error::RegistryError;

/// The longest that a registry's `Retry-After` is waited for within one request.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const TOKEN_ANSWER_LIMIT: usize = 1 << 20;

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, within the limit that was asked for.
    pub body: Vec<u8>,
    /// Where it came from, redirects followed.
    pub url: Url,
}

/// What is asked of a host.
#[derive(Debug, Clone)]
pub struct Question {
    /// GET or HEAD.
    pub method: Method,
    /// The path and query below the host.
    pub target: String,
    /// The media types wanted.
    pub accept: &'static str,
    /// The token's scope, such as `repository:org/app:pull`; empty for none.
    pub scope: String,
    /// The largest body that is read, in bytes.
    pub limit: usize,
    /// Whether the headers are enough: one byte is asked for, and none read.
    pub one_byte: bool,
}

/// One registry host.
#[derive(Debug)]
pub struct Host {
    name: String,
    base: Url,
    http: reqwest::Client,
    permits: Semaphore,
    timeout: Duration,
    credentials_file: Option<PathBuf>,
    challenge: Mutex<Option<Challenge>>,
    tokens: Mutex<HashMap<String, Token>>,
}

impl Host {
    /// Prepares a host; connects to nothing yet.
    pub fn new(name: &str, config: &Config) -> Result<Host, RegistryError> {
        let own = config.hosts.iter().find(|host| host.host == name);
        let scheme = if own.is_some_and(|own| own.plain_http) { "http" } else { "https" };
        let server = if name == crate::image::DEFAULT_HOST { "registry-1.docker.io" } else { name };
        let unreachable = |reason: String| RegistryError::Unreachable { host: name.to_owned(), reason };
        let base = Url::parse(&format!("{scheme}://{server}/")).map_err(|error| unreachable(error.to_string()))?;
        Ok(Host {
            name: name.to_owned(),
            base,
            http: http_client(own, config, &unreachable)?,
            permits: Semaphore::new(config.concurrency.max(1)),
            timeout: config.timeout,
            credentials_file: own
                .and_then(|own| own.credentials_file.clone())
                .or_else(|| config.credentials_file.clone()),
            challenge: Mutex::default(),
            tokens: Mutex::default(),
        })
    }

    /// Resolves a `Link` of an answer. Only the host itself is asked for a next page.
    pub fn target_of_link(&self, from: &Url, link: &str) -> Option<String> {
        let url = from.join(link).ok()?;
        let same = url.origin() == self.base.origin() || url.origin() == from.origin();
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        same.then(|| format!("{}{query}", url.path()))
    }

    /// Asks, again where that may help, signing in where the registry wants it.
    pub async fn ask(&self, question: &Question) -> Result<Answer, RegistryError> {
        let delays =
            ExponentialBuilder::default().with_min_delay(Duration::from_millis(250)).with_max_times(2).with_jitter();
        (|| self.ask_once(question))
            .retry(delays)
            .when(|error: &RegistryError| match error {
                RegistryError::RateLimited { wait, .. } => wait.is_none_or(|wait| wait <= LONGEST_WAIT),
                error => error.is_passing(),
            })
            .adjust(|error: &RegistryError, delay| match error {
                RegistryError::RateLimited { wait: Some(wait), .. } => delay.map(|delay| delay.max(*wait)),
                _ => delay,
            })
            .await
    }

    async fn ask_once(&self, question: &Question) -> Result<Answer, RegistryError> {
        let _permit = self.permits.acquire().await.map_err(|closed| self.unreachable(closed.to_string()))?;
        let authorization = self.known_authorization(question).await?;
        let signed_in = authorization.is_some();
        let answer = self.send(question, authorization).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return self.judge(question, answer, signed_in);
        }
        let headers = answer.headers.get_all(WWW_AUTHENTICATE).iter();
        let challenge = headers.filter_map(|value| value.to_str().ok()).find_map(Challenge::parse);
        let Some(challenge) = challenge else {
            return Err(self.denied(question));
        };
        lock(&self.tokens).remove(&question.scope);
        *lock(&self.challenge) = Some(challenge);
        let Some(authorization) = self.known_authorization(question).await? else {
            return Err(RegistryError::NoCredentials { host: self.name.clone() });
        };
        let answer = self.send(question, Some(authorization)).await?;
        self.judge(question, answer, true)
    }

    /// Turns statuses that mean the same for every question into errors.
    fn judge(&self, question: &Question, answer: Answer, signed_in: bool) -> Result<Answer, RegistryError> {
        // Storage that the registry redirects to knows nothing of our credentials and does not judge them.
        let from_host = answer.url.origin() == self.base.origin();
        match answer.status {
            StatusCode::FORBIDDEN if !from_host => Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if signed_in => Err(self.denied(question)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(RegistryError::NoCredentials { host: self.name.clone() })
            }
            StatusCode::TOO_MANY_REQUESTS => {
                Err(RegistryError::RateLimited { host: self.name.clone(), wait: retry_after(&answer.headers) })
            }
            status if status.is_server_error() => Err(RegistryError::ServerError {
                host: self.name.clone(),
                status: status.as_u16(),
                what: question.target.clone(),
            }),
            _ => Ok(answer),
        }
    }

    async fn send(&self, question: &Question, authorization: Option<Secret<String>>) -> Result<Answer, RegistryError> {
        let url = self.base.join(&question.target).map_err(|error| self.unreachable(error.to_string()))?;
        let mut request = self.http.request(question.method.clone(), url).header(ACCEPT, question.accept);
        if let Some(authorization) = &authorization {
            request = request.header(AUTHORIZATION, authorization.expose());
        }
        if question.one_byte {
            request = request.header(RANGE, "bytes=0-0");
        }
        let start = Instant::now();
        let answer = self.read(request.send().await, question.limit, &question.target).await?;
        tracing::debug!(
            host = %self.name,
            method = %question.method,
            path = question.target.split('?').next().unwrap_or_default(),
            status = answer.status.as_u16(),
            ms = start.elapsed().as_millis() as u64,
            "registry request"
        );
        Ok(answer)
    }

    async fn read(
        &self,
        sent: Result<Response, reqwest::Error>,
        limit: usize,
        what: &str,
    ) -> Result<Answer, RegistryError> {
        let mut response = sent.map_err(|error| self.network(&error))?;
        let (status, headers, url) = (response.status(), response.headers().clone(), response.url().clone());
        let mut body = Vec::new();
        if limit == 0 {
            return Ok(Answer { status, headers, body, url });
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| self.network(&error))? {
            if body.len() + chunk.len() > limit {
                let reason = format!("its body is larger than {limit} bytes");
                return Err(RegistryError::Broken { host: self.name.clone(), what: what.to_owned(), reason });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body, url })
    }

    /// The header for what is known of the host so far; `None` is anonymous.
    async fn known_authorization(&self, question: &Question) -> Result<Option<Secret<String>>, RegistryError> {
        let challenge = lock(&self.challenge).clone();
        match challenge {
            None => Ok(None),
            Some(Challenge::Basic) => match self.credential().await? {
                Some(Credential::Password { user, password }) => Ok(Some(basic(&user, &password))),
                Some(Credential::RefreshToken(_)) | None => Ok(None),
            },
            Some(Challenge::Bearer { realm, service }) => {
                let held =
                    lock(&self.tokens).get(&question.scope).filter(|token| token.is_good(Instant::now())).cloned();
                let token = match held {
                    Some(token) => token,
                    None => {
                        let token = self.fetch_token(&realm, service.as_deref(), question).await?;
                        lock(&self.tokens).insert(question.scope.clone(), token.clone());
                        token
                    }
                };
                Ok(Some(Secret::new(format!("Bearer {}", token.value.expose()))))
            }
        }
    }

    /// Asks the token server; anonymously when there are no credentials, as for public images.
    async fn fetch_token(
        &self,
        realm: &str,
        service: Option<&str>,
        question: &Question,
    ) -> Result<Token, RegistryError> {
        let broken = |reason: String| RegistryError::Broken {
            host: self.name.clone(),
            what: "the request for a token".to_owned(),
            reason,
        };
        let mut url = Url::parse(realm).map_err(|_| broken("its realm is no URL".to_owned()))?;
        if self.base.scheme() == "https" && url.scheme() != "https" {
            return Err(broken("its token server is not reached over https".to_owned()));
        }
        let credential = self.credential().await?;
        let mut fields: Vec<(&str, &str)> = Vec::new();
        fields.extend(service.map(|service| ("service", service)));
        fields.extend((!question.scope.is_empty()).then_some(("scope", question.scope.as_str())));
        let request = match &credential {
            Some(Credential::RefreshToken(token)) => {
                fields.extend([
                    ("grant_type", "refresh_token"),
                    ("client_id", "tagalong"),
                    ("refresh_token", token.expose()),
                ]);
                let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
                self.http.post(url).header("Content-Type", "application/x-www-form-urlencoded").body(form)
            }
            Some(Credential::Password { user, password }) => {
                url.query_pairs_mut().extend_pairs(fields);
                self.http.get(url).header(AUTHORIZATION, basic(user, password).expose())
            }
            None => {
                url.query_pairs_mut().extend_pairs(fields);
                self.http.get(url)
            }
        };
        let answer = self.read(request.send().await, TOKEN_ANSWER_LIMIT, "the request for a token").await?;
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => match credential {
                Some(_) => Err(self.denied(question)),
                None => Err(RegistryError::NoCredentials { host: self.name.clone() }),
            },
            StatusCode::TOO_MANY_REQUESTS => {
                Err(RegistryError::RateLimited { host: self.name.clone(), wait: retry_after(&answer.headers) })
            }
            status if !status.is_success() => Err(RegistryError::ServerError {
                host: self.name.clone(),
                status: status.as_u16(),
                what: "the request for a token".to_owned(),
            }),
            _ => {
                let answer: Option<TokenAnswer> = serde_json::from_slice(&answer.body).ok();
                let token = answer.and_then(|answer| answer.into_token(Instant::now()));
                token.ok_or_else(|| broken("it holds no token".to_owned()))
            }
        }
    }

    async fn credential(&self) -> Result<Option<Credential>, RegistryError> {
        let Some(file) = self.credentials_file.clone() else { return Ok(None) };
        let name = self.name.clone();
        // A credential helper is a process of its own and may take its time.
        match tokio::task::spawn_blocking(move || credentials::look_up(&file, &name)).await {
            Ok(found) => found,
            Err(stopped) => Err(self.unreachable(stopped.to_string())),
        }
    }

    fn denied(&self, question: &Question) -> RegistryError {
        let host = self.name.clone();
        match &self.credentials_file {
            Some(file) => {
                let what = question.scope.split(':').nth(1).unwrap_or("this host").to_owned();
                RegistryError::Denied { host, from: file.display().to_string(), what }
            }
            None => RegistryError::NoCredentials { host },
        }
    }

    fn unreachable(&self, reason: String) -> RegistryError {
        RegistryError::Unreachable { host: self.name.clone(), reason }
    }

    fn network(&self, error: &reqwest::Error) -> RegistryError {
        if error.is_timeout() {
            return RegistryError::TimedOut { host: self.name.clone(), after: self.timeout };
        }
        self.unreachable(innermost(error))
    }
}

fn http_client(
    own: Option<&HostConfig>,
    config: &Config,
    unreachable: &dyn Fn(String) -> RegistryError,
) -> Result<reqwest::Client, RegistryError> {
    let failed = |error: reqwest::Error| unreachable(innermost(&error));
    if let Some(file) = own.and_then(|own| own.ca_file.as_ref()) {
        return client_builder(config).tls_certs_only(authorities(file)?).build().map_err(failed);
    }
    match client_builder(config).build() {
        // A machine without any authorities can still speak plain HTTP.
        Err(_) if own.is_some_and(|own| own.plain_http) => {
            client_builder(config).tls_certs_only([]).build().map_err(failed)
        }
        built => built.map_err(failed),
    }
}

fn client_builder(config: &Config) -> reqwest::ClientBuilder {
    // Never from https to http, and not for ever; reqwest itself takes credentials off when the host changes.
    let redirects = reqwest::redirect::Policy::custom(|attempt| {
        let from_https = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
        let downgrade = from_https && attempt.url().scheme() != "https";
        if downgrade || attempt.previous().len() > 5 { attempt.stop() } else { attempt.follow() }
    });
    reqwest::Client::builder()
        .user_agent(concat!("tagalong/", env!("CARGO_PKG_VERSION")))
        .redirect(redirects)
        .connect_timeout(config.timeout.min(Duration::from_secs(10)))
        .timeout(config.timeout)
}

/// The certificates of a PEM file, at least one.
fn authorities(file: &Path) -> Result<Vec<reqwest::Certificate>, RegistryError> {
    let fail = |reason: String| RegistryError::CaFile { file: file.to_owned(), reason };
    let pem = std::fs::read(file).map_err(|error| fail(error.to_string()))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| fail(error.to_string()))?;
    if certificates.is_empty() { Err(fail("it holds no certificate".to_owned())) } else { Ok(certificates) }
}

/// The innermost reason says the most: "connection refused", "invalid peer certificate".
fn innermost(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => innermost(source),
        None => error.to_string(),
    }
}

fn basic(user: &str, password: &Secret<String>) -> Secret<String> {
    use base64::Engine;
    let pair = Secret::new(format!("{user}:{}", password.expose()));
    Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair.expose())))
}

/// `Retry-After` in its two forms, seconds or a date (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(at.duration_since(jiff::Timestamp::now())).ok()
}

/// A lock that a panicking thread left behind still holds good values here: they are only caches.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
