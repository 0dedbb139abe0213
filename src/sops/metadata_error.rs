//! The reasons why the metadata of a file is not valid.

use super::go_regex::RegexError;

/// The reasons why the metadata of a file is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// A field is missing or empty.
    #[error("its sops metadata has no `{0}`: it was truncated or edited by hand")]
    Missing(&'static str),
    /// A key occurs twice.
    #[error("its sops metadata has `{0}` twice")]
    Twice(String),
    /// A list contains something other than keys.
    #[error("its sops metadata has an entry in `{0}` that is not a key")]
    NoKey(String),
    /// `version` is not a version.
    #[error("its `version` is not a version of sops")]
    Version,
    /// `lastmodified` is not a time.
    #[error("its `lastmodified` is not an RFC 3339 time")]
    LastModified,
    /// There are no keys.
    #[error("its sops metadata contains no keys")]
    NoKeys,
    /// There is more than one rule for the values that are encrypted.
    #[error("its sops metadata has more than one of the encrypted and unencrypted suffixes and patterns")]
    Rules,
    /// A pattern is not valid.
    #[error("its sops metadata: {0}")]
    Pattern(#[from] RegexError),
    /// `shamir_threshold` is not a number.
    #[error("its `shamir_threshold` is not an integer")]
    Threshold,
}
