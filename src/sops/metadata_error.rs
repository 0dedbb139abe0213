//! What is wrong with the metadata of a file.

use super::go_regex::RegexError;

/// What is wrong with the metadata of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// A field is missing, or has no value.
    #[error("its sops metadata has no `{0}`: it was cut off or edited by hand")]
    Missing(&'static str),
    /// A key stands twice.
    #[error("its sops metadata has `{0}` twice")]
    Twice(String),
    /// A list holds something else than keys.
    #[error("its sops metadata has something in `{0}` that is no key")]
    NoKey(String),
    /// `version` is no version.
    #[error("its `version` is no version of sops")]
    Version,
    /// `lastmodified` is no time.
    #[error("its `lastmodified` is no RFC 3339 time")]
    LastModified,
    /// No key at all.
    #[error("its sops metadata names no key")]
    NoKeys,
    /// Two rules at a time.
    #[error("its sops metadata has more than one of the encrypted and unencrypted suffixes and patterns")]
    Rules,
    /// A pattern cannot be read.
    #[error("its sops metadata: {0}")]
    Pattern(#[from] RegexError),
    /// `shamir_threshold` is no number.
    #[error("its `shamir_threshold` is no whole number")]
    Threshold,
}
