//! Approves a release for a stage, or withdraws that, by a signed commit that changes no file.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::tip::Tip;
use crate::manifest::edit::FollowRefs;
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::manifest::prefilter::Prefilter;
use crate::plan::approvals::Approval;
use crate::plan::decide::Plan;
use crate::plan::message::{Act, Purpose};
use crate::plan::stage_order::{StageOrder, StageRelease};
use crate::plan::tree_config::TreeConfig;
use crate::repo::signers::people::Role;
use crate::stage::name::Name;
use crate::stage::release_name::KnownRelease;
use crate::stage::request as stages;

use super::operation::{Operation, Planned};
use super::terms::{Attribution, Terms};
use super::{release_request, request};

/// What a person says about a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// It may enter the stage.
    Approve,
    /// It may not, whoever said so before.
    Disapprove,
}

/// Approves a release for a stage, or withdraws that.
#[derive(Debug, Clone)]
pub struct Approve {
    /// The opinion.
    pub opinion: Opinion,
    /// The stage.
    pub stage: Name,
    /// The release, as the person named it; the one that waits for an approval if `None`.
    pub release: Option<String>,
    /// The person who requested it, and the reason.
    pub by: Attribution,
}

impl Operation for Approve {
    fn terms(&self) -> Terms {
        Terms::ByName { respects_holds: false }
    }

    fn inventory(&self, tip: &Tip, config: &TreeConfig, _paths: &PathFilter) -> Result<Arc<Inventory>, CycleError> {
        Ok(tip.inventory(&config.field_rules, &Prefilter::Everything)?)
    }

    fn plan<'o>(&'o self, context: &'o mut Context<'_>) -> Planned<'o> {
        async move {
            stages::takes_signatures(stages::stage(&context.config.stages, &self.stage)?)?;
            let who = block_in_place(|| context.tip.clone.own_signer(&[Role::Approver]))?;
            let release = match &self.release {
                Some(name) => block_in_place(|| release_request::release(name, &self.stage, context))?,
                None => release_request::awaited(&self.stage, context).await?,
            };
            let purpose = block_in_place(|| self.purpose(who, release, context))?;
            Ok((Plan::default(), purpose))
        }
        .boxed_local()
    }

    fn follow_refs(&self) -> FollowRefs {
        FollowRefs::No
    }
}

impl Approve {
    fn purpose(&self, who: String, release: KnownRelease, context: &mut Context<'_>) -> Result<Purpose, CycleError> {
        let what = StageRelease { stage: self.stage.clone(), release };
        let orders = context.memory.stage_orders(context.tip, &mut context.history)?;
        let approvals = || orders.approvals_of(&what.stage, &what.release.id);
        let note = match self.opinion {
            Opinion::Approve => approvals().find(|approval| approval.by.who == who).map(approved),
            Opinion::Disapprove => approvals().next().is_none().then(|| nothing_to_withdraw(&what)),
        };
        let order = match self.opinion {
            Opinion::Approve => StageOrder::Approve(what),
            Opinion::Disapprove => StageOrder::Disapprove(what),
        };
        let act = match note {
            Some(note) => {
                context.note(note);
                Act::Deploy
            }
            None => Act::Stage(order),
        };
        Ok(request::purpose(act, &self.by))
    }
}

fn approved(approval: &Approval) -> String {
    let Approval { what, by } = approval;
    let commit: String = by.commit.chars().take(7).collect();
    format!(
        "{}: {} has been approved since {} by {} (commit {commit})",
        what.stage,
        what.release.short(),
        by.when,
        by.who
    )
}

fn nothing_to_withdraw(what: &StageRelease) -> String {
    format!("{}: there is no approval of {} to withdraw", what.stage, what.release.short())
}
