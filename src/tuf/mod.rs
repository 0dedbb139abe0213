//! Sigstore's trusted root, fetched from a repository of The Update Framework (TUF 1.0), which proves that it is the current
//! one.
//!
//! - [`fetch`]: fetches it, beginning with a root that is trusted already
//! - [`root`]: the root of the public instance
//! - [`changes`]: how it differs from an earlier one
//! - [`error`]: why it is refused
//! - `mirror`: the files of a repository, by HTTP

pub mod changes;
pub mod error;
pub mod fetch;
mod mirror;
pub mod root;
