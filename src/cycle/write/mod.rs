//! Commits, pushes and pull requests.
//!
//! - [`commits`]: makes commits from a gated plan
//! - [`race`]: repeats an attempt until a commit is on the branch
//! - [`push`]: one push, confirmed by the server
//! - [`proposal`]: the pull request that describes the proposal
//! - [`pull_requests`]: the pull requests at the forge

pub mod commits;
pub mod proposal;
pub mod pull_requests;
pub mod push;
pub mod race;
