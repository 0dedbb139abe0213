//! The age file format, version 1 (<https://age-encryption.org/v1>), as far as SOPS needs it: armored files that hold a
//! data key, for recipients with a public key.
//!
//! Own code, because the `age` crate draws its randomness itself, knows no post-quantum keys and brings a hundred crates.
//!
//! - [`bech32`]: how keys are written
//! - [`armor`]: how files are written as text
//! - [`file`]: header and payload
//! - [`x25519`], [`hybrid`], [`ssh`]: the kinds of recipients
//! - [`identity`], [`recipient`]: any of them

pub mod armor;
pub mod bech32;
pub mod file;
pub mod hybrid;
pub mod identity;
pub mod recipient;
pub mod ssh;
pub mod x25519;
