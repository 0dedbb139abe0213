//! Age (<https://age-encryption.org/v1>), as far as SOPS needs it: armored files with a data key, encrypted to one
//! recipient with a public key.
//!
//! Files, armor and X25519 come from the `age` crate. Two kinds of recipients are implemented here on its traits:
//! post-quantum keys, which it does not support yet, and SSH keys, for which it would bring in an RSA implementation
//! with an open advisory.
//!
//! - `file`: files, encrypted and decrypted
//! - [`identity`], [`recipient`]: keys of any kind
//! - [`hybrid`], [`ssh`]: the kinds that the crate lacks; [`curve`]: the parts of X25519 that both need
//! - [`bech32`]: the encoding of keys

pub mod bech32;
pub mod curve;
pub mod file;
pub mod hybrid;
pub mod identity;
pub mod recipient;
pub mod ssh;
