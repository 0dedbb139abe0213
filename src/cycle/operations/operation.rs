//! What an operation is.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::tip::Tip;
use crate::image::Reference;
use crate::manifest::edit::FollowRefs;
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::plan::decide::Plan;
use crate::plan::message::Purpose;
use crate::plan::tree_config::TreeConfig;

use super::terms::Terms;

/// Something that can be done to a branch. The engine runs it on a tip, and again on each new one.
pub trait Operation: Sync {
    /// Returns how strictly it is judged.
    fn terms(&self) -> Terms;

    /// Returns the image fields of a tip that it is about.
    fn inventory(&self, tip: &Tip, config: &TreeConfig, paths: &PathFilter) -> Result<Arc<Inventory>, CycleError>;

    /// Plans it on a tip.
    fn plan<'o>(&'o self, context: &'o mut Context<'_>) -> Planned<'o>;

    /// Returns the images that may take some time to arrive in their registry, and how long.
    fn awaited(&self) -> (&[Reference], Duration) {
        (&[], Duration::ZERO)
    }

    /// Returns whether the refs of remote bases move along.
    fn follow_refs(&self) -> FollowRefs {
        FollowRefs::Yes
    }
}

/// A plan, and what its commit is for.
pub type Planned<'o> = LocalBoxFuture<'o, Result<(Plan, Purpose), CycleError>>;
