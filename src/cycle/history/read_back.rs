//! Reads the branch's history for holds: newest first, only as far as necessary. Results are saved by commit, so that
//! the next run reads only what is new.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::image::{Repository, Version};
use crate::plan::approvals::StageOrders;
use crate::plan::hold::{CommitRecord, NamedHolds};
use crate::plan::stage_order::SignedBy;
use crate::plan::trailer::{Effect, Hold, Trailers};
use crate::plan::undone::{self, Awaited};
use crate::progress;
use crate::repo::checkpoint::{Checkpoint, Subject};
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;
use crate::repo::fetch::Deepened;
use crate::repo::history::Logged;
use crate::text;

use super::confirm::confirms;
use super::merged_proposals::MergedProposals;
use super::signatures;

/// The assumed limit for the difference between the clocks of builds and of commits.
const SKEW: SignedDuration = SignedDuration::from_hours(24);

/// The number of consecutive commits that have to be older than what is looked for; the date of a single one may be
/// wrong.
const OLDER_IN_A_ROW: usize = 16;

/// The depth to which history is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// To where all holds by name are known.
    Named,
    /// To where all orders about stages are known, too.
    StageOrders,
    /// To `git.depth` commits.
    Usual,
    /// To `git.depth` commits, and further to where commits are older than this.
    Since(Timestamp),
    /// To the first commit.
    Everything,
}

impl Depth {
    /// Returns the depth to which an image can have been deployed, by the time when it was built.
    pub fn to(built: Option<Timestamp>) -> Depth {
        built.map_or(Depth::Everything, Depth::Since)
    }
}

/// The part of the branch's history that was read.
#[derive(Debug, Default)]
pub struct ReadHistory {
    /// The commits, newest first.
    pub records: Vec<Arc<CommitRecord>>,
    /// Their IDs.
    pub ids: Vec<CommitId>,
    /// True if no further commits can be read.
    pub is_all: bool,
    /// The holds by name.
    pub named: NamedHolds,
    /// What the orders about stages amount to, if history was read to where they are known.
    pub stage_orders: Option<StageOrders>,
    /// The commit where reading ended, if history goes on.
    pub horizon: Option<Horizon>,
    /// The versions that tagalong set and never replaced itself, for images where this was computed.
    pub never_left: HashMap<Repository, Arc<[(Version, Timestamp)]>>,
}

/// The oldest commit that was read, of a history that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Horizon {
    commit: String,
    when: Timestamp,
    why: &'static str,
}

/// The reasons why reading ends before the first commit.
const LIMITED: &str = "git.historyLimit";
const SHALLOW: &str = "the remote is a shallow clone";

impl Horizon {
    /// Returns the oldest commit that was read, if reading ended there because of the limit or because history is cut off.
    pub(super) fn at(oldest: Option<(String, Timestamp)>, is_limited: bool, is_cut: bool) -> Option<Horizon> {
        let why = if is_limited { LIMITED } else { SHALLOW };
        oldest.filter(|_| is_limited || is_cut).map(|(commit, when)| Horizon { commit, when, why })
    }

    /// Returns the time of that commit.
    pub fn when(&self) -> Timestamp {
        self.when
    }

    /// Returns a note for people.
    pub fn note(&self) -> String {
        let commit: String = self.commit.chars().take(7).collect();
        format!(
            "history was read back only to commit {commit} of {} ({}): earlier holds and rollbacks are unknown",
            self.when, self.why
        )
    }
}

/// The end of a reading.
enum End {
    Enough,
    /// The clone is shallow here, and the remote may have more.
    Cut,
    Limited,
    All,
}

impl ReadHistory {
    /// Reads history from a tip to a depth, and fetches more of it as necessary.
    pub fn read(clone: &mut BareClone, tip: CommitId, depth: Depth) -> Result<ReadHistory, RepoError> {
        let kept = Kept::of(clone);
        loop {
            let mut reading = Reading::of(tip, &kept);
            let end = match reading.run(clone, tip, depth)? {
                End::Cut => match clone.deepen()? {
                    Deepened::More => continue,
                    Deepened::AtLimit => End::Limited,
                    Deepened::NoMore => End::Cut,
                },
                end => end,
            };
            // A shallow remote may have more later.
            let is_lasting = !matches!(end, End::Cut);
            let read = reading.finish(end);
            if is_lasting {
                read.keep(clone, tip, &kept);
            }
            return Ok(read);
        }
    }

    /// Returns whether history was read to a depth, apart from holds by name.
    pub fn reaches(&self, depth: Depth, usual: usize) -> bool {
        let is_usual = self.records.len() >= usual;
        match depth {
            Depth::Named => true,
            Depth::StageOrders => self.stage_orders.is_some(),
            Depth::Usual => is_usual,
            Depth::Everything => false,
            Depth::Since(built) => {
                let since = built.checked_sub(SKEW).unwrap_or(Timestamp::MIN);
                let is_older = |record: &Arc<CommitRecord>| record.when < since;
                let mut last = self.records.iter().rev().take(OLDER_IN_A_ROW);
                is_usual && last.len() == OLDER_IN_A_ROW && last.all(is_older)
            }
        }
    }

    /// Saves the results for the next run.
    fn keep(&self, clone: &BareClone, tip: CommitId, kept: &Kept) {
        let is_new = |kept: &Option<Checkpoint>| kept.as_ref().is_none_or(|kept| kept.commit != tip);
        if is_new(&kept.holds) {
            clone.keep_checkpoint(Subject::Holds, &Checkpoint { commit: tip, text: self.holds_to_keep() });
        }
        if let Some(orders) = self.stage_orders.as_ref().filter(|_| is_new(&kept.stage_orders)) {
            clone.keep_checkpoint(Subject::StageOrders, &Checkpoint { commit: tip, text: orders.lines() });
        }
    }

    fn holds_to_keep(&self) -> String {
        let mut text = String::new();
        if let Some(horizon) = &self.horizon {
            let _ = writeln!(text, "{HORIZON}{} {}", horizon.commit, horizon.when);
        }
        for hold in self.named.all() {
            let _ = writeln!(text, "Tagalong-Held: {}", hold.trailer());
        }
        text
    }
}

/// The results of earlier runs.
struct Kept {
    holds: Option<Checkpoint>,
    stage_orders: Option<Checkpoint>,
    proposals: MergedProposals,
}

impl Kept {
    fn of(clone: &BareClone) -> Kept {
        let of = |subject| clone.checkpoint(subject);
        let proposals = MergedProposals::kept(clone);
        Kept { holds: of(Subject::Holds), stage_orders: of(Subject::StageOrders), proposals }
    }
}

/// The start of the line of a checkpoint that records where reading ended.
const HORIZON: &str = "horizon ";

fn horizon_in(text: &str) -> Option<Horizon> {
    let (commit, when) = text.lines().find_map(|line| line.strip_prefix(HORIZON))?.split_once(' ')?;
    Some(Horizon { commit: commit.to_owned(), when: when.parse().ok()?, why: LIMITED })
}

/// A reading in progress.
struct Reading<'k> {
    read: ReadHistory,
    kept: &'k Kept,
    /// True once a commit was read that lists all holds before it.
    knows_holds: bool,
    /// The next commit of the line of first parents.
    next_in_line: Option<CommitId>,
    /// The holds that commits list whose parents are not in the clone. They count if there is nothing else.
    held_at_boundary: Vec<Hold>,
    /// The commits that reverts named. What those did has to be known to undo it.
    awaited: Awaited,
}

impl<'k> Reading<'k> {
    fn of(tip: CommitId, kept: &'k Kept) -> Reading<'k> {
        let (read, held_at_boundary, awaited) = Default::default();
        Reading { read, kept, knows_holds: false, next_in_line: Some(tip), held_at_boundary, awaited }
    }

    fn run(&mut self, clone: &BareClone, tip: CommitId, depth: Depth) -> Result<End, RepoError> {
        let usual = clone.usual_depth();
        let mut history = clone.history(tip)?;
        let mut is_cut = false;
        for group in history.by_ref() {
            let group = group?;
            is_cut |= group.iter().any(|logged| logged.is_cut);
            self.take(clone, &group)?;
            progress::report_open(COMMITS, self.read.records.len());
            if self.knows_holds && self.read.reaches(depth, usual) {
                return Ok(End::Enough);
            }
        }
        Ok(match (history.is_limited(), is_cut) {
            (true, _) => End::Limited,
            (false, true) => End::Cut,
            (false, false) => End::All,
        })
    }

    fn take(&mut self, clone: &BareClone, group: &[Logged]) -> Result<(), RepoError> {
        let before = self.read.records.len();
        for logged in group {
            let record = record(clone, logged, self.read.records.len(), &self.kept.proposals)?;
            self.read.records.push(Arc::new(record));
            self.read.ids.push(logged.id);
        }
        for (logged, at) in group.iter().zip(before..) {
            if self.knows_holds {
                break;
            }
            let holds = self.holds_at(clone, logged, at)?;
            let is_enough =
                |holds: &Vec<Hold>| self.awaited.are_among(holds.iter().filter_map(|hold| hold.origin.commit()));
            // The holds include what this commit did, so it is only read now.
            let holds = holds.filter(is_enough);
            self.awaited.read(&self.read.records[at]);
            let Some(holds) = holds else { continue };
            self.knows_holds = true;
            let mut later = self.later(group, before, at);
            undone::take_back(&mut later);
            self.read.named = NamedHolds::after(&holds, &later);
        }
        self.take_stage_orders(group, before);
        Ok(())
    }

    /// Takes the orders about stages that an earlier run found, if that read up to a commit of this group.
    fn take_stage_orders(&mut self, group: &[Logged], before: usize) {
        let Some(kept) = self.kept.stage_orders.as_ref().filter(|_| self.read.stage_orders.is_none()) else { return };
        let Some(index) = group.iter().position(|logged| logged.id == kept.commit) else { return };
        let earlier = StageOrders::read(&kept.text);
        self.read.stage_orders = earlier.map(|earlier| earlier.after(&self.later(group, before, before + index)));
    }

    /// Returns the records that are not before the one at `at`, which is in a group that begins at `before`.
    fn later(&self, group: &[Logged], before: usize, at: usize) -> Vec<Arc<CommitRecord>> {
        let later = later_than(group[at - before].id, group).map(|index| before + index).filter(|index| *index != at);
        (0..before).chain(later).map(|index| Arc::clone(&self.read.records[index])).collect()
    }

    /// Returns the holds by name right after a commit, if it lists them or was read in an earlier run.
    fn holds_at(&mut self, clone: &BareClone, logged: &Logged, at: usize) -> Result<Option<Vec<Hold>>, RepoError> {
        let is_in_line = self.next_in_line == Some(logged.id);
        if is_in_line {
            self.next_in_line = logged.parents.first().copied();
        }
        let record = &self.read.records[at];
        if let Some(kept) = self.kept.holds.as_ref().filter(|kept| kept.commit == logged.id) {
            self.read.horizon = horizon_in(&kept.text);
            return Ok(Some(Trailers::read(&kept.text).held));
        }
        // Only one of our commits in its original place lists the holds there. Pull requests bring commits too, but not
        // into the line of first parents, unless the branch itself is moved to them.
        let parent = logged.parents.first().map(ToString::to_string);
        if !is_in_line || parent.is_none() || record.trailers.base != parent {
            return Ok(None);
        }
        let listed = NamedHolds::after(&record.trailers.held, &[Arc::clone(record)]).all().to_vec();
        if record.effect == Effect::Unknown {
            self.held_at_boundary.extend(listed);
            return Ok(None);
        }
        for recorded in &record.trailers.moves {
            if record.effect == Effect::Files && !confirms(clone, logged.id, &record.trailers.moves, recorded)? {
                return Ok(None);
            }
        }
        Ok(Some(listed))
    }

    fn finish(mut self, end: End) -> ReadHistory {
        undone::take_back(&mut self.read.records);
        self.read.is_all = !matches!(end, End::Enough);
        let oldest = self.read.records.last().map(|oldest| (oldest.commit.clone(), oldest.when));
        let horizon = Horizon::at(oldest, matches!(end, End::Limited), matches!(end, End::Cut));
        self.read.horizon = horizon.or(self.read.horizon.take());
        if !self.knows_holds {
            self.read.named = NamedHolds::after(&self.held_at_boundary, &self.read.records);
        }
        if self.read.is_all && self.read.stage_orders.is_none() {
            self.read.stage_orders = Some(StageOrders::default().after(&self.read.records));
        }
        self.read
    }
}

/// Returns the indexes of the commits in a group that are not ancestors of a commit, including its own.
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

/// What is counted while history is read.
pub(super) const COMMITS: &str = "commits read";

/// The longest subject, and name of an author, that is shown, in characters.
const MAX_WORDS: usize = 200;

pub(super) fn record(
    clone: &BareClone,
    logged: &Logged,
    ago: usize,
    proposals: &MergedProposals,
) -> Result<CommitRecord, RepoError> {
    let all = proposals.trailers(logged);
    // Most commits are other people's, and say nothing to us.
    let (effect, signature, is_trusted) = if all.is_empty() {
        (Effect::Files, None, false)
    } else {
        let effect = match clone.changes_nothing(logged)? {
            Some(true) => Effect::Nothing,
            Some(false) => Effect::Files,
            None => Effect::Unknown,
        };
        let signature = signatures::signature(clone, logged.id)?;
        let is_trusted = signatures::is_trusted(signature.as_ref());
        (effect, signature, is_trusted)
    };
    let refused = signatures::refused_approvals(clone, logged.id, &all, effect, signature.as_ref())?;
    let shown = |words: &str| text::cut(&text::words(words), MAX_WORDS).into_owned();
    let trailers = all.counting(effect, is_trusted);
    let signed_by = if trailers.stage_orders.is_empty() && trailers.break_glass.is_empty() {
        SignedBy::default()
    } else {
        signatures::signed_by(clone, logged.id)?
    };
    Ok(CommitRecord {
        ago,
        commit: logged.id.to_string(),
        when: logged.time,
        author: shown(&logged.author),
        subject: shown(logged.message.lines().next().unwrap_or_default()),
        effect,
        is_trusted,
        trailers,
        signed_by,
        signature,
        refused,
    })
}
