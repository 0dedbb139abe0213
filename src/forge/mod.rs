//! Pull requests at the forge that holds the infrastructure repository. GitLab calls them merge requests.
//!
//! - [`config`]: what it has to be told
//! - [`error`]: what goes wrong
//! - [`client`]: what is asked of any forge
//! - `transport`: requests and answers
//! - `gitea`, `github`, `gitlab`: how each of them is asked
//! - `pulls`: what the first two have in common

pub mod client;
pub mod config;
pub mod error;
mod gitea;
mod github;
mod gitlab;
mod pulls;
mod transport;
