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
//! - `evidence`: material, read into one form; `cosign2`: the formats of cosign 2, made into that of cosign 3
//! - [`provider`]: the arithmetic
//! - `signature`: one signature; `failure`: what its library says, in our words
//! - `simple_signing`, `statement`: what is signed
//! - `attestation`, `provenance`, `scan`: what attestations say
//! - `foreign`: texts from outside

mod attestation;
mod cosign2;
mod evidence;
mod failure;
pub mod flaw;
mod foreign;
pub mod key;
pub mod matcher;
pub mod material;
mod provenance;
pub mod provider;
pub mod requirement;
mod scan;
mod signature;
mod simple_signing;
pub mod source_repository;
mod statement;
pub mod subject;
pub mod trusted_root;
pub mod verdict;
pub mod verify;
