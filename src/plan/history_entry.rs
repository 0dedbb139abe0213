//! The moves of fields with who made them, why, and what proved them: the history of a branch for people and scripts.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::image::{Digest, Repository, Version};
use crate::stage::name::Name;
use crate::stage::promotion::Evidence;
use crate::stage::stages::Stages;
use crate::stage::timeline::FieldMove;

use super::commit_signature::{CommitSignature, SignatureVerdict};
use super::hold::CommitRecord;
use super::order_record::{OrderedBy, RecordedOrder};
use super::origin;

/// A move of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// When it arrived on the branch.
    pub at: Timestamp,
    /// The commit.
    pub commit: String,
    /// The stage of the file.
    pub stage: Option<Name>,
    /// The file.
    pub file: String,
    /// The path of the field.
    pub path: String,
    /// The image.
    pub image: Repository,
    /// The version before, or null if the field did not exist.
    pub from: Option<String>,
    /// The version after, or null if the field was removed.
    pub to: Option<String>,
    /// The digest of the image that was deployed, if the commit records it.
    pub digest: Option<Digest>,
    /// When the image was built, if the commit records it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub built: Option<Timestamp>,
    /// Who requested it, or the author of the commit.
    pub actor: String,
    /// How that is known.
    pub actor_proof: ActorProof,
    /// The signature of the commit, if only signed commits count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<CommitSignature>,
    /// What kind of move it was.
    pub act: MoveAct,
    /// The reason that was given, or the subject of the commit.
    pub reason: Option<String>,
    /// What proved it.
    pub evidence: Vec<Evidence>,
}

/// How it is known who acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActorProof {
    /// The commit is signed with one of the keys in `trust`.
    Signature,
    /// The commit says so.
    Claimed,
}

/// The kinds of moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveAct {
    /// A policy chose the version.
    Deploy,
    /// The release was promoted from another stage.
    Promote,
    /// The field was returned to an earlier version.
    Rollback,
    /// A person or job named the version.
    Set,
    /// A person skipped conditions of the stage.
    BreakGlass,
    /// A person or job forced the version past a gate.
    Forced,
    /// A person edited the field, or reverted a commit.
    ByHand,
}

impl fmt::Display for ActorProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ActorProof::Signature => "signature",
            ActorProof::Claimed => "claimed",
        })
    }
}

impl fmt::Display for MoveAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MoveAct::Deploy => "deploy",
            MoveAct::Promote => "promote",
            MoveAct::Rollback => "rollback",
            MoveAct::Set => "set",
            MoveAct::BreakGlass => "break-glass",
            MoveAct::Forced => "forced",
            MoveAct::ByHand => "by-hand",
        })
    }
}

/// Returns the history of moves, newest first. Fields that only changed their place are left out.
pub fn entries(
    moves: &[FieldMove],
    records: &HashMap<String, Arc<CommitRecord>>,
    stages: &Stages,
) -> Vec<HistoryEntry> {
    let mut entries = Vec::new();
    for commit in moves.chunk_by(|a, b| a.at.ago == b.at.ago) {
        let Some(record) = commit.first().and_then(|moved| records.get(&moved.at.commit)) else { continue };
        entries.extend(commit.iter().filter(|moved| !only_moved(moved, commit, stages)).map(|moved| {
            let stage = stages.of(&moved.file).map(|stage| stage.name.clone());
            entry(moved, record, stage)
        }));
    }
    entries
}

/// Returns whether a field appeared or went only because it changed its place, with the version that it holds. In another
/// stage, that version is a new one.
pub fn only_moved(moved: &FieldMove, commit: &[FieldMove], stages: &Stages) -> bool {
    let stage = |moved: &FieldMove| stages.of(&moved.file).map(|stage| &stage.name);
    let is_other_end = |other: &FieldMove| {
        other.image == moved.image
            && stage(other) == stage(moved)
            && match (&moved.from, &moved.to) {
                (None, Some(to)) => other.from.as_ref() == Some(to) && other.to.is_none(),
                (Some(from), None) => other.to.as_ref() == Some(from) && other.from.is_none(),
                _ => false,
            }
    };
    commit.iter().any(is_other_end)
}

/// Returns the entry of a move by a commit.
pub fn entry(moved: &FieldMove, record: &CommitRecord, stage: Option<Name>) -> HistoryEntry {
    let trailers = &record.trailers;
    let act = act(moved, record, stage.as_ref());
    let signer = record.signed_by.glass_breaker.as_ref().or(record.signed_by.approver.as_ref());
    let accepted = |signature: &CommitSignature| signature.verdict == SignatureVerdict::Accepted;
    let is_signed = record.signature.as_ref().is_some_and(accepted) || moved.is_recorded && signer.is_some();
    let claimed = trailers.actor.as_ref().filter(|_| moved.is_recorded);
    let subject = Some(record.subject.clone()).filter(|subject| !subject.is_empty());
    let shown = |version: &Option<Version>| version.as_ref().map(ToString::to_string);
    HistoryEntry {
        at: moved.at.when,
        commit: moved.at.commit.clone(),
        file: moved.file.clone(),
        path: moved.path.clone(),
        image: moved.image.clone(),
        from: shown(&moved.from),
        to: shown(&moved.to),
        digest: moved.recorded.clone().or_else(|| moved.to.as_ref()?.digest.clone()),
        built: recorded_order(moved, record).and_then(|order| order.dates.contents()),
        actor: signer.filter(|_| moved.is_recorded).or(claimed).unwrap_or(&record.author).clone(),
        actor_proof: if is_signed { ActorProof::Signature } else { ActorProof::Claimed },
        signature: record.signature.clone(),
        act,
        reason: trailers.reason.clone().filter(|_| moved.is_recorded).or(subject),
        evidence: evidence(moved, record, act),
        stage,
    }
}

/// Returns what proved a move: the origin of its image, and for promotions what the stage before showed.
fn evidence(moved: &FieldMove, record: &CommitRecord, act: MoveAct) -> Vec<Evidence> {
    let counts = |evidence: &&Evidence| match origin::image_of(evidence) {
        Some(image) => moved.is_recorded && image == moved.image.as_str(),
        None => matches!(act, MoveAct::Promote | MoveAct::BreakGlass),
    };
    record.trailers.evidence.iter().filter(counts).cloned().collect()
}

/// Returns the order that a commit records for the version of a move.
fn recorded_order<'r>(moved: &FieldMove, record: &'r CommitRecord) -> Option<&'r RecordedOrder> {
    let tag = moved.to.as_ref().filter(|_| moved.is_recorded)?.tag.as_ref();
    record.trailers.orders.iter().find(|order| order.image == moved.image && order.version.tag.as_ref() == tag)
}

fn act(moved: &FieldMove, record: &CommitRecord, stage: Option<&Name>) -> MoveAct {
    let trailers = &record.trailers;
    let by = || {
        let order = trailers.orders.iter().find(|order| order.image == moved.image);
        order.map(|order| order.by)
    };
    if !moved.is_recorded {
        MoveAct::ByHand
    } else if !trailers.break_glass.is_empty() {
        MoveAct::BreakGlass
    } else if trailers.promotions.iter().any(|promotion| Some(&promotion.stage) == stage) {
        MoveAct::Promote
    } else if trailers.forced.iter().any(|forced| *forced.image() == moved.image) {
        MoveAct::Forced
    } else if trailers.rollbacks.contains(&moved.image) {
        MoveAct::Rollback
    } else if by() == Some(OrderedBy::Request) {
        MoveAct::Set
    } else {
        MoveAct::Deploy
    }
}
