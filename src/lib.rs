//! # The map of the house
//!
//! Tagalong keeps the image tags of an infrastructure repository in step with the registry. Modules stand in layers;
//! a module imports only from layers below its own. `tests/layers.rs` proves it.
//!
//! | layer | modules | what lives there |
//! | --- | --- | --- |
//! | 0 | [`image`], [`path`], [`platform`], [`secret`], [`fault`] | the vocabulary |
//! | 1 | [`yaml`] | where each value of a file stands, and how to change one |
//! | 1 | [`manifest`] | image fields: where they are, how they are edited, who shadows whom |
//! | 1 | [`policy`] | which tag an image should have, and why |
//! | 1 | [`sops`] | encrypted files: opened, judged, written |
//! | 1 | [`plan`] | what shall change on a tip, and what may |
//! | 2 | [`registry`] | the OCI distribution API |
//! | 2 | [`cluster`] | Kubernetes: which replica leads, what became of a commit |
//! | 2 | [`http`] | HTTP clients, alike for all outside systems |
//! | 2 | [`forge`] | pull requests |
//! | 2 | [`keys`] | age identities, from where sops takes them |
//! | 2 | [`notify`] | where news goes |
//! | 2 | [`repo`] | git on a bare clone |
//! | 3 | [`cycle`] | one pass from fetch to push, and again after a lost race |
//! | 4 | [`agent`] | passes by schedule, and what is shown of them |
//! | 4 | [`cli`] | the command line, one file a command |
//! | 4 | [`config`] | `tagalong.yaml`, flags and environment |
//! | 4 | [`demo`] | the embedded registry and repository |
//! | 4 | [`telemetry`] | logs and traces |
//!
//! Data flows one way: registry to policy to plan to gate to repository to report.

pub mod agent;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod cycle;
pub mod demo;
pub mod fault;
pub mod forge;
pub mod http;
pub mod image;
pub mod keys;
pub mod manifest;
pub mod notify;
pub mod path;
pub mod plan;
pub mod platform;
pub mod policy;
pub mod registry;
pub mod repo;
pub mod secret;
pub mod sops;
pub mod telemetry;
pub mod yaml;
