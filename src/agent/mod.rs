//! The agent: cycles by schedule until it is told to stop.
//!
//! - [`config`]: what it has to be told

pub mod config;
