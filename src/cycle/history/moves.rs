//! The moves of image fields along the branch: who changed which field to what, and when.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::image::{Repository, Version};
use crate::manifest::field::Pending;
use crate::manifest::field_rules::FieldRules;
use crate::manifest::find;
use crate::manifest::inventory::Inventory;
use crate::plan::broken_glass::OrderCommit;
use crate::plan::hold::CommitRecord;
use crate::plan::trailer::{RecordedMove, Trailers, agree};
use crate::progress;
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;
use crate::repo::fetch::Deepened;
use crate::repo::history::Logged;
use crate::repo::line::Step;
use crate::repo::tree::{BlobId, Content};
use crate::stage::promotion::APPROVAL;
use crate::stage::timeline::{FieldMove, Point};

use super::merged_proposals::MergedProposals;
use super::read_back::{COMMITS, Horizon, record};
use super::signatures;
use crate::cycle::tip::Tip;

/// The moves of image fields up to a commit of the branch.
#[derive(Debug, Default)]
pub struct FieldHistory {
    /// The moves, newest first.
    pub moves: Vec<FieldMove>,
    /// The commits that made them, by ID.
    pub records: HashMap<String, Arc<CommitRecord>>,
    /// The commits with orders about stages, newest first.
    pub orders: Vec<OrderCommit>,
    /// The commit where reading ended, if history goes on.
    pub horizon: Option<Horizon>,
    tip: Option<CommitId>,
    commits: usize,
    /// The last time at which this was the tip of the branch, for a process that keeps running.
    seen: Option<Timestamp>,
}

/// What decides which fields are followed. When it changes, fields are followed that were not before, so history has to be
/// read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The paths of the stages.
    pub paths: Vec<Vec<String>>,
    /// The rules that find fields.
    pub field_rules: FieldRules,
}

/// The fields to follow through history.
#[derive(Clone, Copy)]
pub struct Followed<'f> {
    /// The rules that find fields in older commits.
    pub field_rules: &'f FieldRules,
    /// The fields of the tip. They name the images of fields whose own file does not.
    pub inventory: &'f Inventory,
    /// The files whose fields are followed.
    pub wants: &'f (dyn Fn(&str) -> bool + Sync),
}

impl FieldHistory {
    /// Reads the moves up to a tip. `known` are those up to an earlier one, so that only newer commits are read.
    pub fn read(
        tip: &mut Tip,
        followed: Followed<'_>,
        known: Option<Arc<FieldHistory>>,
        now: Timestamp,
    ) -> Result<FieldHistory, RepoError> {
        loop {
            let proposals = MergedProposals::kept(&tip.clone);
            let mut reading = Reading::new(followed, known.as_deref(), usize::MAX, proposals);
            let end = reading.run(&tip.clone, tip.commit)?;
            if end == End::Cut && tip.clone.deepen()? == Deepened::More {
                continue;
            }
            return Ok(reading.finish(end, tip.commit, known.as_deref(), now));
        }
    }
}

impl FieldHistory {
    /// Reads the moves up to a tip that are newer than `known`, as far as the clone has them, and about `most` of them.
    pub fn newer(
        clone: &BareClone,
        tip: CommitId,
        followed: Followed<'_>,
        known: Option<&FieldHistory>,
        most: usize,
        now: Timestamp,
    ) -> Result<Newer, RepoError> {
        let mut reading = Reading::new(followed, known, most, MergedProposals::kept(clone));
        let end = reading.run(clone, tip)?;
        let history = reading.finish(end, tip, known, now);
        Ok(Newer { history, continues: end == End::Known, is_cut: end == End::Cut })
    }

    /// Returns up to where history was read, without what was found there.
    pub fn position(&self) -> FieldHistory {
        let FieldHistory { horizon, tip, commits, seen, .. } = self;
        FieldHistory { horizon: horizon.clone(), tip: *tip, commits: *commits, seen: *seen, ..FieldHistory::default() }
    }
}

/// The moves since those that are known.
#[derive(Debug)]
pub struct Newer {
    /// The moves, followed by the known ones.
    pub history: FieldHistory,
    /// True if reading ended where the known moves begin. Otherwise the branch was rewritten, or nothing was known.
    pub continues: bool,
    /// True if reading ended because the clone is shallow.
    pub is_cut: bool,
}

/// Where reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Known,
    All,
    Cut,
    Limited,
}

/// The fields of a file, by path and image.
type Fields = BTreeMap<(String, Repository), Version>;

struct Reading<'r> {
    followed: Followed<'r>,
    until: Option<CommitId>,
    /// The number of moves after which reading ends.
    most: usize,
    /// The images of fields that are named in other files, by file and path.
    named_elsewhere: HashMap<(&'r str, &'r str), &'r Repository>,
    /// The fields of files as they were before the last commit that was read.
    fields: HashMap<String, (BlobId, Arc<Fields>)>,
    moves: Vec<FieldMove>,
    records: HashMap<String, Arc<CommitRecord>>,
    orders: Vec<OrderCommit>,
    /// The commits that were read, newest first.
    commits: Vec<(CommitId, Timestamp)>,
    /// What merged pull requests proposed.
    proposals: MergedProposals,
}

impl<'r> Reading<'r> {
    fn new(
        followed: Followed<'r>,
        known: Option<&FieldHistory>,
        most: usize,
        proposals: MergedProposals,
    ) -> Reading<'r> {
        let fields = followed.inventory.fields.iter().filter(|located| (followed.wants)(&located.file));
        let named_elsewhere =
            fields.map(|located| ((located.file.as_str(), located.field.path.as_str()), &located.field.repository));
        Reading {
            followed,
            until: known.and_then(|known| known.tip),
            most,
            named_elsewhere: named_elsewhere.collect(),
            fields: HashMap::new(),
            moves: Vec::new(),
            records: HashMap::new(),
            orders: Vec::new(),
            commits: Vec::new(),
            proposals,
        }
    }

    fn run(&mut self, clone: &BareClone, tip: CommitId) -> Result<End, RepoError> {
        let mut line = clone.line(tip);
        while let Some(step) = line.step(self.followed.wants)? {
            if self.until == Some(step.logged.id) {
                return Ok(End::Known);
            }
            self.take(clone, &step)?;
            self.commits.push((step.logged.id, step.logged.time));
            progress::report_open(COMMITS, self.commits.len());
            if step.logged.is_cut {
                return Ok(End::Cut);
            }
            if self.moves.len() >= self.most {
                return Ok(End::Limited);
            }
        }
        Ok(if line.is_limited() { End::Limited } else { End::All })
    }

    fn take(&mut self, clone: &BareClone, step: &Step) -> Result<(), RepoError> {
        let mut found = Vec::new();
        for file in &step.files {
            let after = self.fields_of(clone, &file.path, file.after)?;
            let before = self.fields_of(clone, &file.path, file.before)?;
            let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
            for key in keys {
                let (from, to) = (before.get(key), after.get(key));
                if from != to {
                    found.push((file, key.clone(), from.cloned(), to.cloned()));
                }
            }
        }
        // Most commits are other people's, and say nothing to us.
        let may_order = step.files.is_empty() && step.logged.message.contains("\nTagalong-");
        if found.is_empty() && !may_order {
            return Ok(());
        }
        let ago = self.commits.len();
        let mut record = record(clone, &step.logged, ago, &self.proposals)?;
        if record.signature.is_none() {
            record.signature = signatures::signature(clone, step.logged.id)?;
        }
        if step.logged.parents.len() > 1 && (!record.is_trusted || record.trailers.moves.is_empty()) {
            record = with_merged(clone, record, &step.logged, &self.proposals)?;
        }
        let record = Arc::new(record);
        let approves = found.is_empty() && record.trailers.evidence.iter().any(|evidence| evidence.kind == APPROVAL);
        if !record.trailers.stage_orders.is_empty() || approves {
            self.orders.push(OrderCommit { ago, record: Arc::clone(&record) });
        }
        if found.is_empty() {
            return Ok(());
        }
        let (when, claimed) = (step.logged.time, step.logged.time);
        let at = Point { ago, commit: record.commit.clone(), when, claimed };
        for (file, (path, image), from, to) in found {
            self.moves.push(field_move(&record, at.clone(), file.path.clone(), path, image, from, to));
        }
        self.records.insert(record.commit.clone(), record);
        Ok(())
    }

    fn fields_of(&mut self, clone: &BareClone, path: &str, blob: Option<BlobId>) -> Result<Arc<Fields>, RepoError> {
        let Some(blob) = blob else { return Ok(Arc::default()) };
        if let Some((_, fields)) = self.fields.get(path).filter(|(known, _)| *known == blob) {
            return Ok(Arc::clone(fields));
        }
        let read = |_: usize, content: Content<'_>| match content {
            Content::Bytes(bytes) => self.parse(path, bytes),
            _ => Fields::new(),
        };
        let fields = Arc::new(clone.read_blobs(&[blob], read)?.pop().unwrap_or_default());
        self.fields.insert(path.to_owned(), (blob, Arc::clone(&fields)));
        Ok(fields)
    }

    fn parse(&self, path: &str, bytes: &[u8]) -> Fields {
        let Ok(facts) = find::read(path, bytes, self.followed.field_rules) else { return Fields::new() };
        let elsewhere = |pending: &Pending| {
            let image = self.named_elsewhere.get(&(path, pending.path()))?;
            Some(((pending.path().to_owned(), (*image).clone()), pending.version().clone()))
        };
        let pending = facts.pending.iter().filter_map(elsewhere);
        let own = facts.fields.iter().map(|field| {
            // The registry may be in another file.
            let prefixed = self.named_elsewhere.get(&(path, field.path.as_str())).filter(|image| {
                image.as_str().strip_suffix(field.repository.path()).is_some_and(|rest| rest.ends_with('/'))
            });
            let image = prefixed.map_or(&field.repository, |image| *image);
            ((field.path.clone(), image.clone()), field.version.clone())
        });
        pending.chain(own).collect()
    }

    /// Adds what is known of older commits.
    fn finish(mut self, end: End, tip: CommitId, known: Option<&FieldHistory>, now: Timestamp) -> FieldHistory {
        let known = known.filter(|_| end == End::Known);
        let claimed = self.commits.iter().rev().map(|(_, time)| *time);
        let times = arrivals(claimed, known.and_then(|known| known.seen), now);
        let newer = self.commits.len();
        for moved in &mut self.moves {
            moved.at.when = times[newer - 1 - moved.at.ago];
        }
        let oldest = self.commits.last().map(|(id, time)| (id.to_string(), *time));
        let mut history = FieldHistory {
            moves: self.moves,
            records: self.records,
            orders: self.orders,
            horizon: Horizon::at(oldest, end == End::Limited, end == End::Cut),
            tip: Some(tip),
            commits: newer,
            seen: Some(now),
        };
        if let Some(known) = known {
            let older = known.moves.iter().cloned().map(|mut moved| {
                moved.at.ago += newer;
                moved
            });
            history.moves.extend(older);
            history.records.extend(known.records.iter().map(|(id, record)| (id.clone(), Arc::clone(record))));
            let orders = known.orders.iter().cloned();
            history.orders.extend(orders.map(|order| OrderCommit { ago: order.ago + newer, ..order }));
            history.commits += known.commits;
            history.horizon = known.horizon.clone();
        }
        history
    }
}

/// Returns when commits arrived on a branch at the latest, given when they say that they were made, oldest first. They
/// arrived one after another, whatever their clocks say: not before their parents, not before the last time at which a
/// process saw the branch without them, and not in the future.
pub fn arrivals(claimed: impl Iterator<Item = Timestamp>, seen: Option<Timestamp>, now: Timestamp) -> Vec<Timestamp> {
    let mut arrived = seen.unwrap_or(Timestamp::MIN);
    let arrive = |time: Timestamp| {
        arrived = arrived.max(time).min(now);
        arrived
    };
    claimed.map(arrive).collect()
}

/// Adds what the commits record that a merge has brought: merged by a person, the merge itself records nothing.
fn with_merged(
    clone: &BareClone,
    merge: CommitRecord,
    logged: &Logged,
    proposals: &MergedProposals,
) -> Result<CommitRecord, RepoError> {
    let [base, head, ..] = logged.parents.as_slice() else { return Ok(merge) };
    let mut merged = CommitRecord { trailers: Trailers::default(), ..merge.clone() };
    for logged in clone.beyond(*base, *head)? {
        let brought = record(clone, &logged, merge.ago, proposals)?;
        if !brought.is_trusted || brought.trailers.moves.is_empty() {
            continue;
        }
        let Trailers { moves, orders, rollbacks, promotions, evidence, .. } = brought.trailers;
        merged.trailers.moves.extend(moves);
        merged.trailers.orders.extend(orders);
        merged.trailers.rollbacks.extend(rollbacks);
        merged.trailers.promotions.extend(promotions);
        merged.trailers.evidence.extend(evidence);
        merged.is_trusted = true;
        if clone.requires_signatures() {
            // That is who signed; anybody may have made the merge.
            merged.author = brought.author;
            merged.signature = brought.signature;
        }
    }
    Ok(if merged.trailers.moves.is_empty() { merge } else { merged })
}

/// Returns how a commit changed a field. What it records counts only if it is what it did.
pub fn field_move(
    record: &CommitRecord,
    at: Point,
    file: String,
    path: String,
    image: Repository,
    from: Option<Version>,
    to: Option<Version>,
) -> FieldMove {
    let empty = Version::default();
    let says = |recorded: &&RecordedMove| {
        recorded.image == image
            && agree(&recorded.from, from.as_ref().unwrap_or(&empty))
            && to.as_ref().is_some_and(|to| agree(&recorded.to, to))
    };
    let is_ours = record.is_trusted && record.trailers.moves.iter().any(|recorded| says(&recorded));
    let goes_back = record.trailers.rollbacks.contains(&image);
    let order = record
        .trailers
        .orders
        .iter()
        .find(|order| is_ours && order.image == image && to.as_ref().is_some_and(|to| to.tag == order.version.tag));
    let recorded = order.and_then(|order| order.version.digest.clone());
    let takes_back = !is_ours || goes_back || !record.trailers.break_glass.is_empty();
    FieldMove { at, file, path, image, from, to, recorded, is_recorded: is_ours, takes_back }
}
