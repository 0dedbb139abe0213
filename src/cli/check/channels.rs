//! The channels of notifications.

use futures_util::{StreamExt, stream};

use crate::notify::config::Channel;
use crate::notify::trial::{self, Trial};

use super::row::Row;

/// How many channels are tried at the same time.
const SIDE_BY_SIDE: usize = 8;

/// Tries each channel, as far as nobody notices.
pub async fn check(channels: &[Channel]) -> Vec<Row> {
    let attempts = channels.iter().map(|channel| async move { (channel, trial::attempt(channel).await) });
    let results: Vec<_> = stream::iter(attempts).buffered(SIDE_BY_SIDE).collect().await;
    results
        .into_iter()
        .map(|(channel, result)| {
            let (detail, purpose) = match &result {
                Ok(Trial::MaySetStatuses) => ("may set commit statuses", "show updates at their commits"),
                _ => (
                    "its files can be used; whether messages arrive cannot be tried without sending one",
                    "notify people",
                ),
            };
            Row::of("notify", channel.name.clone(), result, detail).needed_to(purpose)
        })
        .collect()
}
