//! Replays the history of a branch, and finds the moves into a stage that lack what the stage requires.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::image::{Repository, Version};
use crate::manifest::inventory::Located;
use crate::stage::definition::{ApprovalBy, From, Stage};
use crate::stage::name::Name;
use crate::stage::promotion::APPROVAL;
use crate::stage::stages::Stages;
use crate::stage::timeline::{FieldMove, Point};

use super::approved_promotion;
use super::broken_glass::{self, OrderCommit};
use super::history_entry::{self, HistoryEntry, MoveAct};
use super::hold::CommitRecord;
use super::trailer::{Trailers, agree};

/// The result of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The number of moves into stages that other stages come before.
    pub moves: usize,
    /// Those that lack something.
    pub unproved: Vec<Unproved>,
}

/// A move that lacks something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unproved {
    /// The move.
    #[serde(flatten)]
    pub entry: HistoryEntry,
    /// What it lacks.
    pub lacks: Vec<String>,
}

/// What is known of a branch.
pub struct Evidence<'e> {
    /// The stages.
    pub stages: &'e Stages,
    /// The fields of the tip.
    pub fields: &'e [Located],
    /// The moves of the fields of all stages, newest first.
    pub moves: &'e [FieldMove],
    /// The commits that made them.
    pub records: &'e HashMap<String, Arc<CommitRecord>>,
    /// The commits with orders about stages, newest first.
    pub orders: &'e [OrderCommit],
    /// Returns the reason why a window was closed at the time of a commit, with its calendar as it was.
    pub closed: &'e dyn Fn(&Name, &Point) -> Option<String>,
}

/// A time in which a field held a version.
struct Stay<'e> {
    version: &'e Version,
    since: Option<&'e Point>,
    until: Option<&'e Point>,
}

/// The stays of all fields of an image in a stage.
type Stays<'e> = BTreeMap<(&'e Name, &'e Repository), Vec<Stay<'e>>>;

/// Audits the moves since some time.
pub fn audit(evidence: &Evidence<'_>, since: Option<Timestamp>) -> Audit {
    let stays = stays(evidence);
    let mut audit = Audit { moves: 0, unproved: Vec::new() };
    for commit in evidence.moves.chunk_by(|a, b| a.at.ago == b.at.ago) {
        for moved in commit.iter().filter(|moved| since.is_none_or(|since| moved.at.when >= since)) {
            let stage = evidence.stages.of(&moved.file).filter(|stage| stage.from.is_some());
            let (Some(stage), Some(to)) = (stage, &moved.to) else { continue };
            if history_entry::only_moved(moved, commit, evidence.stages) {
                continue;
            }
            audit.moves += 1;
            let Some(record) = evidence.records.get(&moved.at.commit) else { continue };
            let entry = history_entry::entry(moved, record, Some(stage.name.clone()));
            let lacks = lacks(moved, to, stage, record, &entry, &stays, evidence);
            if !lacks.is_empty() {
                audit.unproved.push(Unproved { entry, lacks });
            }
        }
    }
    audit
}

/// Follows each field through its moves.
fn stays<'e>(evidence: &Evidence<'e>) -> Stays<'e> {
    let mut by_field: BTreeMap<(&str, &str, &Repository), Vec<&FieldMove>> = BTreeMap::new();
    for moved in evidence.moves {
        by_field.entry((&moved.file, &moved.path, &moved.image)).or_default().push(moved);
    }
    let mut stays = Stays::new();
    for located in evidence.fields {
        let key = (located.file.as_str(), located.field.path.as_str(), &located.field.repository);
        if let (Some(stage), false) = (evidence.stages.of(&located.file), by_field.contains_key(&key)) {
            let stay = Stay { version: &located.field.version, since: None, until: None };
            stays.entry((&stage.name, &located.field.repository)).or_default().push(stay);
        }
    }
    for ((file, _, image), moves) in by_field {
        let Some(stage) = evidence.stages.of(file) else { continue };
        let of_image = stays.entry((&stage.name, image)).or_default();
        let mut until = None;
        for moved in &moves {
            of_image.extend(moved.to.as_ref().map(|version| Stay { version, since: Some(&moved.at), until }));
            until = Some(&moved.at);
        }
        let first = moves.last().and_then(|moved| moved.from.as_ref());
        of_image.extend(first.map(|version| Stay { version, since: None, until }));
    }
    stays
}

/// Returns what a move lacks.
fn lacks(
    moved: &FieldMove,
    to: &Version,
    stage: &Stage,
    record: &CommitRecord,
    entry: &HistoryEntry,
    stays: &Stays<'_>,
    evidence: &Evidence<'_>,
) -> Vec<String> {
    let was_here = before(stays, &stage.name, &moved.image, to, &moved.at).next().is_some();
    if was_here {
        // It returns to what it has held before. A message that calls itself a rollback proves nothing.
        return Vec::new();
    }
    let mut lacks = Vec::new();
    let mut skipped: &[String] = &[];
    if entry.act == MoveAct::BreakGlass {
        if record.signed_by.glass_breaker.is_some() {
            skipped = &record.trailers.break_glass;
        } else {
            lacks.push("signature: no key of trust.breakGlass signed it".to_owned());
        }
        if !broken_glass::is_acknowledged(&stage.name, record, moved.at.ago, evidence.orders) {
            lacks.push("acknowledgement by somebody else".to_owned());
        }
    }
    let requires = |condition: &str| !skipped.iter().any(|name| name == condition);
    if requires("soak") {
        lacks.extend(upstream(moved, to, stage, stays));
    }
    for check in stage.checks.iter().filter(|_| requires("checks")) {
        let passed = format!("{check} success");
        if !entry.evidence.iter().any(|evidence| evidence.kind == "check" && evidence.detail == passed) {
            lacks.push(format!("check {check}"));
        }
    }
    for window in stage.windows.iter().filter(|_| requires("windows")) {
        lacks.extend((evidence.closed)(window, &moved.at).map(|why| format!("window {window}: it was closed ({why})")));
    }
    if let Some(approval) = stage.approval.as_ref().filter(|_| requires("approval")) {
        let given = approvals(approval.by, stage, record, entry, moved.at.ago, evidence);
        let need = if approval.by == ApprovalBy::Merge { 1 } else { approval.need as usize };
        if given < need {
            lacks.push(format!("approval: {given} of {need} by {}", approval.by.name()));
        }
    }
    lacks
}

/// Returns how many people had approved a move when it was made. Signatures are in the history; of what the forge knew, the
/// commit has a record, or a later one that changes no file.
fn approvals(
    by: ApprovalBy,
    stage: &Stage,
    record: &CommitRecord,
    entry: &HistoryEntry,
    ago: usize,
    evidence: &Evidence<'_>,
) -> usize {
    let promotion = record.trailers.promotions.iter().find(|promotion| promotion.stage == stage.name);
    if by != ApprovalBy::Signature {
        let own = entry.evidence.iter().filter(|evidence| evidence.kind == APPROVAL);
        let mut given: BTreeSet<&str> = own.map(|evidence| evidence.detail.as_str()).collect();
        let later = evidence.orders.iter().filter(|order| order.ago < ago);
        let trailers: Vec<&Trailers> = later.map(|order| &order.record.trailers).collect();
        given.extend(promotion.into_iter().flat_map(|promotion| {
            trailers.iter().flat_map(|trailers| approved_promotion::recorded(trailers, &stage.name, &promotion.id))
        }));
        return given.len();
    }
    let orders = broken_glass::orders_before(evidence.orders, ago);
    promotion.map_or(0, |promotion| orders.approvals_of(&stage.name, &promotion.id).count())
}

/// Returns what is missing in the stages before: that they had the version at all, and for long enough.
fn upstream(moved: &FieldMove, to: &Version, stage: &Stage, stays: &Stays<'_>) -> Vec<String> {
    let soak = SignedDuration::try_from(stage.soak).unwrap_or(SignedDuration::MAX);
    let Some(from) = &stage.from else { return Vec::new() };
    let longest = |name: &Name| {
        let lasted = |stay: &Stay<'_>| match stay.since {
            None => SignedDuration::MAX,
            Some(since) => {
                let left = stay.until.filter(|until| until.ago > moved.at.ago).unwrap_or(&moved.at);
                left.earliest().duration_since(since.when)
            }
        };
        before(stays, name, &moved.image, to, &moved.at).map(lasted).max()
    };
    let lack = |name: &Name| match longest(name) {
        None => Some(format!("upstream: {to} was not in {name}")),
        Some(lasted) if lasted < soak => Some(format!("soak: {to} was in {name} for {lasted:#} of {soak:#}")),
        Some(_) => None,
    };
    let lacks: Vec<Option<String>> = from.names().iter().map(lack).collect();
    match from {
        From::Any(_) if lacks.iter().any(Option::is_none) => Vec::new(),
        From::Any(_) => lacks.into_iter().flatten().last().into_iter().collect(),
        From::All(_) => lacks.into_iter().flatten().collect(),
    }
}

/// Returns the stays of a version in a stage that began before a commit.
fn before<'s>(
    stays: &'s Stays<'s>,
    stage: &'s Name,
    image: &'s Repository,
    version: &'s Version,
    at: &'s Point,
) -> impl Iterator<Item = &'s Stay<'s>> {
    let of_image = stays.get(&(stage, image)).into_iter().flatten();
    of_image.filter(move |stay| agree(stay.version, version) && stay.since.is_none_or(|since| since.ago > at.ago))
}
