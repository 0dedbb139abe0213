//! # Map of the crate
//!
//! Tagalong keeps the image tags in an infrastructure repository up to date with the registry. The modules form layers: a
//! module imports only from layers below its own, and no files import each other in a circle. `tests/layers.rs` reads this
//! table and checks it.
//!
//! | layer | modules | what they do |
//! | --- | --- | --- |
//! | 0 | [`fault`] | kinds of failure, with exit codes and help |
//! | 1 | [`clock`] | the current time, limited to what every part can handle |
//! | 1 | [`progress`] | the progress of work that may take a while, reported to whoever shows it |
//! | 1 | [`diff`] | the lines in which two texts differ |
//! | 1 | [`image`], [`path`], [`platform`], [`secret`], [`text`] | the vocabulary: names of images, charts, files and platforms, values that redact themselves, foreign text made safe to show |
//! | 2 | [`yaml`] | YAML parsed into nodes with their positions; edits to the bytes, each verified |
//! | 2 | [`policy`] | which tags match, how they are ordered, which one is chosen, or why none is |
//! | 2 | [`window`] | deployment windows: local time, weekly periods, calendars |
//! | 2 | [`http`] | HTTP clients for all outside systems: TLS, redirects, time limits |
//! | 3 | [`manifest`] | image fields and their shapes, edits, kustomizations and what they shadow |
//! | 3 | [`sops`] | SOPS files and age: decrypted, verified, checked against `.sops.yaml`, written |
//! | 3 | [`cluster`] | Kubernetes: leader election, what Flux and Argo CD make of a commit, and what runs in pods |
//! | 3 | [`identity`] | the identity of this process at registries, forges and git servers, without a stored password |
//! | 3 | [`telemetry`] | logs and traces |
//! | 4 | [`registry`] | the OCI distribution API, and Helm repositories |
//! | 4 | [`forge`] | pull requests, reviews and commit statuses on Gitea, GitHub and GitLab |
//! | 4 | [`repo`] | git on a bare clone |
//! | 4 | [`stage`] | stages: releases, what proves them, and what they wait for |
//! | 4 | [`keys`] | age identities, from the places where sops looks |
//! | 4 | [`survey`] | what moved in a history, and the configuration that follows from it |
//! | 5 | [`plan`] | fields and candidates to a plan, holds, commit messages |
//! | 6 | [`notify`] | notifications: chats, webhooks, commit statuses |
//! | 6 | [`cycle`] | one cycle from fetch to push, planned again after a lost race |
//! | 7 | [`agent`] | scheduled cycles and what reports on them: log, metrics, status page |
//! | 8 | [`config`] | `tagalong.yaml`, flags and environment |
//! | 9 | [`demo`] | the demo with its embedded registry and repository |
//! | 10 | [`cli`] | the command line, one file per command |
//!
//! Pure: [`diff`], [`fault`], [`image`], [`path`], [`platform`], [`secret`], [`text`].
//! Pure: [`yaml`], [`policy`], [`window`], [`manifest`], [`sops`], [`survey`], [`stage`], [`plan`].
//!
//! Pure modules use no runtime, no files, no environment and no clock, and only import pure modules.
//!
//! Data flows one way: from registry to policy, plan, gates, repository and report.

pub mod agent;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod cycle;
pub mod demo;
pub mod diff;
pub mod fault;
pub mod forge;
pub mod http;
pub mod identity;
pub mod image;
pub mod keys;
pub mod manifest;
pub mod notify;
pub mod path;
pub mod plan;
pub mod platform;
pub mod policy;
pub mod progress;
pub mod registry;
pub mod repo;
pub mod secret;
pub mod sops;
pub mod stage;
pub mod survey;
pub mod telemetry;
pub mod text;
pub mod window;
pub mod yaml;
