//! The registry side: a client of the OCI distribution API (specification 1.1).
//!
//! - [`config`]: what it has to be told
//! - [`error`]: what goes wrong
//! - [`client`]: what can be asked of a registry
//! - [`host`]: one host: connections, limits, retries, sign-in
//! - [`auth`]: challenges and tokens
//! - [`credentials`]: Docker config files and credential helpers
//! - [`manifest`]: manifests, indexes, and when an image was built

pub mod auth;
pub mod client;
pub mod config;
pub mod credentials;
pub mod error;
pub mod host;
pub mod manifest;
