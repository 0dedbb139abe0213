//! The commits of a branch: the holds that follow from them, and the moves of fields.
//!
//! - [`branch`]: the holds, and earlier versions of fields
//! - [`confirm`]: whether a commit did what it records
//! - [`learn`]: asks the forge what merged pull requests proposed
//! - [`merged_proposals`]: what they proposed, by commit
//! - [`moves`]: the moves of image fields along the branch
//! - [`read_back`]: the commits, read only as far back as necessary
//! - [`recent`]: the commits that moved image fields lately
//! - [`signatures`]: the signatures of commits

pub mod branch;
pub mod confirm;
pub mod learn;
pub mod merged_proposals;
pub mod moves;
pub mod read_back;
pub mod recent;
pub mod signatures;
