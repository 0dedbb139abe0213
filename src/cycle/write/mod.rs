//! Commits, pushes and pull requests.
//!
//! - [`commits`]: makes commits from a gated plan
//! - [`race`]: repeats an attempt until a commit is on the branch
//! - [`push`]: one push, confirmed by the server
//! - [`proposal`]: the pull request that describes the proposal
//! - [`stage_proposal`]: the pull request of a stage, until it is merged
//! - [`stage_pull_request`]: what the forge knows about it
//! - [`pull_requests`]: the pull requests at the forge

pub mod commits;
pub mod proposal;
pub mod pull_requests;
pub mod push;
pub mod race;
pub mod stage_proposal;
pub mod stage_pull_request;
