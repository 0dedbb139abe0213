//! Azure DevOps Services and Server, according to its REST API 6.0, which Azure DevOps Server 2020 and later have as well.
//!
//! - `api`: what all requests have in common
//! - [`pulls`]: pull requests
//! - `threads`: comments of people, and events that Azure DevOps itself notes
//! - `texts`: texts that are longer than a description may be
//! - [`votes`]: reviews, and which head they are for
//! - [`merge`]: merges a pull request
//! - [`statuses`]: statuses of commits

mod api;
pub mod merge;
pub mod pulls;
pub mod statuses;
mod texts;
mod threads;
pub mod votes;
