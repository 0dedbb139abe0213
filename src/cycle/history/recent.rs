//! The commits that moved image fields lately, as their trailers record it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::manifest::helm_release;
use crate::plan::hold::CommitRecord;
use crate::plan::trailer::{Effect, RecordedMove};
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;

use super::merged_proposals::MergedProposals;
use super::read_back::record;

/// The number of consecutive commits that have to be older; the date of a single one may be wrong.
const OLDER_IN_A_ROW: usize = 16;
/// The maximum number of commits that are read.
const MAX_COMMITS: usize = 1_000;

/// A commit that moved image fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentCommit {
    /// The commit.
    pub commit: String,
    /// The time of the commit.
    pub when: Timestamp,
    /// The fields.
    pub moves: Vec<RecordedMove>,
    /// The names of the HelmReleases that their files declare at the tip, by file.
    pub releases: BTreeMap<String, BTreeSet<String>>,
}

/// Returns the commits that moved image fields since a point in time, oldest first, as far as the clone has them.
pub fn recent(clone: &BareClone, tip: CommitId, since: Timestamp) -> Result<Vec<RecentCommit>, RepoError> {
    let (mut found, mut older) = (Vec::new(), 0);
    let (mut line, proposals) = (clone.line(tip), MergedProposals::kept(clone));
    for _ in 0..MAX_COMMITS {
        let Some(step) = line.step(&|_| false)? else { break };
        if step.logged.time < since {
            older += 1;
            if older == OLDER_IN_A_ROW {
                break;
            }
            continue;
        }
        older = 0;
        let record = record(clone, &step.logged, 0, &proposals)?;
        if record.effect == Effect::Files && !record.trailers.moves.is_empty() {
            let moves = record.trailers.moves;
            let releases = releases_of(clone, tip, &moves)?;
            found.push(RecentCommit { commit: record.commit, when: record.when, moves, releases });
        }
    }
    found.reverse();
    Ok(found)
}

/// Returns what a commit of the clone records, and its first parent.
pub fn recorded(clone: &BareClone, commit: CommitId) -> Result<Option<(CommitRecord, CommitId)>, RepoError> {
    let Some(step) = clone.line(commit).step(&|_| false)? else { return Ok(None) };
    let Some(parent) = step.logged.parents.first().copied().filter(|_| !step.logged.is_cut) else { return Ok(None) };
    Ok(Some((record(clone, &step.logged, 0, &MergedProposals::kept(clone))?, parent)))
}

fn releases_of(
    clone: &BareClone,
    tip: CommitId,
    moves: &[RecordedMove],
) -> Result<BTreeMap<String, BTreeSet<String>>, RepoError> {
    let mut releases = BTreeMap::new();
    for recorded in moves {
        if !releases.contains_key(&recorded.file) {
            let bytes = clone.file(tip, &recorded.file)?.unwrap_or_default();
            releases.insert(recorded.file.clone(), helm_release::names_in(&bytes));
        }
    }
    Ok(releases)
}
