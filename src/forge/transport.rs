//! Requests to the API of a forge, and its responses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http;
use crate::http::client::{self, Authorities, Client, SendError};
use crate::http::complaint::Complaint;
use crate::http::excerpt::excerpt;
use crate::identity::scope::Scope;
use crate::identity::token_source::TokenSource;
use crate::secret::Secret;

use super::config::{Config, Kind};
use super::error::ForgeError;
use super::scopes;

/// The largest body that is read, in bytes.
const LIMIT: usize = 16 << 20;

/// The largest body of an error that is parsed, in bytes.
const ERROR_LIMIT: usize = 64 << 10;

/// The connection to the API of one forge.
pub struct Transport {
    /// The settings of the forge.
    pub config: Config,
    client: Client,
}

/// A JSON response.
pub struct Response<T> {
    /// The body.
    pub body: T,
    /// Whether there is another page (RFC 8288, which all three products follow).
    pub has_next: bool,
    /// The number of items on all pages, where Gitea reports it.
    pub total: Option<usize>,
}

impl<T> Response<T> {
    /// Converts the body.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Response<U> {
        Response { body: convert(self.body), has_next: self.has_next, total: self.total }
    }
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
        let client = Client::new(config.timeout, Authorities::System, Vec::new());
        let client = client.map_err(|error| ForgeError::Unreachable {
            host: config.api.host().to_owned(),
            reason: http::root_cause(&error),
        })?;
        Ok(Transport { config, client })
    }

    /// The same connection with other settings for the same forge.
    pub fn with_config(&self, config: Config) -> Transport {
        Transport { config, client: self.client.clone() }
    }

    /// Sends a request and reads the response.
    pub async fn send<T: DeserializeOwned>(&self, request: Request) -> Result<Response<T>, ForgeError> {
        let config = &self.config;
        let host = || config.api.host().to_owned();
        let path = request.target.split('?').next().unwrap_or_default().to_owned();
        let what = format!("{} {path}", request.method);
        let failed = |error: SendError| failure(config, &what, error);
        let url = config.api.join(&request.target).map_err(|error| ForgeError::InvalidResponse {
            host: host(),
            what: what.clone(),
            reason: error.to_string(),
        })?;
        let scope = scopes::of(&request.method, &path);
        let mut sent = client::Request::new(request.method, url);
        authenticate(config, &mut sent, &self.token(scope).await?)?;
        if let Some(body) = &request.body {
            sent.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            sent.body = Some(body.to_string().into_bytes());
        }
        let mut response = self.client.send(&sent, LIMIT).await.map_err(failed)?;
        if self.is_refused(response.status)
            && !response.has_left
            && let Some(issuer) = config.token.issuer()
            && issuer.refused(&config.repository, scope).await
        {
            authenticate(config, &mut sent, &self.token(scope).await?)?;
            response = self.client.send(&sent, LIMIT).await.map_err(failed)?;
        }
        if let Some(problem) = response.wants_credentials_elsewhere() {
            return Err(failed(problem.into()));
        }
        let client::Response { status, headers, body, .. } = response;
        let status = if self.is_refused(status) { StatusCode::UNAUTHORIZED } else { status };
        if !status.is_success() {
            let secrets = spellings(&sent.secrets);
            let secrets: Vec<&str> = secrets.iter().map(|secret| secret.expose().as_str()).collect();
            let complaint = Complaint::read(&headers, body.get(..ERROR_LIMIT).unwrap_or(&body), &secrets);
            return Err(refusal(config, status, &headers, complaint, what));
        }
        // Some successful responses have no body.
        let body = if body.is_empty() { b"null" } else { body.as_slice() };
        let body = serde_json::from_slice(body).map_err(|error| ForgeError::InvalidResponse {
            host: host(),
            what,
            reason: excerpt(&error.to_string()),
        })?;
        let total = headers.get("x-total-count").and_then(|total| total.to_str().ok()?.parse().ok());
        Ok(Response { body, has_next: http::next_link(&headers).is_some(), total })
    }
}

impl Transport {
    /// Returns whether a status says that the token is not valid. Azure DevOps answers with its page for signing in, which is
    /// not an error, if it does not know a token.
    fn is_refused(&self, status: StatusCode) -> bool {
        let is_sign_in = self.config.kind == Kind::AzureDevOps && status == StatusCode::NON_AUTHORITATIVE_INFORMATION;
        status == StatusCode::UNAUTHORIZED || is_sign_in
    }

    /// The token for a request. A file is read on each call, so that it can be rotated.
    async fn token(&self, scope: Scope) -> Result<Secret<String>, ForgeError> {
        match &self.config.token {
            TokenSource::File(file) => {
                let unreadable = |source| ForgeError::TokenFile { file: file.clone(), source };
                let text = Secret::new(std::fs::read_to_string(file).map_err(unreadable)?);
                Ok(Secret::new(text.expose().trim().to_owned()))
            }
            TokenSource::Issuer(issuer) => Ok(issuer.token(&self.config.repository, scope).await?),
        }
    }
}

/// The error for a request that got no usable response.
fn failure(config: &Config, what: &str, error: SendError) -> ForgeError {
    let (host, what) = (config.api.host().to_owned(), what.to_owned());
    match error {
        SendError::Redirect(problem) => ForgeError::Redirected { host, what, problem },
        SendError::Connection(error) if error.is_timeout() => ForgeError::TimedOut { host, after: config.timeout },
        SendError::Connection(error) => ForgeError::Unreachable { host, reason: http::root_cause(&error) },
        SendError::TooLarge(_) | SendError::Header(_) => {
            ForgeError::InvalidResponse { host, what, reason: error.to_string() }
        }
    }
}

/// Authenticates a request to each product.
fn authenticate(config: &Config, request: &mut client::Request, token: &Secret<String>) -> Result<(), ForgeError> {
    let (token, is_issued) = (token.expose(), config.token.issuer().is_some());
    let (name, value, accept) = match config.kind {
        // Gitea, "API Usage", Authentication.
        Kind::Gitea => (AUTHORIZATION, format!("token {token}"), "application/json"),
        // GitHub, "Authenticating to the REST API" and "API Versions".
        Kind::GitHub => (AUTHORIZATION, format!("Bearer {token}"), "application/vnd.github+json"),
        // GitLab, "REST API authentication".
        Kind::GitLab => (HeaderName::from_static("private-token"), token.to_owned(), "application/json"),
        // Bitbucket Cloud, "Authentication methods": access tokens, and API tokens with the address of their user.
        Kind::Bitbucket if token.contains(':') => (AUTHORIZATION, basic(token), "application/json"),
        // Bitbucket Data Center, "HTTP access tokens".
        Kind::Bitbucket | Kind::BitbucketDataCenter => (AUTHORIZATION, format!("Bearer {token}"), "application/json"),
        // Azure DevOps, "Authenticate with Microsoft Entra" and "Use personal access tokens".
        Kind::AzureDevOps if is_issued || is_jwt(token) => {
            (AUTHORIZATION, format!("Bearer {token}"), "application/json")
        }
        Kind::AzureDevOps => (AUTHORIZATION, basic(&format!(":{token}")), "application/json"),
    };
    let value = Secret::new(value);
    let not_a_header =
        || std::io::Error::new(std::io::ErrorKind::InvalidData, "it must hold a single line of plain text");
    let unusable = |_| match &config.token {
        TokenSource::File(file) => ForgeError::TokenFile { file: file.clone(), source: not_a_header() },
        TokenSource::Issuer(_) => ForgeError::InvalidResponse {
            host: config.api.host().to_owned(),
            what: "the request for an access token".to_owned(),
            reason: not_a_header().to_string(),
        },
    };
    let mut value = HeaderValue::from_str(value.expose()).map_err(unusable)?;
    value.set_sensitive(true);
    request.secrets.insert(name, value);
    request.headers.insert(ACCEPT, HeaderValue::from_static(accept));
    match config.kind {
        Kind::GitHub => request.headers.insert("x-github-api-version", HeaderValue::from_static("2022-11-28")),
        // Its own clients send this to get an error in place of a redirect to the page for signing in.
        Kind::AzureDevOps => request.headers.insert("x-tfs-fedauthredirect", HeaderValue::from_static("Suppress")),
        Kind::Gitea | Kind::GitLab | Kind::Bitbucket | Kind::BitbucketDataCenter => None,
    };
    Ok(())
}

/// The value of `Authorization` for a user and a password, which a colon separates (RFC 7617).
fn basic(user_and_password: &str) -> String {
    format!("Basic {}", STANDARD.encode(user_and_password))
}

/// Returns whether a token is one of Microsoft Entra (RFC 7519); personal access tokens have no dots.
fn is_jwt(token: &str) -> bool {
    token.starts_with("eyJ") && token.split('.').count() == 3
}

/// Returns the token in these headers, encoded and not, as a server may repeat it.
fn spellings(headers: &HeaderMap) -> Vec<Secret<String>> {
    let mut secrets = Vec::new();
    for value in headers.values().filter_map(|value| value.to_str().ok()) {
        let (scheme, token) = value.split_once(' ').unwrap_or(("", value));
        secrets.push(Secret::new(token.to_owned()));
        let decoded = Secret::new(STANDARD.decode(token).ok().filter(|_| scheme == "Basic").unwrap_or_default());
        let pair = std::str::from_utf8(decoded.expose()).unwrap_or_default();
        secrets.extend(pair.split_once(':').map(|(_, password)| Secret::new(password.to_owned())));
    }
    secrets
}

fn refusal(config: &Config, status: StatusCode, headers: &HeaderMap, complaint: Complaint, what: String) -> ForgeError {
    let (host, token) = (config.api.host().to_owned(), config.token.clone());
    let wait = http::wait::retry_after(headers);
    let unavailable =
        |host, what, message| ForgeError::Unavailable { host, status: status.as_u16(), what, message, wait };
    // GitHub, "Rate limits for the REST API": 403 as well as 429.
    let is_spent = headers.get("x-ratelimit-remaining").is_some_and(|left| left.as_bytes() == b"0");
    match status {
        StatusCode::FORBIDDEN if is_spent || wait.is_some() => unavailable(host, what, complaint.message),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => unavailable(host, what, complaint.message),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ForgeError::Denied { host, token, status: status.as_u16(), what, complaint: Box::new(complaint) }
        }
        StatusCode::NOT_FOUND => ForgeError::NotFound {
            host,
            repository: config.repository.clone(),
            token,
            what,
            complaint: Box::new(complaint),
        },
        status if status.is_server_error() => unavailable(host, what, complaint.message),
        status => {
            let message = complaint.message.unwrap_or_else(|| "no reason given".to_owned());
            ForgeError::Refused { host, what, status: status.as_u16(), message }
        }
    }
}
