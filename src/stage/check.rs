//! The states of checks.

/// The state of a check on a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckState {
    /// It has succeeded.
    Passed {
        /// A link to its result.
        url: Option<String>,
    },
    /// It has failed. Running it again can change that.
    Failed {
        /// What it reported.
        detail: String,
    },
    /// It has not finished, or has not begun.
    Waiting {
        /// What is known about it.
        detail: String,
    },
    /// It could not be queried.
    Unknown {
        /// The reason.
        detail: String,
    },
}
