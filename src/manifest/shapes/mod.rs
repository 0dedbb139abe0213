//! How each shape of image field is found.
//!
//! - [`finder`]: what is found so far, and the scalars that belong to it
//! - [`walk`]: whole references
//! - [`siblings`]: values of charts
//! - [`entries`]: kustomizations and OCIRepositories
//! - [`marked`]: what rules and markers name
//! - [`embedded`]: references inside longer texts

mod embedded;
mod entries;
pub(super) mod finder;
mod marked;
mod siblings;
mod walk;
