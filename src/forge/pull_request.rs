//! Pull requests, as all forges have them.

use jiff::Timestamp;

/// A pull request from the proposal branch to the tracked branch, both of the repository itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its page on the forge.
    pub url: String,
    /// Its description.
    pub text: String,
    /// Its state.
    pub state: State,
}

/// The state of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is open.
    Open,
    /// It was merged.
    Merged,
    /// It was closed without being merged.
    Closed {
        /// When it was closed.
        at: Timestamp,
        /// Who closed it, if the forge reports that.
        by: Option<String>,
    },
}

/// The content of a pull request to be opened or updated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The title.
    pub title: String,
    /// The description.
    pub text: String,
}

/// A pull request on a page of the forge's list.
#[derive(Debug)]
pub(super) struct ListedPullRequest {
    /// When it was last updated: pages are ordered by that, newest first.
    pub updated: Timestamp,
    /// The pull request, if it is from the proposal branch to the tracked branch.
    pub own: Option<PullRequest>,
}
