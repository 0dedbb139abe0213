//! Requests to GitHub as the app itself: "Get a repository installation for the authenticated app", "Get an installation
//! for the authenticated app", "Create an installation access token for an app" (REST API of 2022-11-28).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::http;
use crate::http::client::{Authorities, Client, Request, Response, SendError};
use crate::http::complaint::Complaint;
use crate::http::encode_path_segment;
use crate::identity::renewed::Issued;
use crate::secret::{SafeUrl, Secret};

use super::config::AppConfig;
use super::error::AppError;
use super::key::AppKey;
use super::permissions::{Permissions, missing, shown};

/// The largest body that is read, in bytes.
const LIMIT: usize = 1 << 20;
/// The longest life of an access token ("Generating an installation access token for a GitHub App").
const LONGEST: Duration = Duration::from_secs(3600);
/// The version of the API.
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-github-api-version"), HeaderValue::from_static("2022-11-28"));

/// An installation of the app.
#[derive(Deserialize)]
struct Installation {
    id: u64,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
    suspended_at: Option<String>,
}

/// A new access token.
#[derive(Deserialize)]
struct Created {
    token: String,
    expires_at: Timestamp,
}

/// The API, as it is open to the app itself.
pub struct Api<'c> {
    config: &'c AppConfig,
    client: Client,
    token: Secret<String>,
}

impl<'c> Api<'c> {
    /// Signs a token with the app's private key. Does not connect yet.
    pub fn new(config: &'c AppConfig, pem: &[u8]) -> Result<Api<'c>, AppError> {
        let app = || config.id.clone();
        let is_local = config.api.as_str().parse::<SafeUrl>().is_ok_and(|url| url.is_loopback());
        if config.api.scheme() != "https" && !is_local {
            return Err(AppError::ClearText { app: app(), host: config.host().to_owned() });
        }
        let unusable = |reason| AppError::Key { app: app(), file: config.private_key_file.clone(), reason };
        let key = AppKey::parse(pem).map_err(unusable)?;
        let token = key.token(&config.id, crate::clock::now()).map_err(unusable)?;
        // A client for each use: tokens are rare, and kept connections would belong to the runtime that made them.
        let client = Client::new(config.timeout, authorities(config)?, Vec::new());
        let client = client.map_err(|error| AppError::Unreachable {
            host: config.host().to_owned(),
            wanted: "an access token".to_owned(),
            reason: http::root_cause(&error),
        })?;
        Ok(Api { config, client, token })
    }

    /// Returns the ID of the installation for a repository.
    pub async fn installation(&self, repository: &str) -> Result<u64, AppError> {
        let wanted = format!("the installation for {repository}");
        let path: Vec<String> = repository.split('/').map(encode_path_segment).collect();
        let target = format!("/repos/{}/installation", path.join("/"));
        let response = self.send(Method::GET, &target, None, &wanted).await?;
        match response.status {
            StatusCode::NOT_FOUND => Err(AppError::NotInstalled {
                host: self.host(),
                app: self.config.id.clone(),
                repository: repository.to_owned(),
                message: self.message(&response),
            }),
            _ => Ok(self.read::<Installation>(&response, &wanted)?.id),
        }
    }

    /// Creates an access token for one repository.
    pub async fn access_token(
        &self,
        installation: u64,
        repository: &str,
        permissions: &Permissions,
    ) -> Result<Issued<Secret<String>>, AppError> {
        let wanted = format!("an access token for {repository}");
        let name = repository.rsplit('/').next().unwrap_or_default();
        let permitted: BTreeMap<&str, &str> = permissions.iter().copied().collect();
        let body = json!({ "repositories": [name], "permissions": permitted });
        let target = format!("/app/installations/{installation}/access_tokens");
        let response = self.send(Method::POST, &target, Some(&body), &wanted).await?;
        match response.status {
            StatusCode::NOT_FOUND => Err(AppError::UnknownInstallation {
                host: self.host(),
                app: self.config.id.clone(),
                installation,
                message: self.message(&response),
            }),
            StatusCode::FORBIDDEN | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(self.reason(installation, repository, permissions, &response).await)
            }
            _ => {
                let Created { token, expires_at } = self.read(&response, &wanted)?;
                let now = date(&response.headers).unwrap_or_else(crate::clock::now);
                let lifetime = Duration::try_from(expires_at.duration_since(now)).unwrap_or_default();
                Ok(Issued { value: Secret::new(token), lifetime: lifetime.min(LONGEST) })
            }
        }
    }

    /// Returns why an access token was refused: GitHub's words do not name the missing permission or the repository.
    async fn reason(
        &self,
        installation: u64,
        repository: &str,
        permissions: &Permissions,
        refused: &Response,
    ) -> AppError {
        let (host, app) = (self.host(), self.config.id.clone());
        let message = self.message(refused);
        let wanted = format!("the installation {installation}");
        let target = format!("/app/installations/{installation}");
        let found = match self.send(Method::GET, &target, None, &wanted).await {
            Ok(response) => self.read::<Installation>(&response, &wanted).ok(),
            Err(_) => None,
        };
        if let Some(found) = found {
            if found.suspended_at.is_some() {
                return AppError::Suspended { host, app, installation };
            }
            let missing = missing(permissions, &found.permissions);
            if !missing.is_empty() {
                return AppError::LacksPermission {
                    host,
                    app,
                    repository: repository.to_owned(),
                    missing: shown(missing),
                };
            }
        }
        match refused.status {
            StatusCode::UNPROCESSABLE_ENTITY => {
                AppError::NotInstalled { host, app, repository: repository.to_owned(), message }
            }
            status => {
                let wanted = format!("an access token for {repository}");
                AppError::Refused { host, wanted, status: status.as_u16(), message }
            }
        }
    }

    fn host(&self) -> String {
        self.config.host().to_owned()
    }

    /// What GitHub says about a request that it refuses.
    fn message(&self, response: &Response) -> Option<String> {
        Complaint::read(&response.headers, &response.body, &[self.token.expose()]).message
    }

    async fn send(
        &self,
        method: Method,
        target: &str,
        body: Option<&Value>,
        wanted: &str,
    ) -> Result<Response, AppError> {
        let unexpected =
            |reason: String| AppError::InvalidResponse { host: self.host(), wanted: wanted.to_owned(), reason };
        let unreachable =
            |reason: String| AppError::Unreachable { host: self.host(), wanted: wanted.to_owned(), reason };
        let url = format!("{}{target}", self.config.api.as_str().trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|error| unexpected(error.to_string()))?;
        let bearer = Secret::new(format!("Bearer {}", self.token.expose()));
        let request = Request::new(method, url).with_secret(AUTHORIZATION, &bearer);
        let mut request = request.map_err(|error| unexpected(error.to_string()))?;
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
        request.headers.insert(VERSION.0, VERSION.1);
        if let Some(body) = body {
            request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request.body = Some(body.to_string().into_bytes());
        }
        let response = self.client.send(&request, LIMIT).await.map_err(|error| match error {
            SendError::Connection(error) if error.is_timeout() => unreachable("no response in time".to_owned()),
            SendError::Connection(error) => unreachable(http::connection_failure(&error)),
            SendError::Redirect(problem) => unreachable(problem.to_string()),
            SendError::TooLarge(_) | SendError::Header(_) => unexpected(error.to_string()),
        })?;
        if response.has_left {
            return Err(unexpected("it is from another server".to_owned()));
        }
        self.checked(response, wanted)
    }

    /// Returns the error for a response that means the same for all requests.
    fn checked(&self, response: Response, wanted: &str) -> Result<Response, AppError> {
        let (status, message) = (response.status, self.message(&response));
        // "Rate limits for the REST API": 403 as well as 429.
        let is_spent = response.headers.get("x-ratelimit-remaining").is_some_and(|left| left.as_bytes() == b"0");
        let is_limited = status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::FORBIDDEN && (is_spent || http::wait::retry_after(&response.headers).is_some());
        if status.is_server_error() || is_limited {
            let (host, wanted) = (self.host(), wanted.to_owned());
            return Err(AppError::Unavailable { host, wanted, status: status.as_u16(), message });
        }
        match status {
            // GitHub says `Integration not found` with 404 for an unknown app.
            StatusCode::UNAUTHORIZED => Err(self.rejected(&response)),
            StatusCode::NOT_FOUND if message.as_deref() == Some("Integration not found") => {
                Err(self.rejected(&response))
            }
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::UNPROCESSABLE_ENTITY => Ok(response),
            _ if status.is_success() => Ok(response),
            _ => {
                let (host, wanted) = (self.host(), wanted.to_owned());
                Err(AppError::Refused { host, wanted, status: status.as_u16(), message })
            }
        }
    }

    fn rejected(&self, response: &Response) -> AppError {
        let ahead = date(&response.headers).map(|theirs| crate::clock::now().as_second() - theirs.as_second());
        AppError::Rejected {
            host: self.host(),
            app: self.config.id.clone(),
            file: self.config.private_key_file.clone(),
            message: self.message(response),
            ahead,
        }
    }

    /// Reads a JSON object. The reason for a failure does not repeat any of it, because it may be a token.
    fn read<T: for<'d> Deserialize<'d>>(&self, response: &Response, wanted: &str) -> Result<T, AppError> {
        let (host, wanted) = (self.host(), wanted.to_owned());
        if !response.status.is_success() {
            let message = self.message(response);
            return Err(AppError::Refused { host, wanted, status: response.status.as_u16(), message });
        }
        let reason = || "it is not the JSON that was expected".to_owned();
        serde_json::from_slice(&response.body).map_err(|_| AppError::InvalidResponse { host, wanted, reason: reason() })
    }
}

/// The certificate authorities. Their file is read each time, so that it can be rotated.
fn authorities(config: &AppConfig) -> Result<Authorities, AppError> {
    let Some(file) = &config.ca_file else { return Ok(Authorities::System) };
    let unreadable = |error: std::io::Error| AppError::Unreadable {
        app: config.id.clone(),
        file: file.clone(),
        reason: error.to_string(),
    };
    let pem = std::fs::read(file).map_err(unreadable)?;
    let wrong = |reason| AppError::Authorities { file: file.clone(), reason };
    Ok(Authorities::Also(http::parse_certificates(&pem).map_err(wrong)?))
}

/// The time at the server.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp())
}
