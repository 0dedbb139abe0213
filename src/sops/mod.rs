//! SOPS files: detected, decrypted, verified, judged and written, byte for byte as sops does it. All functions are
//! pure; plaintext is wiped from memory as soon as it has been used.
//!
//! - [`envelope`]: a file with its metadata, in any of the five formats (`format`), which [`parse`] reads; [`flat`]:
//!   metadata without nesting
//! - [`metadata`]: the `sops` block, read from [`raw`]; [`recipients`]: the recipients of a file
//! - [`tree`]: documents in the order in which SOPS walks them
//! - [`selection`]: the values that are encrypted; [`go_regex`]: patterns in Go's syntax
//! - [`plaintext`]: plaintext values with their types; [`go_scalar`]: scalars as Go reads them
//! - [`cipher`]: a single value, encrypted and decrypted
//! - [`age`]: age's files and keys; [`shamir`]: shared secrets; [`keyring`]: the available identities
//! - [`open`]: decrypts all values of a file and verifies the MAC
//! - [`encrypt`], [`rotate`], [`update_mac`]: files encrypted, given a new data key, given a new MAC, through `patch`;
//!   [`metadata_writer`]: writes the `sops` block
//! - [`rules`]: the creation rules of `.sops.yaml`, read through `rules_form`; [`exposure`]: Secrets in plaintext, and
//!   whatever kustomizations make into Secrets
//! - [`bounds`]: the largest files that are parsed
//! - [`audit`]: judges a file; [`inspect`], [`rulebook`], [`verdicts`]: judge the files of a tree
//! - [`error`], [`metadata_error`], [`rules_error`]: the reasons for failures

pub mod age;
pub mod audit;
pub mod bounds;
pub mod cipher;
pub mod encrypt;
pub mod envelope;
pub mod error;
pub mod exposure;
pub mod flat;
pub mod format;
pub mod go_regex;
pub mod go_scalar;
pub mod inspect;
pub mod keyring;
pub mod metadata;
pub mod metadata_error;
pub mod metadata_writer;
pub mod open;
pub mod parse;
mod patch;
pub mod plaintext;
pub mod raw;
pub mod recipients;
pub mod rotate;
pub mod rulebook;
pub mod rules;
pub mod rules_error;
mod rules_form;
pub mod selection;
pub mod shamir;
pub mod tree;
pub mod update_mac;
pub mod verdicts;
