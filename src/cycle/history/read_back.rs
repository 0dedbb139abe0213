//! Reading the branch's history, as far as holds go: newest first, no further than it takes, and what it came to is kept
//! by commit, so that the next run reads only what is new.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::image::{Repository, Version};
use crate::plan::hold::{CommitRecord, NamedHolds};
use crate::plan::trailer::{Hold, Trailers};
use crate::repo::checkpoint::Checkpoint;
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;
use crate::repo::fetch::Deepened;
use crate::repo::history::Logged;

/// Clocks of those who build images and of those who commit differ by less.
const SKEW: SignedDuration = SignedDuration::from_hours(24);

/// So many commits in a row have to be older than what is looked for; one alone may have been made by a wrong clock.
const OLDER_IN_A_ROW: usize = 16;

/// How far back to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// As far as it takes to tell what is held by name.
    Named,
    /// As far as `git.depth` says.
    Usual,
    /// As far as that, and further to where commits are older than this.
    Since(Timestamp),
    /// To the first commit.
    Everything,
}

impl Depth {
    /// As far back as an image can have been held, by when it was built.
    pub fn to(created: Option<Timestamp>) -> Depth {
        created.map_or(Depth::Everything, Depth::Since)
    }
}

/// What was seen of the branch's history.
#[derive(Debug, Default)]
pub struct Seen {
    /// Commits, the newest first.
    pub records: Vec<Arc<CommitRecord>>,
    /// Their ids.
    pub ids: Vec<CommitId>,
    /// Whether those are all that can be seen.
    pub is_all: bool,
    /// What is held by name.
    pub named: NamedHolds,
    /// Where reading ended because of `git.historyLimit`.
    pub horizon: Option<Horizon>,
    /// What was never left by the bot itself, of images that this was asked of.
    pub never_left: HashMap<Repository, Arc<[(Version, Timestamp)]>>,
}

/// The oldest commit that was read of a history that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Horizon {
    commit: String,
    when: Timestamp,
    why: &'static str,
}

/// Why reading ended before the first commit.
const LIMITED: &str = "git.historyLimit";
const SHALLOW: &str = "the remote is a shallow clone";

impl Horizon {
    /// What a person should know about it.
    pub fn note(&self) -> String {
        let commit: String = self.commit.chars().take(7).collect();
        format!(
            "history was read back to commit {commit} of {} and no further ({}): holds and rollbacks before it are not known",
            self.when, self.why
        )
    }
}

/// How a reading ended.
enum End {
    Enough,
    /// History is cut off here, and there may be more on the remote.
    Cut,
    Limited,
    All,
}

impl Seen {
    /// Reads as far back as wanted from a tip, bringing more over where it is not here.
    pub fn read(clone: &mut BareClone, tip: CommitId, depth: Depth) -> Result<Seen, RepoError> {
        let kept = clone.checkpoint();
        loop {
            let mut reading = Reading { seen: Seen::default(), kept: kept.as_ref(), is_told: false };
            let end = match reading.run(clone, tip, depth)? {
                End::Cut => match clone.deepen()? {
                    Deepened::More => continue,
                    Deepened::AtLimit => End::Limited,
                    Deepened::NoMore => End::Cut,
                },
                end => end,
            };
            // A remote that is shallow may know more tomorrow.
            let is_lasting = !matches!(end, End::Cut);
            let seen = reading.finish(end);
            if is_lasting && kept.is_none_or(|kept| kept.commit != tip) {
                seen.keep(clone, tip);
            }
            return Ok(seen);
        }
    }

    /// Whether all that a depth wants was seen, what is held by name apart.
    pub fn reaches(&self, depth: Depth, usual: usize) -> bool {
        let is_usual = self.records.len() >= usual;
        match depth {
            Depth::Named => true,
            Depth::Usual => is_usual,
            Depth::Everything => false,
            Depth::Since(built) => {
                let is_older = |record: &Arc<CommitRecord>| record.when < built - SKEW;
                let mut last = self.records.iter().rev().take(OLDER_IN_A_ROW);
                is_usual && last.len() == OLDER_IN_A_ROW && last.all(is_older)
            }
        }
    }

    /// Keeps what history came to for the next run.
    fn keep(&self, clone: &BareClone, tip: CommitId) {
        let mut text = String::new();
        if let Some(horizon) = &self.horizon {
            let _ = writeln!(text, "{HORIZON}{} {}", horizon.commit, horizon.when);
        }
        for hold in self.named.all() {
            let _ = writeln!(text, "Tagalong-Held: {}", hold.trailer());
        }
        clone.keep_checkpoint(&Checkpoint { commit: tip, text });
    }
}

/// How the line of a checkpoint begins that says where reading ended.
const HORIZON: &str = "horizon ";

fn horizon_in(text: &str) -> Option<Horizon> {
    let (commit, when) = text.lines().find_map(|line| line.strip_prefix(HORIZON))?.split_once(' ')?;
    Some(Horizon { commit: commit.to_owned(), when: when.parse().ok()?, why: LIMITED })
}

/// One reading under way.
struct Reading<'k> {
    seen: Seen,
    kept: Option<&'k Checkpoint>,
    /// Whether a commit was met that tells what was held before it.
    is_told: bool,
}

impl Reading<'_> {
    fn run(&mut self, clone: &BareClone, tip: CommitId, depth: Depth) -> Result<End, RepoError> {
        let usual = clone.usual_depth();
        let mut history = clone.history(tip)?;
        let mut is_cut = false;
        for group in history.by_ref() {
            let group = group?;
            is_cut |= group.iter().any(|logged| logged.is_cut);
            self.take(&group);
            if self.is_told && self.seen.reaches(depth, usual) {
                return Ok(End::Enough);
            }
        }
        Ok(match (history.is_limited(), is_cut) {
            (true, _) => End::Limited,
            (false, true) => End::Cut,
            (false, false) => End::All,
        })
    }

    fn take(&mut self, group: &[Logged]) {
        let before = self.seen.records.len();
        for logged in group {
            self.seen.records.push(Arc::new(record(logged, self.seen.records.len())));
            self.seen.ids.push(logged.id);
        }
        if self.is_told {
            return;
        }
        let told = group.iter().zip(before..).find_map(|(logged, at)| Some((logged.id, at, self.told_by(logged, at)?)));
        if let Some((teller, at, holds)) = told {
            self.is_told = true;
            let later = later_than(teller, group).map(|index| before + index).filter(|index| *index != at);
            let later: Vec<Arc<CommitRecord>> =
                (0..before).chain(later).map(|index| Arc::clone(&self.seen.records[index])).collect();
            self.seen.named = NamedHolds::after(&holds, &later);
        }
    }

    /// What was held by name when a commit had been made, if it tells or was looked into before.
    fn told_by(&mut self, logged: &Logged, at: usize) -> Option<Vec<Hold>> {
        let record = &self.seen.records[at];
        if let Some(kept) = self.kept.filter(|kept| kept.commit == logged.id) {
            self.seen.horizon = horizon_in(&kept.text);
            return Some(Trailers::read(&kept.text).held);
        }
        let parent = logged.parents.first().map(ToString::to_string);
        // It is one of ours, and is still where it was made. A copy of it elsewhere tells what was held there.
        let tells_all = parent.is_some() && record.trailers.base == parent;
        tells_all.then(|| NamedHolds::after(&record.trailers.held, &[Arc::clone(record)]).all().to_vec())
    }

    fn finish(mut self, end: End) -> Seen {
        self.seen.is_all = !matches!(end, End::Enough);
        let why = match end {
            End::Limited => Some(LIMITED),
            End::Cut => Some(SHALLOW),
            End::Enough | End::All => None,
        };
        if let Some((why, oldest)) = why.zip(self.seen.records.last()) {
            self.seen.horizon = Some(Horizon { commit: oldest.commit.clone(), when: oldest.when, why });
        }
        if !self.is_told {
            self.seen.named = NamedHolds::after(&[], &self.seen.records);
        }
        self.seen
    }
}

/// Where the commits of a group are that are not ancestors of one of them, itself included among those that are not.
fn later_than(commit: CommitId, group: &[Logged]) -> impl Iterator<Item = usize> {
    let mut behind: HashSet<CommitId> = HashSet::new();
    let is_later = |(index, logged): (usize, &Logged)| {
        let is_behind = behind.contains(&logged.id);
        if is_behind || logged.id == commit {
            behind.extend(&logged.parents);
        }
        (!is_behind).then_some(index)
    };
    group.iter().enumerate().filter_map(is_later).collect::<Vec<_>>().into_iter()
}

fn record(logged: &Logged, ago: usize) -> CommitRecord {
    CommitRecord {
        ago,
        commit: logged.id.to_string(),
        when: logged.time,
        author: logged.author.clone(),
        subject: logged.message.lines().next().unwrap_or_default().to_owned(),
        trailers: Trailers::read(&logged.message),
    }
}
