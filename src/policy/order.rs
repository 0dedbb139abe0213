//! How tags that name commits are ordered: by when their images were built or pushed, or by the place of their commits in
//! the history of a branch.

use std::fmt;

use jiff::Timestamp;

use crate::secret::SafeUrl;

/// What tells which of two tags is newer, where their names do not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Order {
    /// When the images were built.
    #[default]
    Built,
    /// When the tags were pushed, as the registry's own API tells.
    Pushed,
    /// The place of their commits in the first-parent history of a branch.
    Commit(SourceBranch),
}

/// A branch of the repository that images are built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceBranch {
    /// The repository; without one the images say it (`org.opencontainers.image.source`).
    pub source: Option<SafeUrl>,
    /// The branch.
    pub branch: String,
}

/// Where an image stands in an order. Larger is newer. One policy has one kind of them only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// When it was built or pushed.
    At(Timestamp),
    /// Where its commit is in the history of a branch.
    Commit(HistoryPosition),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standing::At(at) => at.fmt(f),
            Standing::Commit(HistoryPosition(place)) if *place == i64::MIN => {
                f.write_str("before all commits of the branch")
            }
            Standing::Commit(HistoryPosition(place)) => write!(f, "{} commits behind the branch", (-place).max(0) / 2),
        }
    }
}

/// A place in the first-parent history of a branch, or between two of its commits. Larger is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryPosition(i64);

impl HistoryPosition {
    /// Older than any commit.
    pub const BEFORE_ALL: HistoryPosition = HistoryPosition(i64::MIN);

    /// The commit that has so many after it on the branch.
    pub fn behind(count: u32) -> HistoryPosition {
        HistoryPosition(-2 * i64::from(count))
    }

    /// Right after this one, and before the next commit of the branch.
    pub fn just_after(self) -> HistoryPosition {
        HistoryPosition(self.0 + 1)
    }
}

impl Order {
    /// The branch whose history decides, if one does.
    pub fn branch(&self) -> Option<&SourceBranch> {
        match self {
            Order::Commit(branch) => Some(branch),
            Order::Built | Order::Pushed => None,
        }
    }

    /// Why no image of those that fit can be chosen, when none has a standing.
    pub fn no_standing(&self) -> &'static str {
        match self {
            Order::Built => {
                "no image says when it was built; set the annotation or the config's `created` when building, \
                 or use a policy by version or number"
            }
            Order::Pushed => "the registry does not say of any tag when it was pushed",
            Order::Commit(_) => "no tag that could be chosen is of a commit of the branch",
        }
    }

    /// What is missing of an image that is there and has no standing.
    pub fn why_unknown(&self) -> &'static str {
        match self {
            Order::Built => "its image does not say when it was built",
            Order::Pushed => "the registry does not say when it was pushed",
            Order::Commit(_) => "its commit is not on the branch, and it cannot be told when it was built",
        }
    }

    /// What is missing of an image that the registry does not have.
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
