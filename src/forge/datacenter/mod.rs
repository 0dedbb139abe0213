//! Bitbucket Data Center and Server, according to their REST API 1.0.
//!
//! - `api`: what all requests have in common
//! - [`pulls`]: pull requests
//! - [`reviews`]: reviews, and which head they are for
//! - [`merge`]: merges a pull request
//! - [`statuses`]: statuses of commits

mod api;
pub mod merge;
pub mod pulls;
pub mod reviews;
pub mod statuses;
