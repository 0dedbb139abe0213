//! Registries: the protocol, credentials and their rotation, client certificates, proxies, caching, and responses that cannot be trusted.

mod auth;
mod bad_answers;
mod caching;
mod client_certificates;
mod hostile;
mod integrity;
mod large_registries;
mod mirrors;
mod origins;
mod protocol;
mod proxies;
mod rotation;
