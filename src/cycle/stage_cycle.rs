//! What follows a cycle that follows the policies: the pull requests of stages, and the records of their approvals.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::forge::error::ForgeError;
use crate::plan::approved_promotion::ApprovedPromotion;
use crate::plan::proposal::promotes;
use crate::stage::definition::ApprovalBy;
use crate::stage::promotion::Evidence;

use super::engine::{Engine, Outcome, Run};
use super::error::CycleError;
use super::operations::propose::Propose;
use super::operations::record_approval::RecordApproval;
use super::operations::terms::Mode;
use super::report::Report;
use super::stages::reviews;
use super::stages::unrecorded::Unrecorded;
use super::state::CycleState;
use super::write::stage_proposal::StageProposal;
use super::write::stage_pull_request::StageBranch;

impl Engine {
    /// Records approvals, and proposes or merges promotions, after a cycle with this report. What fails for a stage is
    /// noted: the other stages and images do not wait for it.
    pub(super) async fn follow_up(
        &self,
        mut report: Report,
        state: &mut CycleState,
        abandoned: &CancellationToken,
    ) -> Result<Report, CycleError> {
        for unrecorded in std::mem::take(&mut report.unrecorded) {
            let recorded = self.record(&unrecorded, state, abandoned).await;
            report.noted(unrecorded.stage.as_str(), recorded)?;
        }
        for target in report.proposes.iter().filter_map(StageBranch::of).collect::<Vec<_>>() {
            let stage = target.stage.clone();
            let run = Run { mode: Mode::Push, state, start: Instant::now(), abandoned: abandoned.clone() };
            let proposed = self.cycle(&Propose(target), run).await;
            let notes = proposed.map(|proposed| proposed.notes);
            report.noted(stage.as_str(), notes)?;
        }
        Ok(report)
    }

    /// Brings the pull request of a stage up to date.
    pub(super) async fn settle(
        &self,
        target: &StageBranch,
        outcome: &Outcome,
        state: &CycleState,
    ) -> Result<Vec<String>, CycleError> {
        let Outcome { tips: (tip, proposed), decision, commit, .. } = outcome;
        let (style, memory) = self.style_and_memory();
        let head = commit.or(*proposed).filter(|_| outcome.is_proposed);
        let proposal = StageProposal {
            target,
            decision,
            head: head.map(|head| head.to_string()),
            is_new: commit.is_some(),
            schedules: &outcome.schedules,
            title: &style.title,
            message: style.message.message(decision.gated.updates(), &decision.purpose, &tip.to_string()),
        };
        let found = state.stage_pull_requests.get(&target.stage).cloned().unwrap_or_default();
        proposal.settle(self.services(), &found, memory).await
    }

    /// Records who approved a promotion, if the forge knows.
    async fn record(
        &self,
        unrecorded: &Unrecorded,
        state: &mut CycleState,
        abandoned: &CancellationToken,
    ) -> Result<Vec<String>, CycleError> {
        let Unrecorded { stage, id, commit, .. } = unrecorded;
        let (_, memory) = self.style_and_memory();
        if memory.with(|memory| memory.unapproved.contains(commit)) {
            return Ok(Vec::new());
        }
        let approvals = self.approvals(unrecorded).await?;
        if approvals.is_empty() {
            memory.with(|memory| memory.unapproved.insert(commit.clone()));
            return Ok(Vec::new());
        }
        let approved = ApprovedPromotion { stage: stage.clone(), id: id.clone(), approvals };
        let run = Run { mode: Mode::Push, state, start: Instant::now(), abandoned: abandoned.clone() };
        self.cycle(&RecordApproval(approved), run).await.map(|_| Vec::new())
    }

    /// Returns who merged or approved the pull request of a promotion.
    async fn approvals(&self, unrecorded: &Unrecorded) -> Result<Vec<Evidence>, ForgeError> {
        let Unrecorded { stage, id, by, .. } = unrecorded;
        let target = StageBranch::of(stage);
        let Some(forge) = target.and_then(|target| self.services().evidence.forge_for(&target.branch)) else {
            return Ok(Vec::new());
        };
        let all = forge.pull_requests().await?;
        let Some(own) = all.iter().rev().find(|pull_request| promotes(&pull_request.text, stage, id)) else {
            return Ok(Vec::new());
        };
        let (merged, Some(merge)) = forge.pull_request(own.number).await? else { return Ok(Vec::new()) };
        if *by == ApprovalBy::Merge {
            let who = merge.by.map(|by| by.login);
            return Ok(who.iter().map(|who| reviews::evidence(who, *by)).collect());
        }
        let found = forge.reviews(&merged).await?;
        let approving = found.iter().filter(|review| review.approves());
        Ok(approving.map(|review| reviews::evidence(&review.by.login, *by)).collect())
    }
}
