//! The registry side: a client of the OCI distribution API.
//!
//! - [`config`]: what it has to be told

pub mod config;
