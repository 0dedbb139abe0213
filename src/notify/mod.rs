//! Where news goes: chats, webhooks, the status of a commit. Whoever has news hands it over and goes on; each channel
//! has a queue and a task of its own.
//!
//! - [`config`]: what the channels have to be told
//! - [`event`]: what there is to tell
//! - [`desk`]: the queues, and how often a channel may be spoken to
//! - [`courier`]: one delivery, tried again where that may help
//! - [`letter`]: an event as the request that a service expects
//! - [`chat`]: Slack, Discord, Teams, Matrix
//! - [`webhook`]: any other service, by a template
//! - [`commit_status`]: Gitea's and GitHub's mark on a commit
//! - [`error`]: what goes wrong

mod chat;
mod commit_status;
pub mod config;
mod courier;
pub mod desk;
pub mod error;
pub mod event;
mod letter;
pub mod webhook;
