//! # The map of the house
//!
//! Tagalong keeps the image tags of an infrastructure repository in step with the registry. Its modules stand on floors: a
//! module imports only from floors below its own, and no files import each other in a circle. `tests/layers.rs` reads this
//! table and proves it.
//!
//! | floor | modules | contents |
//! | --- | --- | --- |
//! | 0 | [`fault`] | kinds of failure, with exit codes and help |
//! | 1 | [`image`], [`path`], [`platform`], [`secret`] | the vocabulary: names, references, values that redact themselves |
//! | 2 | [`yaml`] | values of a file with their places, and edits that change nothing else |
//! | 2 | [`policy`] | which tag an image should have, and why |
//! | 2 | [`http`] | HTTP clients, the same for all outside systems |
//! | 3 | [`manifest`] | image fields: where they are, how they are edited, which ones decide |
//! | 3 | [`sops`] | encrypted files: opened, verified, written |
//! | 3 | [`registry`] | the OCI distribution API |
//! | 3 | [`cluster`] | Kubernetes: which replica leads, and what became of a commit |
//! | 3 | [`forge`] | pull requests |
//! | 3 | [`repo`] | git on a bare clone |
//! | 3 | [`telemetry`] | logs and traces |
//! | 4 | [`keys`] | age identities, from where sops takes them |
//! | 4 | [`plan`] | what should change on a tip, and what may |
//! | 5 | [`notify`] | chats, webhooks and commit statuses |
//! | 5 | [`cycle`] | from fetch to push, and again after a lost race |
//! | 6 | [`agent`] | cycles by schedule, and what is shown of them |
//! | 7 | [`config`] | `tagalong.yaml`, flags and environment |
//! | 8 | [`demo`] | the embedded registry and repository |
//! | 9 | [`cli`] | the command line, one file a command |
//!
//! Pure: [`fault`], [`image`], [`path`], [`platform`], [`secret`], [`yaml`], [`policy`], [`manifest`], [`sops`], [`plan`].
//! Pure modules use no runtime, no files, no environment and no clock, and only pure modules.
//!
//! Data flows one way: registry to policy to plan to gates to repository to report.

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
