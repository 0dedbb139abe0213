//! Stages whose conditions somebody skipped, until somebody else acknowledges that.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::stage::name::Name;
use crate::stage::stages::Stages;
use crate::stage::timeline::FieldMove;

use super::approvals::StageOrders;
use super::hold::CommitRecord;

/// A commit with orders about stages.
#[derive(Debug, Clone)]
pub struct OrderCommit {
    /// The number of commits after it.
    pub ago: usize,
    /// The commit.
    pub record: Arc<CommitRecord>,
}

/// A stage whose conditions somebody skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenGlass {
    /// The stage.
    pub stage: Name,
    /// The person who did it.
    pub who: String,
    /// The conditions.
    pub skipped: Vec<String>,
    /// The reason that was given.
    pub reason: String,
    /// The commit.
    pub commit: String,
    /// When that was.
    pub when: Timestamp,
}

impl fmt::Display for BrokenGlass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BrokenGlass { stage, who, skipped, reason, commit, when } = self;
        let commit: String = commit.chars().take(7).collect();
        write!(
            f,
            "{stage}: {who} skipped {} at {when} ({reason}, commit {commit}); somebody else has to run `tagalong \
             acknowledge {stage} --reason TEXT`",
            skipped.join(", ")
        )
    }
}

/// Returns what the orders before a commit amount to.
pub fn orders_before(orders: &[OrderCommit], ago: usize) -> StageOrders {
    let before = orders.iter().filter(|order| order.ago > ago);
    let records: Vec<Arc<CommitRecord>> = before.map(|order| Arc::clone(&order.record)).collect();
    StageOrders::default().after(&records)
}

/// Returns whether somebody else acknowledged what a commit did to a stage.
pub fn is_acknowledged(stage: &Name, record: &CommitRecord, ago: usize, orders: &[OrderCommit]) -> bool {
    let later: Vec<Arc<CommitRecord>> =
        orders.iter().filter(|order| order.ago < ago).map(|order| Arc::clone(&order.record)).collect();
    let acknowledged = StageOrders::default().after(&later).acknowledged;
    let who = breaker(record);
    acknowledged.iter().any(|acknowledged| acknowledged.stage == *stage && acknowledged.by.who != who)
}

/// Returns the stages whose conditions were skipped, and that nobody else has acknowledged.
pub fn unacknowledged(
    moves: &[FieldMove],
    records: &HashMap<String, Arc<CommitRecord>>,
    orders: &[OrderCommit],
    stages: &Stages,
) -> Vec<BrokenGlass> {
    let mut broken: Vec<BrokenGlass> = Vec::new();
    for moved in moves.iter().filter(|moved| moved.is_recorded) {
        let (Some(record), Some(stage)) = (records.get(&moved.at.commit), stages.of(&moved.file)) else { continue };
        let is_known = broken.iter().any(|other| other.commit == record.commit && other.stage == stage.name);
        if record.trailers.break_glass.is_empty()
            || is_known
            || is_acknowledged(&stage.name, record, moved.at.ago, orders)
        {
            continue;
        }
        broken.push(BrokenGlass {
            stage: stage.name.clone(),
            who: breaker(record).to_owned(),
            skipped: record.trailers.break_glass.clone(),
            reason: record.trailers.reason.clone().unwrap_or_default(),
            commit: record.commit.clone(),
            when: moved.at.when,
        });
    }
    broken
}

fn breaker(record: &CommitRecord) -> &str {
    let signer = record.signed_by.glass_breaker.as_ref().or(record.trailers.actor.as_ref());
    signer.unwrap_or(&record.author)
}
