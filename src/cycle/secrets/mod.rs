//! The SOPS files of a tip.
//!
//! - [`verify`]: the verdicts on them, kept while the files, the rules and the identities are the same
//! - [`pull_secrets`]: the pull secrets of the pods that run an image

pub mod pull_secrets;
pub mod verify;
