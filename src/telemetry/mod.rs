//! Telemetry of the process: logs, and traces where the environment asks for them.
//!
//! - [`install`]: installs both
//! - [`log`]: the log
//! - [`traces`]: spans for an OpenTelemetry collector
//! - [`error`]: settings that cannot be used

pub mod error;
pub mod install;
pub mod log;
pub mod traces;
