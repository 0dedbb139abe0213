//! The sections of `tagalong.yaml`, each to the settings of the module that it configures.
//!
//! - [`git`]: `git`
//! - [`transport`]: `ssh` and `https`, of `git` and of `sources`
//! - [`pull_request`]: `git.pullRequest`
//! - [`registries`]: `registries`
//! - [`sources`]: `sources`
//! - [`policies`]: `policies`, `fields` and `embedded`
//! - [`secrets`]: `secrets`
//! - [`agent`]: `agent`
//! - [`notify`]: `notify`
//! - [`cluster`]: `cluster`

pub mod agent;
pub mod cluster;
pub mod git;
pub mod notify;
pub mod policies;
pub mod pull_request;
pub mod registries;
pub mod secrets;
pub mod sources;
pub mod transport;
