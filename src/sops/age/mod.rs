//! Age (<https://age-encryption.org/v1>), as far as SOPS needs it: armored files that hold a data key, for one recipient
//! with a public key.
//!
//! Files, armor and X25519 are those of the `age` crate. What it does not have are recipients of its traits: post-quantum
//! keys, which it does not know yet, and SSH keys, for which it would bring an RSA implementation with an open advisory.
//!
//! - [`file`]: files, written and opened
//! - [`identity`], [`recipient`]: any kind of key
//! - [`hybrid`], [`ssh`]: the kinds that the crate lacks; [`curve`]: what both need of X25519
//! - [`bech32`]: how keys are written

pub mod bech32;
pub mod curve;
pub mod file;
pub mod hybrid;
pub mod identity;
pub mod recipient;
pub mod ssh;
