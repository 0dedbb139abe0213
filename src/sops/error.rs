//! The reasons why a file cannot be decrypted, verified or written. No error ever contains a value.

use crate::fault::{Explain, Fault};

use super::cipher::CipherError;
use super::metadata_error::MetadataError;
use super::rules_error::RulesError;

/// The reason why a file cannot be decrypted, verified or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum SopsError {
    /// The file has no SOPS metadata.
    #[error("it is not a SOPS file")]
    NotSops,
    /// The file cannot be read in its format.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// Something that SOPS allows and tagalong does not.
    #[error("{place}: {what} is not supported")]
    Unsupported { place: String, what: &'static str },
    /// The metadata is broken.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// No identity decrypts the data key.
    #[error("{}; it is encrypted to {}", without_identity(.available), .recipients.join(", "))]
    NoIdentity {
        recipients: Vec<String>,
        /// The recipients whose identities are available.
        available: Vec<String>,
    },
    /// The data key is encrypted only to keys of unsupported services.
    #[error("it is encrypted only to {}, which is not supported", .keys.join(", "))]
    Foreign {
        /// The services and the names of their keys.
        keys: Vec<String>,
    },
    /// Fewer key groups could be decrypted than are needed.
    #[error("only {opened} of {needed} required key groups could be decrypted; it is encrypted to {}", .recipients.join(", "))]
    TooFewGroups { opened: usize, needed: usize, recipients: Vec<String> },
    /// The value that is encrypted to a recipient is not the data key.
    #[error("its entry for {recipient} does not contain the data key: the file was truncated or edited by hand")]
    DataKey { recipient: String },
    /// A value is broken.
    #[error("{place} {problem}")]
    Value {
        /// The document, from 0.
        document: usize,
        place: String,
        problem: ValueProblem,
    },
    /// The `mac` field does not decrypt.
    #[error("its `mac` {0}; `mac` or `lastmodified` was edited by hand")]
    MacUnreadable(CipherError),
    /// The MAC does not match the values.
    #[error(
        "its MAC does not match: a value was added, removed or reordered by hand, or a plaintext value was changed"
    )]
    MacMismatch,
    /// A recipient is not supported.
    #[error("`{recipient}` is not a supported age recipient")]
    Recipient { recipient: String },
    /// The rules for the file cannot be read.
    #[error("{file} cannot be used")]
    Rules {
        file: String,
        #[source]
        source: RulesError,
    },
    /// It should be encrypted to keys of unsupported services.
    #[error("it should be encrypted to {}, which is not supported", .keys.join(", "))]
    ForeignRecipients {
        /// The services and the names of their keys.
        keys: Vec<String>,
    },
    /// The threshold does not fit the number of key groups.
    #[error("{groups} key groups cannot have a threshold of {threshold}")]
    Threshold { groups: usize, threshold: usize },
    /// The edited file differs from the original in more than plaintext values.
    #[error("{place}: only plaintext values may change")]
    NotOnlyPlaintext { place: String },
    /// The written file does not decrypt as expected: a bug.
    #[error("the written file does not decrypt as expected")]
    Unverified,
}

/// The problem with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum ValueProblem {
    /// It should be encrypted.
    #[error("is in plaintext, but the file's rules say that it is encrypted")]
    Plaintext,
    /// It does not decrypt.
    #[error("{0}")]
    Cipher(CipherError),
    /// It belongs to another key.
    #[error("was moved here from {from}")]
    Moved { from: String },
    /// It is encrypted although it should not be.
    #[error("is encrypted, but the file's rules say that it is in plaintext: it was moved or renamed by hand")]
    NotSelected,
    /// It is an integer that is too large for SOPS.
    #[error("is an integer that is too large for SOPS")]
    TooLarge,
    /// Its key is not a string.
    #[error("has a key that is not a string")]
    Key,
}

/// Returns why no identity decrypts a file.
fn without_identity(available: &[String]) -> String {
    match available {
        [] => "there is no age identity to decrypt it with".to_owned(),
        [only] => format!("the only available identity, that of {only}, cannot decrypt it"),
        many => format!("none of the {} available identities can decrypt it", many.len()),
    }
}

impl Explain for SopsError {
    fn fault(&self) -> Fault {
        match self {
            SopsError::Rules { .. }
            | SopsError::NotSops
            | SopsError::Recipient { .. }
            | SopsError::Threshold { .. } => Fault::BadInput,
            SopsError::Unverified => Fault::Bug,
            _ => Fault::Blocked,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            SopsError::NoIdentity { available, .. } if available.is_empty() => {
                Some("provide an age identity with --age-key-file or SOPS_AGE_KEY_FILE".to_owned())
            }
            SopsError::NoIdentity { .. } | SopsError::TooFewGroups { .. } => {
                Some("provide the age identity of one of these recipients".to_owned())
            }
            SopsError::ForeignRecipients { .. } => Some("use sops for this file".to_owned()),
            SopsError::Value { .. } | SopsError::MacMismatch | SopsError::MacUnreadable(_) => {
                Some("restore the last good version from git and edit it with `sops edit`".to_owned())
            }
            _ => None,
        }
    }
}
