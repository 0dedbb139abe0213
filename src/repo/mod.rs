//! The repository side: git on a bare clone, without a work tree.
//!
//! - [`config`]: what it has to be told

pub mod config;
