//! The forge that hosts the infrastructure repository: pull requests, which GitLab calls merge requests, their reviews, and
//! the statuses of commits.
//!
//! - [`config`]: the settings of this module
//! - [`error`]: the errors of this module
//! - [`client`]: the operations that every forge supports
//! - [`pull_request`]: pull requests, as all forges have them
//! - [`review`]: reviews of a pull request, as all forges have them
//! - [`commit_status`]: statuses of a commit, as all forges have them
//! - [`rights`]: what a token is allowed to do, tried without changing anything
//! - `reviews`: reads reviews
//! - `statuses`: reads and sets statuses
//! - `merge`: merges a pull request
//! - `pages`: lists, page by page
//! - `scopes`: what a request needs an access token for
//! - `transport`: requests and responses
//! - `lookup`: reads a pull request
//! - `gitea`, `github`, `gitlab`, `bitbucket`, `datacenter`, `azure`: the API of each forge
//! - `pulls`: the API that Gitea and GitHub share
//! - `fence`, `build_status`: texts and statuses for both products of Bitbucket
//! - `address`: where some forges put repositories

mod address;
mod azure;
mod bitbucket;
mod build_status;
pub mod client;
pub mod commit_status;
pub mod config;
mod datacenter;
pub mod error;
mod fence;
mod gitea;
mod github;
mod gitlab;
mod lookup;
mod merge;
mod pages;
pub mod pull_request;
mod pulls;
pub mod review;
mod reviews;
pub mod rights;
mod scopes;
mod statuses;
mod transport;
