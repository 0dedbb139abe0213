//! Why a change to bytes was not made.

use super::node::ScanError;

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// Two changes want different things of the same bytes.
    #[error("{path}: two changes at once, `{one}` and `{other}`")]
    Conflict {
        /// The way to the scalar.
        path: String,
        /// What one of them writes.
        one: String,
        /// What the other writes.
        other: String,
    },
    /// The scalar is written in a way that is not edited (over several lines, with escapes).
    #[error("{path}: this scalar is written in a way that cannot be edited in place")]
    NotEditable {
        /// The way to the scalar.
        path: String,
    },
    /// The text would need escapes.
    #[error("{path}: `{text}` cannot be written there")]
    Unwritable {
        /// The way to the scalar.
        path: String,
        /// The text.
        text: String,
    },
    /// The result is no YAML any more: a bug.
    #[error("the edited file could not be read again")]
    Unreadable(#[source] ScanError),
    /// The result holds something else than what was asked: a bug.
    #[error("{path}: the edited file does not read as asked")]
    Unproved {
        /// Where the two readings part.
        path: String,
    },
}

impl SpliceError {
    /// Whether the fault is ours: the edit was made and did not come out as asked. Nothing of it is kept.
    pub fn is_bug(&self) -> bool {
        matches!(self, SpliceError::Unreadable(_) | SpliceError::Unproved { .. })
    }
}
