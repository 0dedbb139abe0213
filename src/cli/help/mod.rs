//! `tagalong help`
//!
//! - [`command`]: the command, and how it finds what to print
//! - [`environment`]: the environment variables that are read
//! - [`topics`]: texts about more than one command

pub mod command;
pub mod environment;
pub mod topics;
