//! The agent: cycles by schedule until it is told to stop, and what it shows of itself meanwhile.
//!
//! - [`config`]: what it has to be told
//! - [`runtime`]: everything built from one configuration, and its replacement on reload
//! - [`schedule`]: one cycle after the other
//! - [`trigger`]: starts a cycle for the images of an event
//! - [`webhook`]: being told of pushes
//! - [`worker`]: one cycle, bounded in time and apart
//! - [`rollouts`]: what becomes of commits in the cluster
//! - [`outcome`]: how a cycle ended
//! - [`observers`]: who is notified of outcomes
//! - [`log`]: the log
//! - [`events`]: the events that are sent to notification channels
//! - [`metrics`]: counters for Prometheus
//! - [`status`]: the state of every image
//! - [`listing`]: all images of a cycle, and pages of them
//! - [`query`]: which images and which page are asked for
//! - [`snapshot`]: what the server shows
//! - [`server`]: health, metrics and status over HTTP
//! - [`page`]: the status page
//! - [`summary`]: the same as JSON
//! - [`link`]: where a commit can be looked at

pub mod config;
pub mod events;
pub mod link;
pub mod listing;
pub mod log;
pub mod metrics;
pub mod observers;
pub mod outcome;
pub mod page;
pub mod query;
pub mod rollouts;
pub mod runtime;
pub mod schedule;
pub mod server;
pub mod snapshot;
pub mod status;
pub mod summary;
pub mod trigger;
pub mod webhook;
pub mod worker;
