//! The reason why an edit was refused.

use super::node::ScanError;

/// The reason why an edit was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum SpliceError {
    /// Two changes replace the same bytes with different texts.
    #[error("{path}: conflicting changes, `{one}` and `{other}`")]
    Conflict { path: String, one: String, other: String },
    /// The scalar is written in a way that cannot be edited in place (over several lines, with escapes).
    #[error("{path}: this scalar is written in a way that cannot be edited in place")]
    NotEditable { path: String },
    /// The text would need escapes.
    #[error("{path}: `{text}` cannot be written here")]
    Unwritable { path: String, text: String },
    /// The result is not valid YAML: a bug.
    #[error("the edited file could not be parsed")]
    Unreadable(#[source] ScanError),
    /// The result is not what was requested: a bug.
    #[error("{path}: the edited file does not hold what was requested")]
    Unverified { path: String },
}

impl SpliceError {
    /// Returns whether this is a bug: the edit was made, but its result was not what was requested. The result is
    /// discarded.
    pub fn is_bug(&self) -> bool {
        matches!(self, SpliceError::Unreadable(_) | SpliceError::Unverified { .. })
    }
}
