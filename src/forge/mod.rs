//! Pull requests on the forge that hosts the infrastructure repository. GitLab calls them merge requests.
//!
//! - [`config`]: the settings of this module
//! - [`error`]: the errors of this module
//! - [`client`]: the operations that every forge supports
//! - [`pull_request`]: pull requests, as all forges have them
//! - `transport`: requests and responses
//! - `gitea`, `github`, `gitlab`: the API of each forge
//! - `pulls`: the API that Gitea and GitHub share

pub mod client;
pub mod config;
pub mod error;
mod gitea;
mod github;
mod gitlab;
pub mod pull_request;
mod pulls;
mod transport;
