//! The order of tags that name commits: by the time when their images were built or pushed, or by the position of their
//! commits in the history of a branch.

use std::fmt;

use jiff::Timestamp;

use crate::secret::SafeUrl;

/// The criterion for which of two tags is newer if their names do not tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Order {
    /// The time when the images were built.
    #[default]
    Built,
    /// The time when the tags were pushed, according to the registry's own API.
    Pushed,
    /// The position of their commits in the first-parent history of a branch.
    Commit(SourceBranch),
}

/// A branch of the repository that images are built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceBranch {
    /// The repository; if `None`, the images name it (`org.opencontainers.image.source`).
    pub source: Option<SafeUrl>,
    /// The branch.
    pub branch: String,
}

/// The standing of an image in an order. Larger is newer. One policy uses only one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The time when it was built or pushed.
    At(Timestamp),
    /// The position of its commit in the history of a branch.
    Commit(HistoryPosition),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standing::At(at) => at.fmt(f),
            Standing::Commit(HistoryPosition(place)) if *place == i64::MIN => {
                f.write_str("before all commits on the branch")
            }
            Standing::Commit(HistoryPosition(place)) => write!(f, "{} commits behind the branch", (-place).max(0) / 2),
        }
    }
}

/// A position in the first-parent history of a branch, or between two of its commits. Larger is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryPosition(i64);

impl HistoryPosition {
    /// The position before all commits.
    pub const BEFORE_ALL: HistoryPosition = HistoryPosition(i64::MIN);

    /// Returns the position of the commit with a number of commits after it on the branch.
    pub fn behind(count: u32) -> HistoryPosition {
        HistoryPosition(-2 * i64::from(count))
    }

    /// Returns the position right after this one, and before the next commit of the branch.
    pub fn just_after(self) -> HistoryPosition {
        HistoryPosition(self.0 + 1)
    }
}

impl Order {
    /// Returns the branch whose history decides, if this is the criterion.
    pub fn branch(&self) -> Option<&SourceBranch> {
        match self {
            Order::Commit(branch) => Some(branch),
            Order::Built | Order::Pushed => None,
        }
    }

    /// Explains why none of the images that fit can be chosen if none has a standing.
    pub fn no_standing(&self) -> &'static str {
        match self {
            Order::Built => {
                "no image says when it was built; set the annotation or the config's `created` when building, \
                 or use a policy by version or number"
            }
            Order::Pushed => "the registry does not report when tags were pushed",
            Order::Commit(_) => "no eligible tag names a commit on the branch",
        }
    }

    /// Explains why an image that exists has no standing.
    pub fn why_unknown(&self) -> &'static str {
        match self {
            Order::Built => "its image does not say when it was built",
            Order::Pushed => "the registry does not report when it was pushed",
            Order::Commit(_) => "its commit is not on the branch, and it is unknown when it was built",
        }
    }

    /// Explains why an image that the registry does not have has no standing.
    pub fn why_gone(&self) -> &'static str {
        match self {
            Order::Built | Order::Pushed => "the registry does not have it",
            Order::Commit(_) => "its commit is not on the branch, and the registry does not have it",
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Order::Built => "built",
            Order::Pushed => "pushed",
            Order::Commit(_) => "commit",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_run_from_the_root_to_the_tip() {
        assert!(
            HistoryPosition::behind(0) > HistoryPosition::behind(1)
                && HistoryPosition::behind(u32::MAX) > HistoryPosition::BEFORE_ALL
        );
        let between = HistoryPosition::behind(7).just_after();
        assert!(between > HistoryPosition::behind(7) && between < HistoryPosition::behind(6));
    }
}
