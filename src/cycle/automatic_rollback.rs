//! The cycle that takes back a commit.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::engine::{Engine, Run};
use super::error::CycleError;
use super::operations::automatic_rollback::AutomaticRollback;
use super::operations::terms::Mode;
use super::report::Report;
use super::state::CycleState;

/// Takes back a commit that the cluster could not apply, if it may. Nothing is pushed once `abandoned` is cancelled.
///
/// # Errors
/// The version before cannot be verified, a gate objects to it, or the repository failed.
pub async fn run(
    engine: &Engine,
    rollback: &AutomaticRollback,
    abandoned: CancellationToken,
) -> Result<Report, CycleError> {
    let state = &mut CycleState::default();
    engine.cycle(rollback, Run { mode: Mode::Push, state, start: Instant::now(), abandoned }).await
}
