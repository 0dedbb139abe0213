//! Access tokens of a GitHub App: short-lived, for one repository, and with no more permissions than a request needs.
//!
//! - [`config`]: the settings of this module
//! - [`error`]: the errors of this module
//! - [`app`]: the app and its access tokens
//! - [`permissions`]: the permissions that each use needs
//! - [`key`]: the private key of the app, and the tokens that it signs
//! - `api`: requests to GitHub as the app itself

mod api;
pub mod app;
pub mod config;
pub mod error;
pub mod key;
pub mod permissions;
