//! The trait of operations.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::tip::Tip;
use crate::cycle::write::stage_pull_request::StageBranch;
use crate::image::Reference;
use crate::manifest::edit::FollowRefs;
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::plan::decide::Plan;
use crate::plan::message::Purpose;
use crate::plan::tree_config::TreeConfig;

use super::terms::Terms;

/// An operation on a branch. The engine runs it on a tip, and again on each new one.
pub trait Operation: Sync {
    /// Returns the strictness that applies to it.
    fn terms(&self) -> Terms;

    /// Returns the image fields of a tip that it concerns.
    fn inventory(&self, tip: &Tip, config: &TreeConfig, paths: &PathFilter) -> Result<Arc<Inventory>, CycleError>;

    /// Plans its updates on a tip.
    fn plan<'o>(&'o self, context: &'o mut Context<'_>) -> Planned<'o>;

    /// Returns the stage whose branch it pushes to, if it proposes promotions.
    fn proposes_to(&self) -> Option<&StageBranch> {
        None
    }

    /// Returns the images that may still have to arrive in their registry, and the time to wait for them.
    fn awaited(&self) -> (&[Reference], Duration) {
        (&[], Duration::ZERO)
    }

    /// Returns whether the refs of remote bases are updated too.
    fn follow_refs(&self) -> FollowRefs {
        FollowRefs::Yes
    }
}

/// A plan and the purpose of its commit.
pub type Planned<'o> = LocalBoxFuture<'o, Result<(Plan, Purpose), CycleError>>;
