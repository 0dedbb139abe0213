//! The commits of a branch, as far as they matter for holds.
//!
//! - [`branch`]: the holds, and earlier versions of fields
//! - [`read_back`]: the commits, read only as far back as necessary

pub mod branch;
pub mod read_back;
