//! The commits of a branch, as far as they matter for holds.
//!
//! - [`branch`]: the holds, and earlier versions of fields
//! - [`confirm`]: whether a commit did what it records
//! - [`read_back`]: the commits, read only as far back as necessary

pub mod branch;
pub mod confirm;
pub mod read_back;
