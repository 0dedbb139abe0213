//! The agent: cycles by schedule until it is told to stop, and what it shows of itself meanwhile.
//!
//! - [`config`]: what it has to be told
//! - [`setup`]: what a configuration comes to, and a new one in its place
//! - [`schedule`]: one cycle after the other
//! - [`wake`]: the bell by which it is woken for some images
//! - [`webhook`]: being told of pushes
//! - [`worker`]: one cycle, bounded in time and apart
//! - [`rollouts`]: what becomes of commits in the cluster
//! - [`outcome`]: how a cycle ended
//! - [`sinks`]: where outcomes go
//! - [`journal`]: the log
//! - [`news`]: what people are told of
//! - [`metrics`]: counters for Prometheus
//! - [`status`]: the state of every image
//! - [`listing`]: all images of a cycle, and pages of them
//! - [`query`]: which images and which page are asked for
//! - [`board`]: what the server shows
//! - [`server`]: health, metrics and status over HTTP
//! - [`page`]: the status page
//! - [`summary`]: the same as JSON
//! - [`link`]: where a commit can be looked at

pub mod board;
pub mod config;
pub mod journal;
pub mod link;
pub mod listing;
pub mod metrics;
pub mod news;
pub mod outcome;
pub mod page;
pub mod query;
pub mod rollouts;
pub mod schedule;
pub mod server;
pub mod setup;
pub mod sinks;
pub mod status;
pub mod summary;
pub mod wake;
pub mod webhook;
pub mod worker;
