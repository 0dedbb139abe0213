//! Commits, pushes and pull requests.
//!
//! - [`commits`]: from a gated plan to commits
//! - [`race`]: an attempt after the other until a commit is on the branch
//! - [`push`]: one push, made sure of
//! - [`proposal`]: the pull request that says what is proposed
//! - [`pull_requests`]: the pull requests at the forge

pub mod commits;
pub mod proposal;
pub mod pull_requests;
pub mod push;
pub mod race;
