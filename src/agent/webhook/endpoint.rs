//! `POST /webhooks/KIND`: accepts events, and triggers a cycle for the images that they name.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::agent::trigger::Trigger;
use crate::policy::scope::Target;
use crate::secret::Secret;

use super::authentic::Proof;
use super::config::{Kind, Webhook};
use super::events::updated_images;
use super::payload::{Payload, PayloadError};
use super::refusals::Refusals;

/// The maximum size of a body, in bytes. Registries send a few kilobytes.
const BODY_LIMIT: usize = 1 << 20;
/// The time within which a body must arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The number of bodies that are read at a time from senders that are not authenticated yet.
const MAX_UNPROVEN_BODIES: usize = 8;

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
    /// Requests without a valid proof.
    refusals: Arc<Refusals>,
    /// Authentic requests whose bodies are not understood.
    invalid: Arc<Refusals>,
    /// Requests that could not be authenticated because a secret cannot be read.
    unreadable: Arc<Refusals>,
    /// Permits to read the body of a sender that is not authenticated yet.
    unproven_bodies: Arc<Semaphore>,
}

/// Returns the routes of webhooks, which fire `trigger`.
pub fn router(senders: Arc<Senders>, trigger: Trigger) -> Router {
    let endpoint = Endpoint {
        senders,
        trigger,
        refusals: Arc::default(),
        invalid: Arc::default(),
        unreadable: Arc::default(),
        unproven_bodies: Arc::new(Semaphore::new(MAX_UNPROVEN_BODIES)),
    };
    Router::new().route("/webhooks/{kind}", post(receive)).with_state(endpoint)
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
    let proof = Proof::of(kind, &headers, query.as_deref().unwrap_or_default());
    match endpoint.accept(kind, senders, proof, &headers, body).await {
        Ok((sender, payload)) => endpoint.handle(&sender, &payload),
        Err(refusal) => refusal,
    }
}

impl Endpoint {
    /// Returns the authenticated sender and the payload. If the sender shows the secret itself, the body of a stranger is never
    /// read; signatures are over the body, so the bodies of strangers are read as well, but few at a time.
    async fn accept(
        &self,
        kind: Kind,
        senders: Vec<Webhook>,
        proof: Option<Proof>,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Webhook, Payload), Response> {
        let payload = |body| Payload::of(kind, headers, body);
        match proof {
            None => Err(self.reject(kind, &senders)),
            Some(proof @ Proof::Token(_)) => match sender(&senders, &proof, &payload(Bytes::new())) {
                Some(sender) => Ok((sender.clone(), payload(read(body).await?))),
                None => Err(self.reject(kind, &senders)),
            },
            Some(proof) => {
                let permit = timeout(BODY_TIMEOUT, self.unproven_bodies.acquire()).await;
                let Ok(Ok(_permit)) = permit else {
                    return Err(refusal(StatusCode::SERVICE_UNAVAILABLE, "too many webhooks at once"));
                };
                let payload = payload(read(body).await?);
                match sender(&senders, &proof, &payload) {
                    Some(sender) => Ok((sender.clone(), payload)),
                    None => Err(self.reject(kind, &senders)),
                }
            }
        }
    }

    /// Refuses a request that is not authentic, or that cannot be proven to be.
    fn reject(&self, kind: Kind, senders: &[Webhook]) -> Response {
        let now = Instant::now();
        for webhook in senders {
            let Err(reason) = secret(webhook) else { continue };
            if let Some(count) = self.unreadable.count(now) {
                let file = webhook.secret_file.display();
                tracing::error!(%kind, %file, %reason, count, "cannot read the webhook's secret");
            }
            return refusal(StatusCode::SERVICE_UNAVAILABLE, "the agent cannot read the webhook's secret");
        }
        if let Some(count) = self.refusals.count(now) {
            tracing::warn!(%kind, count, "rejected webhooks with an invalid secret or signature");
        }
        refusal(StatusCode::UNAUTHORIZED, "invalid secret or signature")
    }

    /// Refuses a form without an event that can be read.
    fn reject_form(&self, kind: Kind, error: PayloadError) -> Response {
        if let Some(count) = self.invalid.count(Instant::now()) {
            tracing::warn!(%kind, %error, count, "cannot read webhooks that were sent as forms");
        }
        refusal(error.status(), &error.to_string())
    }

    /// Triggers a cycle for the images of an event.
    fn handle(&self, sender: &Webhook, payload: &Payload) -> Response {
        let kind = sender.kind;
        let event = match payload.event() {
            Ok(event) => event,
            Err(error) => return self.reject_form(kind, error),
        };
        match updated_images(kind, event) {
            Ok(targets) => {
                let targets = targets.into_iter().map(|target| deployed_as(sender, target)).collect::<BTreeSet<_>>();
                tracing::debug!(%kind, images = targets.len(), "received a webhook");
                self.trigger.fire(targets);
                (StatusCode::ACCEPTED, "accepted\n").into_response()
            }
            Err(error) => {
                tracing::warn!(%kind, %error, "cannot parse a webhook");
                refusal(StatusCode::BAD_REQUEST, "not a valid event of this kind")
            }
        }
    }
}

/// Returns the sender that a proof is valid for.
fn sender<'w>(senders: &'w [Webhook], proof: &Proof, payload: &Payload) -> Option<&'w Webhook> {
    senders.iter().find(|webhook| secret(webhook).is_ok_and(|secret| payload.is_proved_by(proof, &secret)))
}

/// Reads a body, within its limits of size and time.
async fn read(body: Body) -> Result<Bytes, Response> {
    match timeout(BODY_TIMEOUT, to_bytes(body, BODY_LIMIT)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or incomplete")),
        Err(_) => Err(refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive")),
    }
}

/// Replaces the host of a target by the one under which its images are deployed.
fn deployed_as(sender: &Webhook, target: Target) -> Target {
    Target { host: sender.registry.clone().or(target.host), ..target }
}

/// Reads the secret. An empty one is an error: it would accept anybody.
pub fn secret(webhook: &Webhook) -> Result<Secret<String>, String> {
    let text = std::fs::read_to_string(&webhook.secret_file).map_err(|error| error.to_string())?;
    let text = Secret::new(text);
    let secret = text.expose().trim_end_matches(['\n', '\r']);
    if secret.is_empty() { Err("the file is empty".to_owned()) } else { Ok(Secret::new(secret.to_owned())) }
}

fn refusal(status: StatusCode, reason: &str) -> Response {
    (status, format!("{reason}\n")).into_response()
}
