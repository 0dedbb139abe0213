//! Bitbucket Cloud, according to its REST API 2.0.
//!
//! - `api`: what all requests have in common
//! - [`pulls`]: pull requests
//! - `activity`: what happened to a pull request
//! - [`reviews`]: reviews, and which head they are for
//! - [`merge`]: merges a pull request
//! - [`statuses`]: statuses of commits

mod activity;
mod api;
pub mod merge;
pub mod pulls;
pub mod reviews;
pub mod statuses;
