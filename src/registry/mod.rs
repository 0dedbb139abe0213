//! A client for OCI registries (distribution specification 1.1), and for Helm repositories.
//!
//! - [`config`]: the client's settings
//! - [`error`]: the client's errors
//! - [`client`]: a client for any number of registries
//! - `content`: manifests and blobs, verified against their digests
//! - [`metadata`]: an image's digest, build time and platforms
//! - `inspect`: reads that metadata from manifests and image configs
//! - `source_labels`: the commit and source repository that an image was built from
//! - `config_date`: when the contents of an image were built, whatever its annotations say
//! - [`integrity`]: checks that an image is complete
//! - [`identity`]: the digests by which an image is known
//! - [`tags`]: lists the tags of a repository
//! - [`access`]: tries whether they may be listed
//! - [`chart_index`]: reads the index of a Helm repository
//! - `charts`: charts in such repositories, looked up like images in registries; `indexes`: those that were read last
//! - [`page_link`]: links to further pages, and the requests that follow them
//! - [`proofs`]: the signatures and attestations of an image; [`proof_places`]: where a registry keeps them
//! - `referrers`: artifacts that refer to an image; `without_referrers`: the registries that lack the API for them
//! - [`known_origins`]: proof of origin that has been verified, in the cache
//! - `push_times`: when tags were pushed, from the registry product's own API
//! - `arrival`: when images arrived in their registry
//! - `endpoint`: the hosts that serve a repository: its registry and a mirror
//! - [`host`]: sends requests to one host, with retries
//! - [`memory`]: limits how many large responses are in memory at a time
//! - [`rate_limit`]: limits the rate of requests to one host
//! - `single_flight`: sends identical concurrent requests once
//! - `sign_in`: signs in to one host
//! - [`realms`]: token servers that may receive a registry's credentials
//! - [`auth`]: challenges and tokens
//! - [`credentials`]: Docker config files and credential helpers
//! - `cloud_identity`: credentials from the cloud that this process runs in; `acr`: those for Azure's registries
//! - [`transport`]: HTTP to one host
//! - `connection`: the HTTP client of one host, made again when one of its files changes
//! - `connection_files`: those files: certificate authorities, client certificates, credentials for proxies
//! - [`connection_error`]: connections that fail because of the client certificate or the proxy
//! - `response`: headers and errors that all responses share
//! - [`manifest`]: manifests, indexes and image configs
//! - `bounded`: values in their JSON that take limited memory
//! - [`cache`]: a cache of what registries returned, kept on disk
//! - `listed_manifests`: the manifests of an index, for proof of origin
//! - `cache_cleanup`: what the cache forgets
//! - `cache_times`: when tags arrived, as far as the cache knows
//! - `cache_format`: the keys and values of the cache
//! - [`listing`]: the cached part of a tag listing that shows whether it has changed
//! - [`store`]: the file behind the cache
//! - `packed`: the encoding of values in that file
//! - [`metrics`]: counts the requests

pub mod access;
mod acr;
mod arrival;
pub mod auth;
mod bounded;
pub mod cache;
mod cache_cleanup;
mod cache_format;
mod cache_times;
pub mod chart_index;
mod charts;
pub mod client;
mod cloud_identity;
pub mod config;
mod config_date;
mod connection;
pub mod connection_error;
mod connection_files;
mod content;
pub mod credentials;
mod endpoint;
pub mod error;
pub mod host;
pub mod identity;
mod indexes;
mod inspect;
pub mod integrity;
pub mod known_origins;
mod listed_manifests;
pub mod listing;
pub mod manifest;
pub mod memory;
pub mod metadata;
pub mod metrics;
mod packed;
pub mod page_link;
pub mod proof_places;
pub mod proofs;
mod push_times;
pub mod rate_limit;
pub mod realms;
mod referrers;
mod response;
mod sign_in;
mod single_flight;
mod source_labels;
pub mod store;
pub mod tags;
pub mod transport;
mod without_referrers;
