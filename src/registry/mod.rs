//! The registry side: a client of the OCI distribution API (specification 1.1).
//!
//! - [`config`]: what it has to be told
//! - [`error`]: what goes wrong
//! - [`client`]: what can be asked of a registry
//! - [`content`]: manifests and blobs, their bytes proved against their digests
//! - [`metadata`]: what is known of an image: its digest and when it was built
//! - [`integrity`]: whether an image is whole
//! - [`host`]: one host: connections, limits, retries, sign-in
//! - [`auth`]: challenges and tokens
//! - [`credentials`]: Docker config files and credential helpers
//! - [`manifest`]: manifests, indexes, and when an image was built

pub mod auth;
pub mod client;
pub mod config;
mod content;
pub mod credentials;
pub mod error;
pub mod host;
pub mod integrity;
pub mod manifest;
mod metadata;
