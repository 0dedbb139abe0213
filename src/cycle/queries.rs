//! Questions about the newest tip of a branch, for commands that only read.

use tokio::task::block_in_place;

use crate::manifest::inventory::NamedFileError;
use crate::manifest::prefilter::Prefilter;
use crate::sops::audit::FileVerdict;
use crate::window::schedule::Schedule;

use super::engine::{Engine, Hosts};
use super::error::CycleError;
use super::idle::{self, Thoroughness};
use super::schedules;
use super::secrets::verify::Progress;

/// Returns notes on the policies and paths that have no effect.
pub fn idle(engine: &Engine) -> Result<Vec<String>, CycleError> {
    block_in_place(|| {
        let tip = engine.tip()?;
        let config = engine.tree_config(&tip, Hosts::Allowed)?;
        let inventory = tip.inventory(&config.field_rules, &Prefilter::Everything)?;
        Ok(idle::notes(&tip, &config, &inventory, engine.paths(), Thoroughness::WithSimilar)?)
    })
}

/// Returns the deployment windows.
pub fn schedules(engine: &Engine) -> Result<Vec<Schedule>, CycleError> {
    block_in_place(|| {
        let tip = engine.tip()?;
        let config = engine.tree_config(&tip, Hosts::Any)?;
        Ok(schedules::of(&tip, &config.stages)?)
    })
}

/// Returns the verdicts on the secrets.
pub fn verify_secrets(engine: &Engine, progress: &Progress<'_>) -> Result<Vec<FileVerdict>, CycleError> {
    block_in_place(|| {
        let tip = engine.tip()?;
        let mut verdicts = engine.services().secrets.verify(&tip, progress)?;
        if let Some(file) = engine.paths().missing(&|path| tip.has(path)) {
            return Err(CycleError::NamedFile(NamedFileError::Missing { file: file.to_owned() }));
        }
        verdicts.retain(|verdict| engine.paths().wants(&verdict.file));
        Ok(verdicts)
    })
}
