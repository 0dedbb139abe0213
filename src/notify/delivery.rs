//! Delivers events to one channel, with retries.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use crate::http::{self, ConnectionFailure};

use super::config::Channel;
use super::error::NotifyError;
use super::event::Event;
use super::request::Request;

/// The timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The longest `Retry-After` that is honoured.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Delivers events; returns `false` if the service has no notion of them.
pub(super) async fn deliver(channel: &Channel, events: &[Event]) -> Result<bool, NotifyError> {
    let key = format!("tagalong-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let delays = ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(Duration::from_secs(60))
        .with_max_times(5)
        .with_jitter();
    // Secrets are read for each attempt, because a token may be rotated in the meantime.
    let attempt = || async {
        match channel.service.request(events, &key)? {
            Some(request) => send(channel, &request).await.map(|()| true),
            None => Ok(false),
        }
    };
    attempt
        .retry(delays)
        .when(NotifyError::is_transient)
        .adjust(|error, delay| match error {
            NotifyError::Refused { wait: Some(wait), .. } => delay.map(|delay| delay.max(*wait).min(LONGEST_WAIT)),
            _ => delay,
        })
        .notify(|error, delay| {
            tracing::debug!(channel = %channel.name, %error, wait_s = delay.as_secs_f64(), "delivery failed; retrying");
        })
        .await
}

async fn send(channel: &Channel, request: &Request) -> Result<(), NotifyError> {
    let host = request.url.host_str().unwrap_or_default().to_owned();
    let unreachable = |error: reqwest::Error| {
        let reason = if error.is_timeout() { "no response in time".to_owned() } else { http::root_cause(&error) };
        NotifyError::Unreachable { host: host.clone(), reason, failure: ConnectionFailure::of(&error) }
    };
    let mut client = http::builder(TIMEOUT);
    if let Some(file) = &channel.ca_file {
        let unreadable = |source| NotifyError::Unreadable { file: file.clone(), source };
        let pem = std::fs::read(file).map_err(unreadable)?;
        let wrong = |reason| NotifyError::Authorities { file: file.clone(), reason };
        client = client.tls_certs_merge(http::parse_certificates(&pem).map_err(wrong)?);
    }
    let client = client.build().map_err(unreachable)?;
    let mut builder = client.request(request.method.clone(), request.url.clone()).body(request.body.clone());
    for (name, value) in &request.headers {
        builder = builder.header(name, value.expose());
    }
    let response = builder.send().await.map_err(unreachable)?;
    if response.status().is_success() {
        return Ok(());
    }
    let wait = http::retry_after(response.headers());
    Err(NotifyError::Refused { host, status: response.status().as_u16(), wait })
}
