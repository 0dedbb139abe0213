//! The first-parent history of a branch, in which commits are looked up by their SHA or a prefix of it.

use super::order::HistoryPosition;

/// The first-parent history of a branch, or as much of it as is known.
#[derive(Debug, Clone, Default)]
pub struct FirstParentHistory {
    /// SHAs in ascending order, each with the number of commits after it.
    commits: Vec<(Box<str>, u32)>,
    is_whole: bool,
}

/// The result of looking up a SHA in a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The position of the only commit that matches.
    At(HistoryPosition),
    /// No commit matches.
    Nowhere,
    /// Several commits match: the SHA is too short.
    Ambiguous(Vec<String>),
}

impl FirstParentHistory {
    /// Makes a history of its commits, newest first. `is_whole` says that it reaches back to the first commit.
    pub fn new(newest_first: impl Iterator<Item = String>, is_whole: bool) -> FirstParentHistory {
        let mut commits: Vec<(Box<str>, u32)> = newest_first.map(String::into_boxed_str).zip(0..).collect();
        commits.sort();
        FirstParentHistory { commits, is_whole }
    }

    /// Returns whether it reaches back to the first commit.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Returns the number of its commits.
    pub fn len(&self) -> usize {
        self.commits.len()
    }

    /// Returns whether it has no commits.
    pub fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    /// Looks up a SHA, full or abbreviated.
    pub fn find(&self, sha: &str) -> Lookup {
        let first = self.commits.partition_point(|(id, _)| **id < *sha);
        let matching: Vec<_> = self.commits[first..].iter().take_while(|(id, _)| id.starts_with(sha)).collect();
        match matching.as_slice() {
            [] => Lookup::Nowhere,
            [(_, behind)] => Lookup::At(HistoryPosition::behind(*behind)),
            several => Lookup::Ambiguous(several.iter().map(|(id, _)| id.to_string()).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_found_by_the_beginning_of_their_sha() {
        let ids = ["ff00000000", "aabbccdd11", "aabbccdd22", "0123456789"];
        let history = FirstParentHistory::new(ids.iter().map(|id| (*id).to_owned()), true);
        assert_eq!(history.find("ff00000"), Lookup::At(HistoryPosition::behind(0)));
        assert_eq!(history.find("0123456789"), Lookup::At(HistoryPosition::behind(3)));
        assert_eq!(history.find("aabbccdd2"), Lookup::At(HistoryPosition::behind(2)));
        assert_eq!(history.find("aabbccdd"), Lookup::Ambiguous(vec!["aabbccdd11".to_owned(), "aabbccdd22".to_owned()]));
        for nowhere in ["0123456788", "01234567890", "fff", "00"] {
            assert_eq!(history.find(nowhere), Lookup::Nowhere, "{nowhere}");
        }
        assert_eq!(FirstParentHistory::default().find("ff00000"), Lookup::Nowhere);
    }
}
