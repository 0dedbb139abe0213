//! Proof of origin: signatures of images, and signed statements about them, verified without I/O.
//!
//! Whoever fetches the material from a registry hands it to [`verify`](verify::verify) together with what a policy
//! requires and what is known about the image. The answer lists who signed what, what does not count and why, and what
//! is missing.
//!
//! - [`requirement`]: what a policy requires: signers, transparency, attestations
//! - [`matcher`]: exact texts and patterns, for identities and values
//! - [`key`]: public keys in PEM files
//! - [`trusted_root`]: the certificate authorities, logs and timestamp authorities that are trusted
//! - [`material`]: what a registry has: signatures and attestations in the formats of cosign 2 and 3
//! - [`subject`]: the image in question
//! - [`source_repository`]: names of source repositories, which tools write in many ways
//! - [`verify`]: the verification
//! - [`verdict`]: its result
//! - [`flaw`]: the reasons why material does not count

pub mod flaw;
pub mod key;
pub mod matcher;
pub mod material;
pub mod requirement;
pub mod source_repository;
pub mod subject;
pub mod trusted_root;
pub mod verdict;
pub mod verify;
