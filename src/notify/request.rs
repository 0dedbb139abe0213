//! An event as the request that a service expects.

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use serde_json::Value;
use url::Url;

use crate::secret::Secret;

use super::chat;
use super::commit_status;
use super::config::{SecretSource, Service};
use super::error::NotifyError;
use super::event::Event;

/// A request that is ready to be sent.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    /// Their values may be secrets.
    pub(super) headers: Vec<(HeaderName, Secret<String>)>,
    pub(super) body: String,
}

impl Request {
    /// A POST of JSON.
    pub(super) fn json(url: Url, body: &Value) -> Request {
        let headers = vec![(CONTENT_TYPE, Secret::new("application/json".to_owned()))];
        Request { method: Method::POST, url, headers, body: body.to_string() }
    }

    /// With credentials of a scheme: `Bearer`, `token`.
    pub(super) fn authorized(mut self, scheme: &str, token: &Secret<String>) -> Request {
        self.headers.push((AUTHORIZATION, Secret::new(format!("{scheme} {}", token.expose()))));
        self
    }
}

impl SecretSource {
    /// What stands there, without the line end that editors leave.
    pub(super) fn read(&self) -> Result<Secret<String>, NotifyError> {
        match self {
            SecretSource::Value(value) => Ok(value.clone()),
            SecretSource::File(file) => {
                let fail = |source| NotifyError::Unreadable { file: file.clone(), source };
                let text = Secret::new(std::fs::read_to_string(file).map_err(fail)?);
                Ok(Secret::new(text.expose().trim().to_owned()))
            }
        }
    }

    /// The URL that stands there.
    pub(super) fn url(&self) -> Result<Url, NotifyError> {
        let text = self.read()?;
        let url = Url::parse(text.expose()).map_err(|_| NotifyError::NoUrl)?;
        if matches!(url.scheme(), "https" | "http") { Ok(url) } else { Err(NotifyError::NoUrl) }
    }
}

impl Service {
    /// Whether several events go well into one message.
    pub(super) fn is_chat(&self) -> bool {
        matches!(self, Service::Slack { .. } | Service::Discord { .. } | Service::Teams { .. } | Service::Matrix { .. })
    }

    /// The request that tells of events, of which there is at least one, and exactly one where this is no chat; or
    /// nothing, where the service cannot be told of them. `key` is the same for each try of one delivery.
    pub(super) fn request(&self, events: &[Event], key: &str) -> Result<Option<Request>, NotifyError> {
        match self {
            Service::Slack { url } => chat::slack(url.url()?, events).map(Some),
            Service::Discord { url } => chat::discord(url.url()?, events).map(Some),
            Service::Teams { url } => chat::teams(url.url()?, events).map(Some),
            Service::Matrix { server, room, token } => {
                chat::matrix(server, room, &token.read()?, events, key).map(Some)
            }
            Service::Webhook { url, body, token, secret } => {
                let Some(event) = events.first() else { return Ok(None) };
                let mut request =
                    body.request(url.url()?, event, secret.as_ref().map(SecretSource::read).transpose()?.as_ref())?;
                if let Some(token) = token {
                    request = request.authorized("Bearer", &token.read()?);
                }
                Ok(Some(request))
            }
            Service::Gitea(forge) => commit_status::request(forge, "token", events),
            Service::GitHub(forge) => commit_status::request(forge, "Bearer", events),
        }
    }
}
