//! SOPS files: found, decrypted, verified, judged and written, byte by byte as sops does it. Bytes and values in, values
//! out; what is read in clear is wiped as soon as it has been used.
//!
//! - [`envelope`]: a file with its metadata, in any of the five formats ([`format`])
//! - [`metadata`]: the `sops` block
//! - [`tree`]: documents as SOPS walks them
//! - [`selection`]: which values are encrypted; [`go_regex`]: patterns in Go's syntax
//! - [`plaintext`]: values in clear with their types; [`go_scalar`]: what Go reads in a text
//! - [`cipher`]: one value, encrypted and decrypted
//! - [`age`]: age's files and keys; [`shamir`]: secrets in shares; [`keyring`]: the data key of a file
//! - [`open`]: all values decrypted, the MAC compared
//! - [`encrypt`], [`rotate`], [`update_mac`]: files written, rewritten, and given a new MAC, through `patch`;
//!   [`metadata_writer`]: the `sops` block, written
//! - [`rules`]: what `.sops.yaml` asks for; [`plaintext_secrets`]: Secrets in clear text
//!   [`generator`]: Secrets that kustomizations make
//! - [`audit`]: a verdict for each file; [`inspect`], [`rulebook`], [`verdicts`]: for each file of a tree
//! - [`error`]: what can go wrong

pub mod age;
pub mod audit;
pub mod cipher;
pub mod encrypt;
pub mod envelope;
pub mod error;
pub mod format;
pub mod generator;
pub mod go_regex;
pub mod go_scalar;
pub mod inspect;
pub mod keyring;
pub mod metadata;
pub mod metadata_writer;
pub mod open;
mod patch;
pub mod plaintext;
pub mod plaintext_secrets;
pub mod rotate;
pub mod rulebook;
pub mod rules;
pub mod selection;
pub mod shamir;
pub mod tree;
pub mod update_mac;
pub mod verdicts;
