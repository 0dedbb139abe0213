//! The commits of a branch, as far as they matter for holds.
//!
//! - [`branch`]: what is held, and what fields held before
//! - [`read_back`]: the commits, read no further back than necessary

pub mod branch;
pub mod read_back;
