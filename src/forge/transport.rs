//! Requests to the API of a forge, and its responses.

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http;
use crate::secret::Secret;

use super::config::{Config, Kind};
use super::error::ForgeError;

/// The largest body that is read, in bytes.
const LIMIT: usize = 16 << 20;

/// The longest error message that is repeated, in characters.
const MESSAGE: usize = 300;

/// The connection to the API of one forge.
pub struct Transport {
    /// The settings of the forge.
    pub config: Config,
    http: reqwest::Client,
}

/// A JSON response.
pub struct Response<T> {
    /// The body.
    pub body: T,
    /// Whether there is another page (RFC 8288, which all three products follow).
    pub has_next: bool,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path and query below the API's base URL.
    pub target: String,
    /// The JSON body, if any.
    pub body: Option<Value>,
}

impl Request {
    /// A request that reads something.
    pub fn get(target: String) -> Request {
        Request { method: Method::GET, target, body: None }
    }

    /// A request with a body.
    pub fn send(method: Method, target: String, body: Value) -> Request {
        Request { method, target, body: Some(body) }
    }
}

impl Transport {
    /// Creates the client. Does not connect yet.
    pub fn new(config: Config) -> Result<Transport, ForgeError> {
        let http = http::builder(config.timeout).build().map_err(|error| ForgeError::Unreachable {
            host: config.api.host().to_owned(),
            reason: http::root_cause(&error),
        })?;
        Ok(Transport { config, http })
    }

    /// Sends a request and reads the response.
    pub async fn send<T: DeserializeOwned>(&self, request: Request) -> Result<Response<T>, ForgeError> {
        let config = &self.config;
        let host = || config.api.host().to_owned();
        let path = request.target.split('?').next().unwrap_or_default();
        let what = format!("{} {path}", request.method);
        let url = config.api.join(&request.target);
        let mut builder = self.http.request(request.method, url).headers(headers(config)?);
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        let failed = |error: reqwest::Error| {
            if error.is_timeout() {
                ForgeError::TimedOut { host: host(), after: config.timeout }
            } else {
                ForgeError::Unreachable { host: host(), reason: http::root_cause(&error) }
            }
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
                    reason: format!("its body is larger than {LIMIT} bytes"),
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

/// The headers that authenticate us to each product. The token's file is read on each call, so that it can be rotated.
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
    let not_a_header =
        || std::io::Error::new(std::io::ErrorKind::InvalidData, "it must hold a single line of plain text");
    let mut value = HeaderValue::from_str(value.expose()).map_err(|_| unreadable(not_a_header()))?;
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
        status => ForgeError::Refused { host, what, status: status.as_u16(), message: message(body) },
    }
}

/// The error message in a response: its `message`, which is a text or a list of texts, and GitHub's `errors`.
fn message(body: &[u8]) -> String {
    let body = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let mut parts: Vec<String> = Vec::new();
    for key in ["message", "error", "errors"] {
        match &body[key] {
            Value::Null => {}
            Value::String(text) => parts.push(text.clone()),
            other => parts.push(other.to_string()),
        }
    }
    let text = parts.join(": ");
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE).collect::<String>();
    if plain.is_empty() { "no reason given".to_owned() } else { plain }
}
