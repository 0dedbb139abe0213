//! Why a `.sops.yaml` cannot be used.

use crate::fault::{Explain, Fault};

use super::go_regex::RegexError;

/// Why a `.sops.yaml` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// It is no YAML.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// A pattern cannot be read.
    #[error("rule {rule}: {error}")]
    Pattern {
        /// The rule, from 1.
        rule: usize,
        /// What is wrong with it.
        error: RegexError,
    },
    /// Two ways to say what is encrypted.
    #[error("rule {rule} has more than one of the encrypted and unencrypted suffixes and patterns")]
    Selections {
        /// The rule, from 1.
        rule: usize,
    },
    /// The threshold is no number.
    #[error("rule {rule}: `shamir_threshold` is no whole number")]
    Threshold {
        /// The rule, from 1.
        rule: usize,
    },
}

impl Explain for RulesError {
    fn fault(&self) -> Fault {
        Fault::BadInput
    }
}
