//! `tagalong init`
//!
//! - [`command`]: the command and its options
//! - [`gather`]: reads the repository and its history
//! - [`registries`]: asks registries whether they respond
//! - [`report`]: what goes to stdout

pub mod command;
mod gather;
mod registries;
mod report;
