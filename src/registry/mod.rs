//! The registry side: a client of the OCI distribution API (specification 1.1).
//!
//! - [`config`]: what it has to be told
//! - [`error`]: what goes wrong
//! - [`client`]: what can be asked of a registry
//! - [`content`]: manifests and blobs, their bytes proved against their digests
//! - [`metadata`]: what is known of an image: its digest and when it was built
//! - `provenance`: where an image says that it comes from: its commit and its source repository
//! - [`integrity`]: whether an image is whole
//! - [`tags`]: all tags of a repository
//! - `pushed`: when tags were pushed, as the registry's own API tells
//! - [`source`]: where a repository is asked for: its registry, and a mirror of it
//! - [`host`]: one host: what is asked of it, how often, and again where that may help
//! - [`transport`]: HTTP to one host
//! - [`sign_in`]: signing in to one host
//! - [`auth`]: challenges and tokens
//! - [`cache`]: what was learned, kept on disk
//! - [`listed`]: what of it tells whether a listing is still the same
//! - [`store`]: the file that it is kept in
//! - `packed`: the form of what is in the file
//! - [`flights`]: the same question, asked by several at once, is sent once
//! - [`pace`]: how fast one host may be asked
//! - [`credentials`]: Docker config files and credential helpers
//! - [`traffic`]: how many requests a host was sent, by what it answered
//! - [`manifest`]: manifests, indexes, and when an image was built

pub mod auth;
pub mod cache;
pub mod client;
pub mod config;
mod content;
pub mod credentials;
pub mod error;
mod flights;
pub mod host;
pub mod integrity;
pub mod listed;
pub mod manifest;
mod metadata;
pub mod pace;
mod packed;
mod provenance;
mod pushed;
mod sign_in;
mod source;
pub mod store;
pub mod tags;
pub mod traffic;
pub mod transport;
