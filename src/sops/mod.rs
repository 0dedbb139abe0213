//! SOPS files: found, decrypted, verified, judged and written, byte by byte as sops does it. Bytes and values in, values
//! out; what is read in clear is wiped as soon as it has been used.
//!
//! - [`envelope`]: a file with its metadata, in any of the five formats ([`format`])
//! - [`metadata`]: the `sops` block
//! - [`tree`]: documents as SOPS walks them
//! - [`selection`]: which values are encrypted; [`go_regex`]: patterns in Go's syntax
//! - [`plain`]: values in clear with their types; [`number`]: what Go reads in a text
//! - [`cipher`]: one value, encrypted and decrypted
//! - [`age`]: age's files and keys; [`shamir`]: secrets in shares; [`keyring`]: the data key of a file
//! - [`open`]: all values decrypted, the MAC compared
//! - [`error`]: what can go wrong

pub mod age;
pub mod cipher;
pub mod envelope;
pub mod error;
pub mod format;
pub mod go_regex;
pub mod keyring;
pub mod metadata;
pub mod number;
pub mod open;
pub mod plain;
pub mod selection;
pub mod shamir;
pub mod tree;
