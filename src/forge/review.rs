//! Reviews of a pull request, as all forges have them.

use std::fmt;

use jiff::Timestamp;

use super::pull_request::Person;

/// The latest review of a pull request by one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The reviewer.
    pub by: Person,
    /// What it says.
    pub verdict: Verdict,
    /// Whether it counts for the head in question.
    pub weight: Weight,
    /// The head that was reviewed, if the forge reports that.
    pub head: Option<String>,
    /// When it was submitted.
    pub at: Option<Timestamp>,
    /// Its page.
    pub url: Option<String>,
}

/// What a review says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It approves the changes.
    Approves,
    /// It asks for other changes. Such a review counts until it is dismissed or replaced, whichever head it is for.
    Refuses,
}

/// Whether a review counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// It counts.
    Counts,
    /// It is for another head.
    OtherHead,
    /// The forge does not report which head it is for.
    UnknownHead,
    /// Someone has dismissed it.
    Dismissed,
    /// The reviewer has no right to approve.
    NoRight,
    /// Nobody who may write has made the person a reviewer, where everybody who may read can approve.
    NotReviewer,
    /// The reviewer has opened the pull request.
    Author,
}

impl Review {
    /// Returns whether it is an approval that counts.
    pub fn approves(&self) -> bool {
        (self.verdict, self.weight) == (Verdict::Approves, Weight::Counts)
    }

    /// Returns whether it is a refusal that counts.
    pub fn refuses(&self) -> bool {
        (self.verdict, self.weight) == (Verdict::Refuses, Weight::Counts)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Weight::Counts => "counts",
            Weight::OtherHead => "does not count, because it is for an earlier version",
            Weight::UnknownHead => "does not count, because the forge does not report for which version it is",
            Weight::Dismissed => "does not count, because it was dismissed",
            Weight::NoRight => "does not count, because the reviewer may not write to the repository",
            Weight::NotReviewer => "does not count, because it is not by one of the reviewers",
            Weight::Author => "does not count, because the reviewer opened the pull request",
        })
    }
}

/// Returns how much a review counts, as far as it can be determined without asking about rights.
pub(super) fn weight(verdict: Verdict, reviewed: Option<&str>, head: Option<&str>, is_author: bool) -> Weight {
    match (is_author, verdict, reviewed.filter(|reviewed| !reviewed.is_empty())) {
        (true, ..) => Weight::Author,
        (false, Verdict::Refuses, _) => Weight::Counts,
        (false, Verdict::Approves, None) => Weight::UnknownHead,
        (false, Verdict::Approves, reviewed) if reviewed == head => Weight::Counts,
        (false, Verdict::Approves, Some(_)) => Weight::OtherHead,
    }
}
