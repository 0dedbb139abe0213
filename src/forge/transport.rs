//! Requests to the API of a forge, and their answers.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http;
use crate::secret::Secret;

use super::config::{Config, Kind};
use super::error::ForgeError;

/// A body is read up to this size, in bytes.
const LIMIT: usize = 16 << 20;

/// So much of what a forge says of a refusal is repeated, in characters.
const WORDS: usize = 300;

/// The way to the API of one forge.
pub struct Transport {
    http: reqwest::Client,
    timeout: Duration,
}

/// An answer in JSON.
pub struct Response<T> {
    /// What it says.
    pub body: T,
    /// Whether there is a page after this one (RFC 8288; all three products tell so).
    pub has_next: bool,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// How.
    pub method: Method,
    /// The path and query below the API's place.
    pub target: String,
    /// What is sent along.
    pub body: Option<Value>,
}

impl Request {
    /// Asks for something.
    pub fn get(target: String) -> Request {
        Request { method: Method::GET, target, body: None }
    }

    /// Sends something.
    pub fn send(method: Method, target: String, body: Value) -> Request {
        Request { method, target, body: Some(body) }
    }
}

impl Transport {
    /// Prepares the way; connects to nothing yet.
    pub fn new(config: &Config) -> Result<Transport, ForgeError> {
        let http = http::builder(config.timeout).build().map_err(|error| ForgeError::Unreachable {
            host: config.api.host().to_owned(),
            reason: http::root_cause(&error),
        })?;
        Ok(Transport { http, timeout: config.timeout })
    }

    /// Asks, and reads the answer.
    pub async fn send<T: DeserializeOwned>(
        &self,
        config: &Config,
        request: Request,
    ) -> Result<Response<T>, ForgeError> {
        let host = || config.api.host().to_owned();
        let path = request.target.split('?').next().unwrap_or_default();
        let what = format!("{} {path}", request.method);
        let url = config.api.join(&request.target);
        let mut builder = self.http.request(request.method, url).headers(headers(config)?);
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        let failed = |error: reqwest::Error| match error.is_timeout() {
            true => ForgeError::TimedOut { host: host(), after: self.timeout },
            false => ForgeError::Unreachable { host: host(), reason: http::root_cause(&error) },
        };
        let mut response = builder.send().await.map_err(failed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > LIMIT {
                return Err(ForgeError::InvalidResponse {
                    host: host(),
                    what,
                    reason: format!("it is longer than {LIMIT} bytes"),
                });
            }
        }
        if !status.is_success() {
            return Err(refusal(config, status, &headers, &body, what));
        }
        let body = serde_json::from_slice(&body).map_err(|error| ForgeError::InvalidResponse {
            host: host(),
            what,
            reason: error.to_string(),
        })?;
        Ok(Response { body, has_next: http::next_link(&headers).is_some() })
    }
}

/// Who we are, in the way of each product. The token is read from its file now, so that a rotated one is taken up.
fn headers(config: &Config) -> Result<HeaderMap, ForgeError> {
    let file = &config.token_file;
    let unreadable = |source| ForgeError::TokenFile { file: file.clone(), source };
    let text = Secret::new(std::fs::read_to_string(file).map_err(unreadable)?);
    let token = text.expose().trim();
    let (name, value, accept) = match config.kind {
        // Gitea, "API Usage", Authentication.
        Kind::Gitea => (AUTHORIZATION, format!("token {token}"), "application/json"),
        // GitHub, "Authenticating to the REST API" and "API Versions".
        Kind::GitHub => (AUTHORIZATION, format!("Bearer {token}"), "application/vnd.github+json"),
        // GitLab, "REST API authentication".
        Kind::GitLab => (HeaderName::from_static("private-token"), token.to_owned(), "application/json"),
    };
    let value = Secret::new(value);
    let no_header =
        || std::io::Error::new(std::io::ErrorKind::InvalidData, "it holds more than one line of plain text");
    let mut value = HeaderValue::from_str(value.expose()).map_err(|_| unreadable(no_header()))?;
    value.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(name, value);
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if config.kind == Kind::GitHub {
        headers.insert("x-github-api-version", HeaderValue::from_static("2022-11-28"));
    }
    Ok(headers)
}

fn refusal(config: &Config, status: StatusCode, headers: &HeaderMap, body: &[u8], what: String) -> ForgeError {
    let (host, file) = (config.api.host().to_owned(), config.token_file.clone());
    let wait = http::retry_after(headers);
    // GitHub, "Rate limits for the REST API": 403 as well as 429.
    let is_spent = headers.get("x-ratelimit-remaining").is_some_and(|left| left.as_bytes() == b"0");
    match status {
        StatusCode::FORBIDDEN if is_spent || wait.is_some() => {
            ForgeError::Unavailable { host, status: status.as_u16(), what, wait }
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            ForgeError::Unavailable { host, status: status.as_u16(), what, wait }
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ForgeError::Denied { host, file, status: status.as_u16(), what }
        }
        StatusCode::NOT_FOUND => ForgeError::NotFound { host, repository: config.repository.clone(), file },
        status if status.is_server_error() => ForgeError::Unavailable { host, status: status.as_u16(), what, wait },
        status => ForgeError::Refused { host, what, status: status.as_u16(), words: words(body) },
    }
}

/// What a forge says of a refusal: its `message`, which is a text or a list of them, and GitHub's `errors`.
fn words(body: &[u8]) -> String {
    let said = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let mut parts: Vec<String> = Vec::new();
    for key in ["message", "error", "errors"] {
        match &said[key] {
            Value::Null => {}
            Value::String(text) => parts.push(text.clone()),
            other => parts.push(other.to_string()),
        }
    }
    let text = parts.join(": ");
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS).collect::<String>();
    if plain.is_empty() { "it does not say why".to_owned() } else { plain }
}
