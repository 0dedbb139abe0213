//! What an access token for a git server or forge is needed for. Each token can do only that, where the issuer supports it.

/// What an access token is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Reading the repository.
    ReadContents,
    /// Reading the repository and pushing to it.
    WriteContents,
    /// Reading pull requests with their reviews, and writing them with their labels and comments.
    PullRequests,
    /// Merging pull requests.
    Merge,
    /// Reading the statuses of commits.
    ReadStatuses,
    /// Setting the statuses of commits.
    WriteStatuses,
    /// Reading the check runs of commits.
    ReadChecks,
}
