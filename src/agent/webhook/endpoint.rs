//! `POST /webhooks/KIND`: takes events, and wakes the agent for the images that they name.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use crate::agent::trigger::Trigger;
use crate::policy::scope::Target;
use crate::secret::Secret;

use super::authentic::is_authentic;
use super::config::Webhook;
use super::events::updated_images;

/// A body is read up to this size, in bytes. Registries send some kilobytes.
const BODY_LIMIT: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Who may tell of pushes now; another configuration may let in others.
#[derive(Debug, Default)]
pub struct Senders {
    webhooks: RwLock<Vec<Webhook>>,
}

impl Senders {
    /// Lets in these and nobody else.
    pub fn set(&self, webhooks: &[Webhook]) {
        webhooks.clone_into(&mut self.webhooks.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn of_kind(&self, kind: &str) -> Vec<Webhook> {
        let webhooks = self.webhooks.read().unwrap_or_else(PoisonError::into_inner);
        webhooks.iter().filter(|webhook| webhook.kind.as_str() == kind).cloned().collect()
    }
}

#[derive(Clone)]
struct Endpoint {
    senders: Arc<Senders>,
    trigger: Trigger,
}

/// The routes of webhooks; `trigger` is rung for what they tell.
pub fn router(senders: Arc<Senders>, trigger: Trigger) -> Router {
    Router::new().route("/webhooks/{kind}", post(receive)).with_state(Endpoint { senders, trigger })
}

async fn receive(
    State(endpoint): State<Endpoint>,
    Path(kind): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let senders = endpoint.senders.of_kind(&kind);
    let Some(kind) = senders.first().map(|webhook| webhook.kind) else {
        return refusal(StatusCode::NOT_FOUND, "no such webhook is configured");
    };
    let body = match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, BODY_LIMIT)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large, or broke off"),
        Err(_) => return refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
    };
    let mut unreadable = false;
    let sender = senders.into_iter().find(|webhook| match secret(webhook) {
        Ok(secret) => is_authentic(kind, &secret, &headers, query.as_deref().unwrap_or_default(), &body),
        Err(reason) => {
            tracing::error!(%kind, file = %webhook.secret_file.display(), %reason, "the webhook's secret cannot be read");
            unreadable = true;
            false
        }
    });
    let Some(sender) = sender else {
        if unreadable {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, "the webhook's secret cannot be read here");
        }
        tracing::warn!(%kind, "a webhook with a wrong secret or signature was refused");
        return refusal(StatusCode::UNAUTHORIZED, "the secret or the signature is wrong");
    };
    match updated_images(kind, &body) {
        Ok(targets) => {
            let targets = targets.into_iter().map(|target| deployed_as(&sender, target)).collect::<BTreeSet<_>>();
            tracing::debug!(%kind, images = targets.len(), "a webhook was received");
            endpoint.trigger.fire(targets);
            (StatusCode::ACCEPTED, "accepted\n").into_response()
        }
        Err(error) => {
            tracing::warn!(%kind, %error, "a webhook was not understood");
            refusal(StatusCode::BAD_REQUEST, "this is no event of this kind")
        }
    }
}

/// A target under the host by which its images are deployed.
fn deployed_as(sender: &Webhook, target: Target) -> Target {
    Target { host: sender.registry.clone().or(target.host), ..target }
}

/// The secret; an empty one would let anybody in.
fn secret(webhook: &Webhook) -> Result<Secret<String>, String> {
    let text = std::fs::read_to_string(&webhook.secret_file).map_err(|error| error.to_string())?;
    let text = Secret::new(text);
    let secret = text.expose().trim_end_matches(['\n', '\r']);
    if secret.is_empty() { Err("it is empty".to_owned()) } else { Ok(Secret::new(secret.to_owned())) }
}

fn refusal(status: StatusCode, words: &str) -> Response {
    (status, format!("{words}\n")).into_response()
}
