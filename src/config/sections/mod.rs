//! The sections of `tagalong.yaml`, each to the settings of the module that it configures.
//!
//! - [`git`]: the keys of `git`
//! - [`transport`]: the keys of `ssh` and `https`, of `git` and of `sources`
//! - [`identity`]: the keys that replace a token of `git` and of `sources`
//! - [`github_app`]: the keys of `githubApp`, of `git`, of `sources` and of commit statuses
//! - [`forge`]: the keys of `git.forge`
//! - [`pull_request`]: the keys of `git.pullRequest`
//! - [`registries`]: the keys of `registries`
//! - [`sources`]: the keys of `sources`
//! - [`policies`]: the keys of `policies`, `fields` and `embedded`
//! - [`origin`]: the keys of `policies[].signed` and `policies[].attestations`
//! - [`stages`]: the keys of `stages`, `releases` and `windows`
//! - [`secrets`]: the keys of `secrets`
//! - [`trust`]: the keys of `trust`
//! - [`agent`]: the keys of `agent`
//! - [`notify`]: the keys of `notify`
//! - [`cluster`]: the keys of `cluster`

pub mod agent;
pub mod cluster;
pub mod forge;
pub mod git;
pub mod github_app;
pub mod identity;
pub mod notify;
pub mod origin;
pub mod policies;
pub mod pull_request;
pub mod registries;
pub mod secrets;
pub mod sources;
pub mod stages;
pub mod transport;
pub mod trust;
