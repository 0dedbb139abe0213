//! `POST /webhooks/KIND`: accepts events, and triggers a cycle for the images that they name.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::RwLock;

use crate::agent::trigger::Trigger;
use crate::policy::scope::Target;
use crate::secret::Secret;

use super::authentic::is_authentic;
use super::config::Webhook;
use super::events::updated_images;

/// The maximum size of a body, in bytes. Registries send a few kilobytes.
const BODY_LIMIT: usize = 1 << 20;
/// The time within which a body must arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The accepted senders, which change with the configuration.
#[derive(Debug, Default)]
pub struct Senders {
    webhooks: RwLock<Vec<Webhook>>,
}

impl Senders {
    /// Accepts these senders and no others.
    pub fn set(&self, webhooks: &[Webhook]) {
        webhooks.clone_into(&mut self.webhooks.write());
    }

    fn of_kind(&self, kind: &str) -> Vec<Webhook> {
        let webhooks = self.webhooks.read();
        webhooks.iter().filter(|webhook| webhook.kind.as_str() == kind).cloned().collect()
    }
}

#[derive(Clone)]
struct Endpoint {
    senders: Arc<Senders>,
    trigger: Trigger,
}

/// Returns the routes of webhooks, which fire `trigger`.
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
        Ok(Err(_)) => return refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or incomplete"),
        Err(_) => return refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive"),
    };
    let mut unreadable = false;
    let sender = senders.into_iter().find(|webhook| match secret(webhook) {
        Ok(secret) => is_authentic(kind, &secret, &headers, query.as_deref().unwrap_or_default(), &body),
        Err(reason) => {
            tracing::error!(%kind, file = %webhook.secret_file.display(), %reason, "cannot read the webhook's secret");
            unreadable = true;
            false
        }
    });
    let Some(sender) = sender else {
        if unreadable {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, "the agent cannot read the webhook's secret");
        }
        tracing::warn!(%kind, "rejected a webhook with an invalid secret or signature");
        return refusal(StatusCode::UNAUTHORIZED, "invalid secret or signature");
    };
    match updated_images(kind, &body) {
        Ok(targets) => {
            let targets = targets.into_iter().map(|target| deployed_as(&sender, target)).collect::<BTreeSet<_>>();
            tracing::debug!(%kind, images = targets.len(), "received a webhook");
            endpoint.trigger.fire(targets);
            (StatusCode::ACCEPTED, "accepted\n").into_response()
        }
        Err(error) => {
            tracing::warn!(%kind, %error, "cannot parse a webhook");
            refusal(StatusCode::BAD_REQUEST, "not a valid event of this kind")
        }
    }
}

/// Replaces the host of a target by the one under which its images are deployed.
fn deployed_as(sender: &Webhook, target: Target) -> Target {
    Target { host: sender.registry.clone().or(target.host), ..target }
}

/// Reads the secret. An empty one is an error: it would accept anybody.
fn secret(webhook: &Webhook) -> Result<Secret<String>, String> {
    let text = std::fs::read_to_string(&webhook.secret_file).map_err(|error| error.to_string())?;
    let text = Secret::new(text);
    let secret = text.expose().trim_end_matches(['\n', '\r']);
    if secret.is_empty() { Err("the file is empty".to_owned()) } else { Ok(Secret::new(secret.to_owned())) }
}

fn refusal(status: StatusCode, reason: &str) -> Response {
    (status, format!("{reason}\n")).into_response()
}
