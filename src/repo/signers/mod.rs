//! Whose commits count, and who has special rights: the keys under `trust`, and signatures of commits by them.
//!
//! - [`source`]: entries of the configuration
//! - [`accepted`]: the keys whose commits count
//! - [`people`]: the keys of people who may approve or skip gates
//! - `contents`: the contents of entries
//! - `keys`: the keys in one text
//! - [`allowed`]: SSH keys, as lines of an allowed_signers file
//! - `openpgp`: OpenPGP certificates
//! - [`verdict`]: the verdict on a signature
//! - [`commits`]: signatures of commits

pub mod accepted;
pub mod allowed;
pub mod commits;
mod contents;
mod keys;
mod openpgp;
pub mod people;
pub mod source;
pub mod verdict;
