//! Whose commits count: the keys under `trust.signers`, and signatures of commits by them.
//!
//! - [`source`]: entries of the configuration
//! - [`accepted`]: the keys of all entries
//! - `keys`: the keys in one text
//! - [`allowed`]: SSH keys, as lines of an allowed_signers file
//! - `openpgp`: OpenPGP certificates
//! - [`commits`]: signatures of commits

pub mod accepted;
pub mod allowed;
pub mod commits;
mod keys;
mod openpgp;
pub mod source;
