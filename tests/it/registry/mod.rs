//! Registries: the protocol, credentials, what is cached, and answers that cannot be trusted.

mod auth;
mod bad_answers;
mod caching;
mod integrity;
mod large_registries;
mod mirrors;
mod protocol;
