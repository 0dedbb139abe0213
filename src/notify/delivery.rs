//! Delivers events to one channel, with retries.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::CONTENT_TYPE;

use crate::http::client::{self, Authorities, Client, SendError};
use crate::http::complaint::Complaint;
use crate::http::{self, ConnectionFailure};

use super::config::Channel;
use super::error::NotifyError;
use super::event::Event;
use super::request::Request;

/// The timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The most of an error response that is read, in bytes.
const ERROR_LIMIT: usize = 64 << 10;
/// Shorter parts of a URL are words, such as `hooks`.
const SHORTEST_SECRET: usize = 6;
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
        let Some(request) = channel.service.request(events, &key).await? else { return Ok(false) };
        match send(channel, &request).await {
            Err(NotifyError::Refused { status: 401, .. }) if channel.service.forget_token().await => {
                let Some(request) = channel.service.request(events, &key).await? else { return Ok(false) };
                send(channel, &request).await.map(|()| true)
            }
            sent => sent.map(|()| true),
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

/// Sends a request once.
pub(super) async fn send(channel: &Channel, request: &Request) -> Result<(), NotifyError> {
    let host = request.url.host_str().unwrap_or_default().to_owned();
    let unreachable = |error: reqwest::Error| {
        let reason = if error.is_timeout() { "no response in time".to_owned() } else { http::root_cause(&error) };
        NotifyError::Unreachable { host: host.clone(), reason, failure: ConnectionFailure::of(&error) }
    };
    let client = Client::new(TIMEOUT, authorities(channel)?, Vec::new()).map_err(unreachable)?;
    let invalid = |_| NotifyError::InvalidHeader { host: host.clone() };
    let mut sent = client::Request::new(request.method.clone(), request.url.clone());
    for (name, value) in &request.headers {
        sent = sent.with_secret(name.clone(), value).map_err(invalid)?;
    }
    sent.body = Some(request.body.clone().into_bytes());
    let response = client.send_for_status(&sent, ERROR_LIMIT).await.map_err(|error| match error {
        SendError::Redirect(problem) => NotifyError::Redirected { host: host.clone(), problem },
        SendError::Connection(error) => unreachable(error),
        SendError::Header(_) | SendError::TooLarge(_) => NotifyError::InvalidHeader { host: host.clone() },
    })?;
    if response.status.is_success() {
        return Ok(());
    }
    let wait = http::wait::retry_after(&response.headers);
    let complaint = Complaint::read(&response.headers, &response.body, &secrets_of(channel, request));
    Err(NotifyError::Refused { host, status: response.status.as_u16(), wait, complaint })
}

/// The secrets in a request: its tokens, and all parts of a URL that is a secret itself. Servers repeat URLs in their
/// errors.
fn secrets_of<'r>(channel: &Channel, request: &'r Request) -> Vec<&'r str> {
    let tokens = request.headers.iter().filter(|(name, _)| *name != CONTENT_TYPE);
    let tokens = tokens.filter_map(|(_, value)| value.expose().split(' ').next_back());
    let url = Some(&request.url).filter(|_| channel.service.has_secret_url());
    let parts = url.into_iter().flat_map(|url| url.path().split('/').chain(url.query()));
    tokens.chain(parts.filter(|part| part.len() >= SHORTEST_SECRET)).collect()
}

/// The certificate authorities of a channel. Their file is read for each request, so that it can be rotated.
fn authorities(channel: &Channel) -> Result<Authorities, NotifyError> {
    let Some(file) = &channel.ca_file else { return Ok(Authorities::System) };
    let unreadable = |source| NotifyError::Unreadable { file: file.clone(), source };
    let pem = std::fs::read(file).map_err(unreadable)?;
    let wrong = |reason| NotifyError::Authorities { file: file.clone(), reason };
    Ok(Authorities::Also(http::parse_certificates(&pem).map_err(wrong)?))
}
