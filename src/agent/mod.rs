//! The agent: runs cycles on a schedule until it is stopped, and serves its status meanwhile.
//!
//! - `automatic_rollbacks`: the commits that the cluster could not apply and that are to be taken back
//! - [`config`]: its settings
//! - [`runtime`]: everything built from one configuration, and its replacement on reload
//! - [`schedule`]: runs one cycle after the other
//! - `script`: cycles as written, for its tests
//! - [`next_cycle`]: what the next cycle checks, and when
//! - [`signals`]: the signals that stop, reload or trigger it
//! - [`trigger`]: starts a cycle for the images of an event
//! - [`webhook`]: events with which registries announce new images
//! - [`worker`]: runs one cycle, limited in time and isolated
//! - [`rollouts`]: the rollout of commits in the cluster
//! - `history_reader`: reads the history of the branch in the background
//! - [`deployed_checks`]: the checks of what is deployed, beside cycles
//! - [`outcome`]: the outcome of a cycle
//! - [`observers`]: the observers of outcomes
//! - [`log`]: logs what cycles did
//! - [`events`]: the events that people are notified of
//! - `stage_events`: those about stages
//! - `sightings`: how often something was seen, so that it is reported once
//! - [`metrics`]: counters for Prometheus
//! - [`status`]: the status of every image
//! - [`row`]: one image
//! - [`board`]: what all stages hold, and pages of it
//! - [`listing`]: all images of a cycle, and pages of them
//! - [`query`]: the query string of the status page
//! - [`snapshot`]: the state that the server shows
//! - [`server`]: health, metrics and status over HTTP
//! - `connections`: its connections, within limits
//! - [`page`]: the status page
//! - [`summary`]: the same as JSON
//! - [`link`]: links to commits at the forge

mod automatic_rollbacks;
pub mod board;
pub mod config;
mod connections;
pub mod deployed_checks;
pub mod events;
mod history_reader;
pub mod link;
pub mod listing;
pub mod log;
pub mod metrics;
pub mod next_cycle;
pub mod observers;
pub mod outcome;
pub mod page;
pub mod query;
pub mod rollouts;
pub mod row;
pub mod runtime;
pub mod schedule;
#[cfg(test)]
mod script;
pub mod server;
mod sightings;
pub mod signals;
pub mod snapshot;
mod stage_events;
pub mod status;
pub mod summary;
pub mod trigger;
pub mod webhook;
pub mod worker;
