//! The end of a cycle: its report, and the pull request that proposes its updates.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::image::{Repository, Version};
use crate::policy::order::Order;
use crate::policy::tags::TagRule;

use super::decision::Decision;
use super::engine::{Engine, Outcome, Run};
use super::error::CycleError;
use super::memory::FollowedTip;
use super::operations::operation::Operation;
use super::operations::terms::Mode;
use super::report::{Moved, Report};
use super::state::CycleState;
use super::status::{ImageStatus, Inputs};
use super::write::proposal::{self, Withdrawal};

impl Engine {
    /// Reports an outcome, and updates the pull request accordingly.
    pub(super) async fn finish(
        &self,
        outcome: Outcome,
        operation: &dyn Operation,
        run: Run<'_>,
    ) -> Result<Report, CycleError> {
        let (_, memory) = self.style_and_memory();
        let about_proposal = self.update_pull_request(&outcome, operation, run.mode, run.state).await?;
        let Outcome { tips: (tip, _), decision, changes, commit, attempts, is_proposed, .. } = outcome;
        let mut notes = [decision.notes.as_slice(), &about_proposal].concat();
        let mut seen = BTreeSet::new();
        // Several fields may lead to the same note.
        notes.retain(|note| seen.insert(note.clone()));
        let is_proposal = is_proposed && commit.is_some();
        let pushed = commit.filter(|_| !is_proposal);
        if let Some(commit) = pushed {
            memory.with(|memory| memory.tip = Some(commit));
        }
        let is_by_name = operation.terms().is_by_name();
        if !is_by_name && operation.proposes_to().is_none() {
            let Inputs { config, inventory, .. } = &decision.inputs;
            let (config, inventory) = (config.clone(), Arc::clone(inventory));
            let followed = FollowedTip { commit: pushed.unwrap_or(tip), config, inventory };
            memory.with(|memory| memory.followed = Some(followed));
        }
        Ok(Report {
            head: Some(pushed.unwrap_or(tip)),
            commit,
            is_proposal,
            updates: decision.gated.updates().iter().map(Moved::from).collect(),
            stages: decision.stages(),
            holds: if is_by_name { decision.remaining_holds() } else { Vec::new() },
            images: if is_by_name { Vec::new() } else { self.statuses(&decision) },
            skipped: decision.skipped,
            inventory: decision.inputs.inventory,
            proposes: decision.proposes,
            unrecorded: decision.unrecorded,
            attempts,
            duration_ms: run.start.elapsed().as_millis() as u64,
            changes,
            notes,
        })
    }

    /// Returns the state of each image, with the repository that it is built from: the one of its policy, or else what its
    /// labels say, as far as a cycle has read them anyway.
    fn statuses(&self, decision: &Decision) -> Vec<ImageStatus> {
        let (registry, policies) = (&self.services().registry, &decision.inputs.config.policies);
        let named = |image: &Repository, version: &Version| registry.known_source_labels(image, version)?.source;
        let with_source = |status: ImageStatus| {
            let rule = policies.rule_for(&status.image);
            let branch = rule.and_then(|rule| match &rule.tags {
                TagRule::Sha { order: Order::Commit(branch), .. } => Some(branch),
                _ => None,
            });
            let configured = branch.and_then(|branch| branch.source.as_ref()).map(ToString::to_string);
            // Only for that order are the labels of each version read.
            let own = || branch.and_then(|_| status.named_source(named));
            let source = configured.or_else(own).or_else(|| registry.known_source(&status.image));
            ImageStatus { source, ..status }
        };
        decision.statuses().into_iter().map(with_source).collect()
    }

    /// Opens, changes or closes the pull request. Returns notes about it.
    async fn update_pull_request(
        &self,
        outcome: &Outcome,
        operation: &dyn Operation,
        mode: Mode,
        state: &mut CycleState,
    ) -> Result<Vec<String>, CycleError> {
        let Outcome { tips: (tip, proposed), decision, .. } = outcome;
        let (style, memory) = self.style_and_memory();
        if let Some(target) = operation.proposes_to() {
            return self.settle(target, outcome, state).await;
        }
        if outcome.is_proposed {
            return proposal::announce(self.services(), &style.title, decision, state).await;
        }
        let may_withdraw = outcome.commit.is_none() && mode == Mode::Push && !operation.terms().is_by_name();
        let (Some(forge), Some(proposed), true) = (&self.services().forge, proposed, may_withdraw) else {
            return Ok(Vec::new());
        };
        let tips = (*tip, *proposed);
        if outcome.is_merged || memory.with(|memory| memory.settled == Some(tips)) {
            return Ok(Vec::new());
        }
        Ok(match proposal::withdraw(forge, self.branch(), &tip.to_string(), decision, state).await? {
            Withdrawal::Settled => {
                memory.with(|memory| memory.settled = Some(tips));
                Vec::new()
            }
            Withdrawal::Open(notes) => notes,
        })
    }
}
