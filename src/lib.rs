//! # Map of the crate
//!
//! Tagalong keeps the image tags in an infrastructure repository up to date with the registry. The modules form layers:
//! a module imports only from layers below its own, which `tests/layers.rs` checks.
//!
//! | layer | modules | what they do |
//! | --- | --- | --- |
//! | 0 | [`image`], [`path`], [`platform`], [`secret`], [`fault`] | the vocabulary: names of images, files and platforms, values that redact themselves, kinds of failure |
//! | 1 | [`yaml`] | YAML parsed into nodes with their positions; edits to the bytes, each verified |
//! | 1 | [`manifest`] | image fields and their shapes, edits, kustomizations and what they shadow |
//! | 1 | [`policy`] | which tags match, how they are ordered, which one is chosen, or why none is |
//! | 1 | [`sops`] | SOPS files and age: decrypted, verified, checked against `.sops.yaml`, written |
//! | 1 | [`plan`] | fields and candidates to a plan, gates, holds, commit messages |
//! | 2 | [`http`] | HTTP clients for all outside systems: TLS, redirects, time limits |
//! | 2 | [`keys`] | age identities, from the places where sops looks |
//! | 2 | [`registry`] | the OCI distribution API |
//! | 2 | [`repo`] | git on a bare clone |
//! | 2 | [`forge`] | pull requests on Gitea, GitHub and GitLab |
//! | 2 | [`cluster`] | Kubernetes: leader election, and what Flux makes of a commit |
//! | 2 | [`notify`] | notifications: chats, webhooks, commit statuses |
//! | 3 | [`cycle`] | one cycle from fetch to push, planned again after a lost race |
//! | 4 | [`agent`] | scheduled cycles and what reports on them: log, metrics, status page |
//! | 4 | [`config`] | `tagalong.yaml`, flags and environment |
//! | 4 | [`demo`] | the demo with its embedded registry and repository |
//! | 4 | [`telemetry`] | logs and traces |
//! | 4 | [`cli`] | the command line, one file per command |
//!
//! Data flows one way: from registry to policy, plan, gates, repository and report.

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
