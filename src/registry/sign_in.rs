//! Signs in to one host: its challenge, credential and tokens, each requested once.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use parking_lot::Mutex;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, StatusCode, Url};

use crate::http::client::{Request, Response};
use crate::http::excerpt::excerpt;
use crate::http::wait::retry_after;
use crate::secret::Secret;

use super::auth::{Challenge, Token, TokenResponse};
use super::cloud_identity::CloudIdentity;
use super::credentials::{self, Credential};
use super::error::RegistryError;
use super::realms::{TokenServer, may_have_credentials};
use super::single_flight::SingleFlight;
use super::transport::{Transport, unreachable};

const TOKEN_RESPONSE_LIMIT: usize = 256 << 10;
/// The longest token, in bytes. It is sent as a header, of which servers accept less.
const LONGEST_TOKEN: usize = 64 << 10;
const TOKEN_REQUEST: &str = "the request for a token";
/// Used as the scope for the token of an API without scopes.
const ACCESS_TOKEN: &str = "access token";
/// The timeout of a credential helper.
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

/// The source of a host's credential.
#[derive(Debug)]
pub enum CredentialSource {
    /// There is none: requests are anonymous.
    Nothing,
    /// A Docker config file.
    File(PathBuf),
    /// A given credential.
    Given {
        /// The credential.
        credential: Credential,
        /// The origin that messages name.
        from: String,
    },
}

/// The state of signing in to a host.
#[derive(Debug)]
pub struct SignIn {
    name: String,
    base: Url,
    token_server: Option<TokenServer>,
    transport: Transport,
    credential_source: CredentialSource,
    /// The identity for when that source has no credential.
    identity: Option<CloudIdentity>,
    challenge: Mutex<Option<Challenge>>,
    tokens: Mutex<HashMap<String, Token>>,
    fetching: SingleFlight<String, Result<Token, RegistryError>>,
}

impl SignIn {
    /// Creates the state, without a challenge yet.
    pub fn new(
        name: &str,
        base: &Url,
        transport: Transport,
        credential_source: CredentialSource,
        identity: Option<CloudIdentity>,
        token_server: Option<TokenServer>,
    ) -> Arc<SignIn> {
        Arc::new(SignIn {
            name: name.to_owned(),
            base: base.clone(),
            token_server,
            transport,
            credential_source,
            identity,
            challenge: Mutex::default(),
            tokens: Mutex::default(),
            fetching: SingleFlight::default(),
        })
    }

    /// The same host with another credential, without a challenge yet.
    pub fn with_credential_source(&self, credential_source: CredentialSource) -> Arc<SignIn> {
        let (base, transport) = (&self.base, self.transport.clone());
        SignIn::new(&self.name, base, transport, credential_source, None, self.token_server.clone())
    }

    /// The `Authorization` header for the challenge so far; `None` is anonymous.
    pub async fn authorization(self: &Arc<Self>, scope: &str) -> Result<Option<Secret<String>>, RegistryError> {
        let challenge = self.challenge.lock().clone();
        match challenge {
            None => Ok(None),
            Some(Challenge::Basic) => match self.credential(scope).await? {
                Some(Credential::Password { user, password }) => Ok(Some(basic(&user, &password))),
                Some(Credential::RefreshToken(_)) | None => Ok(None),
            },
            Some(Challenge::Bearer { realm, service }) => {
                let held = self.tokens.lock().get(scope).filter(|token| token.is_valid(Instant::now())).cloned();
                let token = match held {
                    Some(token) => token,
                    None => {
                        let (this, wanted) = (Arc::clone(self), scope.to_owned());
                        let fetch = || async move { this.new_token(&realm, service.as_deref(), &wanted).await }.boxed();
                        self.fetching.join(&scope.to_owned(), fetch).await?
                    }
                };
                Ok(Some(bearer(&token)))
            }
        }
    }

    /// The `Authorization` header with user and password; `None` is anonymous.
    pub async fn basic(&self, scope: &str) -> Result<Option<Secret<String>>, RegistryError> {
        Ok(match self.credential(scope).await? {
            Some(Credential::Password { user, password }) => Some(basic(&user, &password)),
            Some(Credential::RefreshToken(_)) | None => None,
        })
    }

    /// The `Authorization` header with a token of Docker Hub's API (its reference, operation `AuthCreateAccessToken`);
    /// `None` is anonymous.
    pub async fn access_token(
        self: &Arc<Self>,
        base: &Url,
        scope: &str,
    ) -> Result<Option<Secret<String>>, RegistryError> {
        let held = self.tokens.lock().get(ACCESS_TOKEN).filter(|token| token.is_valid(Instant::now())).cloned();
        if let Some(held) = held {
            return Ok(Some(bearer(&held)));
        }
        let Some(Credential::Password { user, password }) = self.credential(scope).await? else { return Ok(None) };
        let url = base.join("v2/auth/token").map_err(|error| unreachable(&self.name, error.to_string()))?;
        let (this, scope) = (Arc::clone(self), scope.to_owned());
        let fetch = || {
            async move {
                let body = serde_json::json!({ "identifier": user, "secret": password.expose() });
                let request = post(url, "application/json", body.to_string());
                let response = this.transport.fetch(&request, TOKEN_RESPONSE_LIMIT, TOKEN_REQUEST).await?;
                this.token_in(&response, ACCESS_TOKEN, || this.denied(&scope))
            }
            .boxed()
        };
        Ok(Some(bearer(&self.fetching.join(&ACCESS_TOKEN.to_owned(), fetch).await?)))
    }

    /// Returns the identity from a cloud that the last request was made with, in words.
    pub fn identity(&self) -> Option<String> {
        self.identity.as_ref().filter(|identity| identity.is_used()).map(CloudIdentity::description)
    }

    /// Remembers the challenge in a 401 response. `used` is the header that was rejected.
    pub async fn challenged(
        &self,
        headers: &HeaderMap,
        scope: &str,
        used: Option<&Secret<String>>,
    ) -> Result<(), RegistryError> {
        let headers = headers.get_all(WWW_AUTHENTICATE).iter();
        let challenge = headers.filter_map(|value| value.to_str().ok()).find_map(Challenge::parse);
        let challenge = challenge.ok_or_else(|| self.denied(scope))?;
        // A password is sent as it is, so it is the one that was rejected.
        if challenge == Challenge::Basic && used.is_some() {
            self.identity_refused().await;
        }
        *self.challenge.lock() = Some(challenge);
        // Only the rejected token is dropped: another request may have fetched a new one in the meantime.
        let mut tokens = self.tokens.lock();
        if used.is_some() && tokens.get(scope).map(bearer).as_ref() == used {
            tokens.remove(scope);
        }
        Ok(())
    }

    /// Forgets a credential of the identity that was rejected, and returns whether another one may be better.
    async fn identity_refused(&self) -> bool {
        match self.identity.as_ref().filter(|identity| identity.is_used()) {
            Some(identity) => identity.refused().await,
            None => false,
        }
    }

    /// The error for rejected credentials.
    pub fn denied(&self, scope: &str) -> RegistryError {
        let host = self.name.clone();
        let what = scope.split(':').nth(1).unwrap_or("this host").to_owned();
        if let Some(identity) = self.identity.as_ref().filter(|identity| identity.is_used()) {
            let (provider, identity) = (identity.provider(), identity.description());
            return RegistryError::IdentityDenied { host, provider, identity, what };
        }
        let from = match &self.credential_source {
            CredentialSource::File(file) => file.display().to_string(),
            CredentialSource::Given { from, .. } => from.clone(),
            CredentialSource::Nothing => return self.no_credentials(),
        };
        RegistryError::Denied { host, from, what }
    }

    /// The error for a request that needs credentials, where there are none.
    pub fn no_credentials(&self) -> RegistryError {
        if let Some(problem) = self.identity.as_ref().and_then(CloudIdentity::problem) {
            return problem;
        }
        let file = match &self.credential_source {
            CredentialSource::File(file) => Some(file.clone()),
            CredentialSource::Given { .. } | CredentialSource::Nothing => None,
        };
        RegistryError::NoCredentials { host: self.name.clone(), file }
    }

    /// Requests a token, a second time if the credential of an identity has been revoked before it expired.
    async fn new_token(&self, realm: &str, service: Option<&str>, scope: &str) -> Result<Token, RegistryError> {
        match self.fetch_token(realm, service, scope).await {
            Err(RegistryError::IdentityDenied { .. }) if self.identity_refused().await => {
                self.fetch_token(realm, service, scope).await
            }
            fetched => fetched,
        }
    }

    /// Requests a token from the token server; anonymously if there are no credentials, as for public images.
    async fn fetch_token(&self, realm: &str, service: Option<&str>, scope: &str) -> Result<Token, RegistryError> {
        let mut url = Url::parse(realm).map_err(|_| self.invalid_response("its realm is not a valid URL"))?;
        if self.base.scheme() == "https" && url.scheme() != "https" {
            return Err(self.invalid_response("its token server does not use https"));
        }
        let credential = self.credential(scope).await?;
        let is_trusted = may_have_credentials(&url, &self.base, self.token_server.as_ref());
        if credential.is_some() && !is_trusted {
            let realm = excerpt(&url.origin().ascii_serialization());
            return Err(RegistryError::ForeignRealm { host: self.name.clone(), realm });
        }
        let mut fields: Vec<(&str, &str)> = Vec::new();
        fields.extend(service.map(|service| ("service", service)));
        fields.extend((!scope.is_empty()).then_some(("scope", scope)));
        let request = match &credential {
            Some(Credential::RefreshToken(token)) => {
                fields.extend([
                    ("grant_type", "refresh_token"),
                    ("client_id", "tagalong"),
                    ("refresh_token", token.expose()),
                ]);
                let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
                post(url, "application/x-www-form-urlencoded", form)
            }
            Some(Credential::Password { user, password }) => {
                url.query_pairs_mut().extend_pairs(fields);
                let request = Request::new(Method::GET, url).with_secret(AUTHORIZATION, &basic(user, password));
                request.map_err(|error| self.transport.failed(error, TOKEN_REQUEST))?
            }
            None => {
                url.query_pairs_mut().extend_pairs(fields);
                Request::new(Method::GET, url)
            }
        };
        let response = match is_trusted {
            true => self.transport.fetch(&request, TOKEN_RESPONSE_LIMIT, TOKEN_REQUEST).await?,
            false => {
                let fetch =
                    self.transport.fetch_as_redirected(&self.base, &request, TOKEN_RESPONSE_LIMIT, TOKEN_REQUEST);
                fetch.await?
            }
        };
        self.token_in(&response, scope, || match credential {
            Some(_) => self.denied(scope),
            None => self.no_credentials(),
        })
    }

    /// Reads the token from a response and keeps it for its scope.
    fn token_in(
        &self,
        response: &Response,
        scope: &str,
        refused: impl FnOnce() -> RegistryError,
    ) -> Result<Token, RegistryError> {
        if let Some(problem) = response.wants_credentials_elsewhere() {
            return Err(self.transport.failed(problem.into(), TOKEN_REQUEST));
        }
        match response.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => Err(refused()),
            StatusCode::TOO_MANY_REQUESTS => {
                Err(RegistryError::RateLimited { host: self.name.clone(), wait: retry_after(&response.headers) })
            }
            status if !status.is_success() => Err(RegistryError::ServerError {
                host: self.name.clone(),
                status: status.as_u16(),
                what: TOKEN_REQUEST.to_owned(),
            }),
            _ => {
                let response: Option<TokenResponse> = serde_json::from_slice(&response.body).ok();
                let token = response.and_then(|response| response.into_token(Instant::now()));
                let token = token.ok_or_else(|| self.invalid_response("it contains no token"))?;
                if token.value.expose().len() > LONGEST_TOKEN {
                    return Err(self.invalid_response("its token is longer than 64 KiB"));
                }
                self.tokens.lock().insert(scope.to_owned(), token.clone());
                Ok(token)
            }
        }
    }

    fn invalid_response(&self, reason: &str) -> RegistryError {
        RegistryError::InvalidResponse {
            host: self.name.clone(),
            what: TOKEN_REQUEST.to_owned(),
            reason: reason.to_owned(),
        }
    }

    /// The credential for a scope: that of the source, else that of the identity.
    async fn credential(&self, scope: &str) -> Result<Option<Credential>, RegistryError> {
        let found = match &self.credential_source {
            CredentialSource::Nothing => None,
            CredentialSource::Given { credential, .. } => Some(credential.clone()),
            CredentialSource::File(file) => self.credential_in(file.clone(), scope).await?,
        };
        match (&self.identity, found) {
            (Some(identity), None) => identity.credential(&self.base, &self.transport).await,
            (identity, found) => {
                identity.iter().for_each(CloudIdentity::not_used);
                Ok(found)
            }
        }
    }

    async fn credential_in(&self, file: PathBuf, scope: &str) -> Result<Option<Credential>, RegistryError> {
        let named = file.clone();
        let (name, path) = (self.name.clone(), scope.split(':').nth(1).unwrap_or_default().to_owned());
        // A credential helper is a separate process and may be slow, but not forever.
        let look = tokio::task::spawn_blocking(move || credentials::look_up(&file, &name, &path));
        match tokio::time::timeout(HELPER_TIMEOUT, look).await {
            Ok(Ok(found)) => found,
            Ok(Err(stopped)) => Err(unreachable(&self.name, stopped.to_string())),
            Err(_) => Err(RegistryError::CredentialsFile {
                file: named,
                reason: format!("its credential helper did not respond within {} s", HELPER_TIMEOUT.as_secs()),
            }),
        }
    }
}

fn basic(user: &str, password: &Secret<String>) -> Secret<String> {
    use base64::Engine;
    let pair = Secret::new(format!("{user}:{}", password.expose()));
    Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair.expose())))
}

fn post(url: Url, content_type: &'static str, body: String) -> Request {
    let mut request = Request::new(Method::POST, url);
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    request.body = Some(body.into_bytes());
    request
}

fn bearer(token: &Token) -> Secret<String> {
    Secret::new(format!("Bearer {}", token.value.expose()))
}
