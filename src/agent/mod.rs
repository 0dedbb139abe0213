//! The agent: passes by schedule until it is told to stop.
//!
//! - [`config`]: what it has to be told
//! - [`schedule`]: one pass after the other

pub mod config;
pub mod schedule;
