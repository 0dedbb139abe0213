//! One delivery, tried again where that may help.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use crate::http;

use super::config::Channel;
use super::error::NotifyError;
use super::event::Event;
use super::letter::Letter;

/// How long a service may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The longest that a service's wish to be left alone is granted.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Brings the events of one channel.
pub(super) struct Courier {
    channel: Channel,
}

impl Courier {
    pub(super) fn new(channel: Channel) -> Courier {
        Courier { channel }
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Tells the service of events; `false` where it cannot be told of them.
    pub(super) async fn deliver(&self, events: &[Event]) -> Result<bool, NotifyError> {
        let key = format!("tagalong-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_secs(1))
            .with_max_delay(Duration::from_secs(60))
            .with_max_times(5)
            .with_jitter();
        // Places are read anew for each try: a token may be rotated meanwhile.
        let attempt = || async {
            match self.channel.service.letter(events, &key)? {
                Some(letter) => self.send(&letter).await.map(|()| true),
                None => Ok(false),
            }
        };
        attempt
            .retry(delays)
            .when(NotifyError::is_passing)
            .adjust(|error, delay| match error {
                NotifyError::Refused { wait: Some(wait), .. } => delay.map(|delay| delay.max(*wait).min(LONGEST_WAIT)),
                _ => delay,
            })
            .notify(|error, delay| {
                tracing::debug!(channel = %self.channel.name, %error, wait_s = delay.as_secs_f64(), "not delivered yet");
            })
            .await
    }

    async fn send(&self, letter: &Letter) -> Result<(), NotifyError> {
        let host = letter.url.host_str().unwrap_or_default().to_owned();
        let unreachable = |error: reqwest::Error| {
            let reason =
                if error.is_timeout() { "it did not answer in time".to_owned() } else { http::innermost(&error) };
            NotifyError::Unreachable { host: host.clone(), reason }
        };
        let mut client = http::builder(TIMEOUT);
        if let Some(file) = &self.channel.ca_file {
            let unreadable = |source| NotifyError::Unreadable { file: file.clone(), source };
            let pem = std::fs::read(file).map_err(unreadable)?;
            let wrong = |reason| NotifyError::Authorities { file: file.clone(), reason };
            client = client.tls_certs_merge(http::authorities(&pem).map_err(wrong)?);
        }
        let client = client.build().map_err(unreachable)?;
        let mut request = client.request(letter.method.clone(), letter.url.clone()).body(letter.body.clone());
        for (name, value) in &letter.headers {
            request = request.header(name, value.expose());
        }
        let answer = request.send().await.map_err(unreachable)?;
        if answer.status().is_success() {
            return Ok(());
        }
        let wait = http::retry_after(answer.headers());
        Err(NotifyError::Refused { host, status: answer.status().as_u16(), wait })
    }
}
