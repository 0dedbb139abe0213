//! The image fields of a commit that is deployed, for the checks between cycles. Reading them sends no request.

use std::sync::Arc;

use tokio::task::block_in_place;

use crate::manifest::inventory::Inventory;
use crate::manifest::prefilter::Prefilter;
use crate::plan::tree_config::TreeConfig;
use crate::repo::clone::CommitId;

use super::engine::{Engine, Hosts};
use super::error::CycleError;
use super::tree::cache::TreeCache;

/// The image fields of a commit.
#[derive(Debug, Clone)]
pub struct DeployedTree {
    /// The fields.
    pub inventory: Arc<Inventory>,
    /// The configuration of the tree.
    pub config: TreeConfig,
}

/// The images whose fields are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All images.
    All,
    /// The images that policies or stages govern, and possibly others. Cycles have read them already.
    Governed,
}

/// Reads the image fields of a commit that is in the clone.
///
/// # Errors
/// The clone or the tree cannot be read.
pub fn read(engine: &Engine, commit: CommitId, extent: Extent) -> Result<DeployedTree, CycleError> {
    block_in_place(|| {
        let tip = match extent {
            Extent::Governed => engine.tip_at(commit, None)?,
            // In a cache of its own, because the one of cycles only has the readings of one kind.
            Extent::All => engine.tip_at(commit, Some(TreeCache::new(engine.paths().clone())))?,
        };
        let config = engine.tree_config(&tip, Hosts::Allowed)?;
        let prefilter = match extent {
            Extent::Governed => config.prefilter(),
            Extent::All => Prefilter::Everything,
        };
        let inventory = tip.inventory(&config.field_rules, &prefilter)?;
        Ok(DeployedTree { inventory, config })
    })
}
