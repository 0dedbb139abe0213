//! Why a file cannot be opened, checked or written. No error ever holds a value.

use crate::fault::{Explain, Fault};

use super::cipher::CipherError;
use super::metadata::MetadataError;
use super::rules::RulesError;

/// What went wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SopsError {
    /// The file has no metadata of SOPS.
    #[error("it is no SOPS file")]
    NotSops,
    /// The file cannot be read in its format.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// Something that SOPS allows and tagalong does not.
    #[error("{place}: {what} is not supported")]
    Unsupported {
        /// Where.
        place: String,
        /// What.
        what: &'static str,
    },
    /// The metadata is broken.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// No identity opens the data key.
    #[error("no identity at hand opens it; it is encrypted to {}", .recipients.join(", "))]
    NoIdentity {
        /// To whom the file is encrypted.
        recipients: Vec<String>,
    },
    /// The data key is held by services that are not asked here.
    #[error("its key is held by {}, which cannot be asked here", .keys.join(", "))]
    Foreign {
        /// The services and the names of the keys there.
        keys: Vec<String>,
    },
    /// Fewer key groups were opened than are needed.
    #[error("{opened} of the {needed} key groups that are needed were opened; it is encrypted to {}", .recipients.join(", "))]
    TooFewGroups {
        /// How many were opened.
        opened: usize,
        /// How many are needed.
        needed: usize,
        /// To whom the file is encrypted.
        recipients: Vec<String>,
    },
    /// What is encrypted to a recipient is not the file's key.
    #[error("what it holds for {recipient} is not its data key: it was cut off or edited by hand")]
    DataKey {
        /// The recipient.
        recipient: String,
    },
    /// A value is wrong.
    #[error("{place} {problem}")]
    Value {
        /// The document, from 0.
        document: usize,
        /// The way to the value.
        place: String,
        /// What is wrong with it.
        problem: ValueProblem,
    },
    /// `mac` does not decrypt.
    #[error("its `mac` {0}; `mac` or `lastmodified` was edited by hand")]
    MacUnreadable(CipherError),
    /// The MAC is that of other values.
    #[error("its MAC does not match: a value was added, removed, reordered, or changed in clear by hand")]
    MacMismatch,
    /// A recipient to encrypt to cannot be read.
    #[error("`{recipient}` is no age recipient that can be encrypted to here")]
    Recipient {
        /// The recipient.
        recipient: String,
    },
    /// The rules that hold for the file cannot be read.
    #[error("{file} cannot be used")]
    Rules {
        /// The `.sops.yaml`.
        file: String,
        /// Why.
        #[source]
        source: RulesError,
    },
    /// It shall be encrypted to keys of services.
    #[error("it is to be encrypted to {}, which cannot be done here", .keys.join(", "))]
    ForeignRecipients {
        /// The services and the names of the keys there.
        keys: Vec<String>,
    },
    /// Key groups and threshold do not fit.
    #[error("{groups} key groups cannot have a threshold of {threshold}")]
    Threshold {
        /// How many groups there are.
        groups: usize,
        /// How many are asked for.
        threshold: usize,
    },
    /// The edited file differs from the original in more than clear values.
    #[error("{place}: only values in clear may change here")]
    NotOnlyPlaintext {
        /// Where.
        place: String,
    },
    /// What was written does not read as asked: a bug.
    #[error("the written file does not open as asked")]
    Unproved,
}

/// What is wrong with one value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueProblem {
    /// It should be encrypted.
    #[error("is in clear, but the file's rules say that it is encrypted")]
    Plaintext,
    /// It does not decrypt.
    #[error("{0}")]
    Cipher(CipherError),
    /// It decrypts, but belongs elsewhere.
    #[error("was moved here from {from}")]
    Moved {
        /// The keys that it belongs to.
        from: String,
    },
    /// It is encrypted where it should not be.
    #[error("is encrypted, but the file's rules say that it is in clear: it was moved or renamed by hand")]
    NotSelected,
    /// It is a number that SOPS cannot hold.
    #[error("is a whole number that is larger than SOPS can hold")]
    TooLarge,
    /// Its key is no text.
    #[error("has a key that is no text")]
    Key,
}

impl Explain for SopsError {
    fn fault(&self) -> Fault {
        match self {
            SopsError::Rules { .. }
            | SopsError::NotSops
            | SopsError::Recipient { .. }
            | SopsError::Threshold { .. } => Fault::BadInput,
            SopsError::Unproved => Fault::Bug,
            _ => Fault::Blocked,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            SopsError::NoIdentity { .. } | SopsError::TooFewGroups { .. } => {
                Some("give the age identity of one of these recipients".to_owned())
            }
            SopsError::ForeignRecipients { .. } => Some("use sops for this file".to_owned()),
            SopsError::Value { .. } | SopsError::MacMismatch | SopsError::MacUnreadable(_) => {
                Some("restore the last good version from git and edit it with `sops edit`".to_owned())
            }
            _ => None,
        }
    }
}
