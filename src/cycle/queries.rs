//! Questions about the newest tip of a branch, for commands that only read.

use std::collections::BTreeSet;

use tokio::task::block_in_place;

use crate::image::Repository;
use crate::manifest::inventory::NamedFileError;
use crate::manifest::prefilter::Prefilter;
use crate::sops::audit::FileVerdict;
use crate::stage::definition::ApprovalBy;
use crate::window::schedule::Schedule;

use super::decision::Decision;
use super::engine::{Engine, Hosts};
use super::error::CycleError;
use super::idle::{self, Thoroughness};
use super::operations::follow::{Follow, FollowOne};
use super::operations::operation::Operation;
use super::schedules;
use super::secrets::verify::Progress;
use super::stages::status::CellStatus;
use super::state::CycleState;
use super::status::ImageStatus;

/// What a branch needs of the systems around it, and what in its configuration has no effect.
#[derive(Debug)]
pub struct Needs {
    /// Notes on the policies and paths that have no effect.
    pub idle: Vec<String>,
    /// The images that are looked up in registries.
    pub images: BTreeSet<Repository>,
    /// Whether a stage is approved in pull requests.
    pub proposes: bool,
}

/// Returns what the branch needs.
pub fn needs(engine: &Engine) -> Result<Needs, CycleError> {
    block_in_place(|| {
        let tip = engine.tip()?;
        let config = engine.tree_config(&tip, Hosts::Allowed)?;
        let inventory = tip.inventory(&config.field_rules, &Prefilter::Everything)?;
        let idle = idle::notes(&tip, &config, &inventory, engine.paths(), Thoroughness::WithSimilar)?;
        let followed = config.governed(&inventory).map(|(located, _)| located);
        let looked_up = followed.chain(config.promoted(&inventory).map(|(located, _)| located));
        let images = looked_up.map(|located| located.field.repository.clone()).collect();
        let approvals = config.stages.stages.iter().filter_map(|stage| stage.approval.as_ref());
        let proposes = approvals.map(|approval| approval.by).any(|by| by != ApprovalBy::Signature);
        Ok(Needs { idle, images, proposes })
    })
}

/// Returns the state of each image that a policy governs.
pub async fn statuses(engine: &Engine) -> Result<Vec<ImageStatus>, CycleError> {
    Ok(decide(engine, &Follow).await?.statuses())
}

/// Returns the state of one image, or `None` if no policy governs it. No registry is queried about other images.
pub async fn status_of(engine: &Engine, image: &Repository) -> Result<Option<ImageStatus>, CycleError> {
    let statuses = decide(engine, &FollowOne(image)).await?.statuses();
    Ok(statuses.into_iter().find(|status| status.image == *image))
}

/// Returns what each stage holds, and what comes next.
pub async fn board(engine: &Engine) -> Result<Vec<CellStatus>, CycleError> {
    Ok(decide(engine, &Follow).await?.board)
}

/// Decides what an operation would do now, and logs its notes.
async fn decide(engine: &Engine, operation: &dyn Operation) -> Result<Decision, CycleError> {
    let decision = engine.decide(operation, &mut CycleState::default()).await?;
    decision.notes.iter().for_each(|note| tracing::warn!("{note}"));
    Ok(decision)
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
