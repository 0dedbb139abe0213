//! Registries: the protocol, credentials, caching, and responses that cannot be trusted.

mod auth;
mod bad_answers;
mod caching;
mod hostile;
mod integrity;
mod large_registries;
mod mirrors;
mod origins;
mod protocol;
