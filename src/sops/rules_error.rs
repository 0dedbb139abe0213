//! The reason why a `.sops.yaml` cannot be used.

use crate::fault::{Explain, Fault};

use super::go_regex::RegexError;

/// The reason why a `.sops.yaml` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum RulesError {
    /// It is not valid YAML.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// A pattern is not valid.
    #[error("rule {rule}: {error}")]
    Pattern { rule: usize, error: RegexError },
    /// There is more than one rule for the values that are encrypted.
    #[error("rule {rule} has more than one of the encrypted and unencrypted suffixes and patterns")]
    Selections { rule: usize },
    /// A value has another type than it must have.
    #[error("{place} is not {wanted}")]
    Form { place: String, wanted: &'static str },
    /// A key occurs twice.
    #[error("{place} has two keys `{key}`")]
    Twice { place: String, key: String },
    /// The threshold is not a number.
    #[error("rule {rule}: `shamir_threshold` is not an integer")]
    Threshold { rule: usize },
}

impl Explain for RulesError {
    fn fault(&self) -> Fault {
        Fault::BadInput
    }
}
