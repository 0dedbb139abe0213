//! Proof of origin: what a policy requires, and whether an image has it.
//!
//! - [`requirement`]: reads the files that a policy names
//! - [`prove`]: fetches and verifies the signatures of an image

pub mod prove;
pub mod requirement;
