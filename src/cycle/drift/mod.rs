//! Drift: pods that run something else than the repository says.
//!
//! - [`expected`]: the versions that the fields of a tree allow an image to have
//! - [`digests`]: the digests of these versions, according to the registries
//! - [`compare`]: compares pods with them

pub mod compare;
pub mod digests;
pub mod expected;
