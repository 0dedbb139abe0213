//! The request that each service expects for an event.

use super::chat;
use super::commit_status;
use super::config::Service;
use super::error::NotifyError;
use super::event::Event;
use super::request::Request;
use super::secret_source::SecretSource;

impl Service {
    /// Returns whether one message may contain several events.
    pub(super) fn is_chat(&self) -> bool {
        matches!(self, Service::Slack { .. } | Service::Discord { .. } | Service::Teams { .. } | Service::Matrix { .. })
    }

    /// Returns whether its URL is a secret, because knowing it is enough to send messages.
    pub(super) fn has_secret_url(&self) -> bool {
        !matches!(self, Service::Matrix { .. } | Service::Gitea(_) | Service::GitHub(_))
    }

    /// Forgets an access token, because the service has refused it. Returns whether there may be another.
    pub(super) async fn forget_token(&self) -> bool {
        match self {
            Service::Gitea(forge) | Service::GitHub(forge) => commit_status::forget_token(forge).await,
            _ => false,
        }
    }

    /// The request for events: at least one for a chat, exactly one for any other service. `None` if the service has no
    /// notion of the event. `key` is the same for all attempts of one delivery.
    pub(super) async fn request(&self, events: &[Event], key: &str) -> Result<Option<Request>, NotifyError> {
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
            Service::Gitea(forge) => commit_status::request(forge, "token", events).await,
            Service::GitHub(forge) => commit_status::request(forge, "Bearer", events).await,
        }
    }
}
