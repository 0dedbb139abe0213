//! The image fields that a command works on: those of a folder, or of a branch.

use std::path::Path;
use std::sync::Arc;

use crate::config::load::Config;
use crate::cycle::error::CycleError;
use crate::manifest::inventory::Inventory;
use crate::policy::rule::PolicySet;

use super::connect;
use super::error::CliError;
use super::folder::Folder;

/// Returns all image fields of a folder or of the branch's tip, with the policies in force there.
pub fn inventory(config: &Config, dir: Option<&Path>) -> Result<(Arc<Inventory>, PolicySet), CliError> {
    let (inventory, tree_config) = match dir {
        Some(dir) => {
            let (inventory, tree_config) = Folder::open(dir)?.inventory(&config.paths, &config.tree_config)?;
            (Arc::new(inventory), tree_config)
        }
        None => connect::engine(config)?.inventory()?,
    };
    for note in inventory.notes(&config.paths).map_err(CycleError::from)? {
        tracing::warn!("{note}");
    }
    Ok((inventory, tree_config.policies))
}
