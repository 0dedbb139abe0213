//! Tries whether a channel could deliver, without anybody noticing.

use serde_json::Value;

use crate::forge::config::Kind as Product;
use crate::forge::rights::{NO_COMMIT, is_about_body, meaningless};

use super::config::{Channel, Service};
use super::delivery;
use super::error::NotifyError;
use super::event::{Event, Kind};

/// What was tried of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// Its token may set the statuses of commits.
    MaySetStatuses,
    /// Its settings make a request, but it was not sent, because people would read it.
    NotSent,
}

/// Tries a channel. The files with its secrets are read, and a token for commit statuses is tried on a commit that cannot
/// exist, with a status that means nothing.
pub async fn attempt(channel: &Channel) -> Result<Trial, NotifyError> {
    let event = Event { commit: Some(NO_COMMIT.to_owned()), ..Event::example(Kind::Updated) };
    let request = channel.service.request(&[event], "tagalong-check").await?;
    let product = match &channel.service {
        Service::Gitea(_) => Product::Gitea,
        Service::GitHub(_) => Product::GitHub,
        Service::Slack { .. }
        | Service::Discord { .. }
        | Service::Teams { .. }
        | Service::Matrix { .. }
        | Service::Webhook { .. } => return Ok(Trial::NotSent),
    };
    let Some(mut request) = request else { return Ok(Trial::NotSent) };
    request.body = Value::to_string(&meaningless(product));
    match delivery::send(channel, &request).await {
        Err(NotifyError::Refused { status, .. }) if is_about_body(status) => Ok(Trial::MaySetStatuses),
        Err(error) => Err(error),
        Ok(()) => Ok(Trial::MaySetStatuses),
    }
}
