//! What merged pull requests proposed. Squashing one may lose the trailers of its commits, but its text has them as well.
//!
//! What the forge reported is kept next to the clone: a forge that is down for a while must not release anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::plan::proposal::MergedPullRequest;
use crate::plan::trailer::Trailers;
use crate::repo::checkpoint::{Checkpoint, Subject};
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::history::Logged;

/// The newest pull requests of a list that count. What older ones proposed has long been replaced.
const NEWEST: usize = 100;
/// The most commits for which records are kept, those of all lists together.
const MOST: usize = 2_000;
/// The largest size of all records, in bytes.
const LARGEST: usize = 8 << 20;

/// The start of a line that names the commit of the following record.
const COMMIT: &str = "commit ";

/// The records of merged pull requests, by the commits that they were merged in.
#[derive(Debug, Default)]
pub struct MergedProposals(BTreeMap<String, String>);

impl MergedProposals {
    /// Returns those that are kept next to a clone.
    pub fn kept(clone: &BareClone) -> MergedProposals {
        MergedProposals(entries(clone).into_iter().collect())
    }

    /// Returns the trailers of a commit: its own, or those of the pull request that was squashed to it.
    pub fn trailers(&self, logged: &Logged) -> Trailers {
        let own = Trailers::read(&logged.message);
        if !own.moves.is_empty() || logged.parents.len() != 1 || self.0.is_empty() {
            return own;
        }
        self.0.get(&logged.id.to_string()).map_or(own, |record| Trailers::read(record))
    }

    /// Keeps the records of pull requests, given oldest first, next to a clone with this tip. Returns whether any is new.
    pub fn keep(clone: &BareClone, tip: CommitId, merged: &[MergedPullRequest]) -> bool {
        let known = entries(clone);
        let ids: BTreeSet<&str> = known.iter().map(|(commit, _)| commit.as_str()).collect();
        let of_commits = |merged: &MergedPullRequest| {
            let of_commit = |commit: &String| (commit.to_ascii_lowercase(), merged.record.clone());
            merged.commits.iter().map(of_commit).collect::<Vec<_>>()
        };
        let recorded = merged.iter().rev().filter(|merged| !merged.record.is_empty()).take(NEWEST).flat_map(of_commits);
        let is_new =
            |(commit, _): &(String, String)| commit.parse::<CommitId>().is_ok() && !ids.contains(commit.as_str());
        let new: Vec<(String, String)> = recorded.filter(is_new).collect();
        if new.is_empty() {
            return false;
        }
        let mut text = String::new();
        for (commit, record) in new.iter().chain(&known).take(MOST) {
            if text.len() + record.len() > LARGEST {
                break;
            }
            let _ = write!(text, "{COMMIT}{commit}\n{record}");
        }
        clone.keep_checkpoint(Subject::MergedProposals, &Checkpoint { commit: tip, text });
        true
    }
}

/// Returns the commits and their records, newest first.
fn entries(clone: &BareClone) -> Vec<(String, String)> {
    let text = clone.checkpoint(Subject::MergedProposals).map(|kept| kept.text).unwrap_or_default();
    let mut entries: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix(COMMIT), entries.last_mut()) {
            (Some(commit), _) => entries.push((commit.to_owned(), String::new())),
            (None, Some((_, record))) => record.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    entries
}
