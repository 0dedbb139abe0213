//! Promotions that were approved at the forge, while the commit that brought them does not say by whom: a person merged
//! them, or the forge wrote the message of the merge.

use crate::cycle::history::moves::FieldHistory;
use crate::plan::approved_promotion;
use crate::stage::board::Cell;
use crate::stage::definition::ApprovalBy;
use crate::stage::name::Name;
use crate::stage::promotion::APPROVAL;
use crate::stage::release::ReleaseId;

/// A promotion whose approvals are not in history yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrecorded {
    /// The stage.
    pub stage: Name,
    /// The ID of the release.
    pub id: ReleaseId,
    /// The way in which it has to be approved.
    pub by: ApprovalBy,
    /// The commit that brought it.
    pub commit: String,
}

/// Returns the promotion that a stage holds now, if history does not tell who approved it.
pub fn of(cell: &Cell<'_>, history: &FieldHistory) -> Option<Unrecorded> {
    let by = cell.stage.approval.as_ref().map(|approval| approval.by).filter(|by| *by != ApprovalBy::Signature)?;
    let since = cell.held()?.since.as_ref()?;
    let record = history.records.get(&since.commit)?;
    let stage = &cell.stage.name;
    let promotion = record.trailers.promotions.iter().find(|promotion| {
        promotion.stage == *stage && promotion.group == cell.group.name && record.trailers.break_glass.is_empty()
    })?;
    let is_told =
        record.trailers.evidence.iter().any(|evidence| evidence.kind == APPROVAL)
            || history.orders.iter().filter(|order| order.ago < since.ago).any(|order| {
                approved_promotion::recorded(&order.record.trailers, stage, &promotion.id).next().is_some()
            });
    let (id, commit) = (promotion.id.clone(), since.commit.clone());
    (!is_told).then(|| Unrecorded { stage: stage.clone(), id, by, commit })
}
