//! Notifications to chats, webhooks and commit statuses. Dispatching an event never blocks; each channel has its own
//! queue and task.
//!
//! - [`config`]: the settings of the channels
//! - [`event`]: the events that channels are notified of
//! - [`dispatcher`]: the queues of the channels, and how often each is served
//! - `delivery`: delivers events to one channel, with retries
//! - [`trial`]: tries whether a channel could deliver
//! - `service`: the request that each service expects for an event
//! - `request`: a request to a service
//! - [`secret_source`]: the source of a URL or a token
//! - `chat`: Slack, Discord, Teams and Matrix
//! - [`webhook`]: any other service, through a template
//! - `commit_status`: commit statuses on Gitea and GitHub
//! - [`metrics`]: counts the deliveries
//! - [`error`]: the errors of a delivery

mod chat;
mod commit_status;
pub mod config;
mod delivery;
pub mod dispatcher;
pub mod error;
pub mod event;
pub mod metrics;
mod request;
pub mod secret_source;
mod service;
pub mod trial;
pub mod webhook;
