//! Finds image fields, shape by shape.
//!
//! - [`finder`]: the fields that were found so far, and the scalars that belong to them
//! - [`walk`]: complete references
//! - [`siblings`]: values of charts
//! - [`entries`]: kustomizations and OCIRepositories
//! - [`argo`]: sources of Argo CD applications
//! - [`charts`]: versions of Helm charts
//! - [`marked`]: scalars that rules and markers select
//! - [`embedded`]: references inside longer texts

mod argo;
mod charts;
mod embedded;
mod entries;
pub(super) mod finder;
mod marked;
mod siblings;
mod walk;
