//! Runs one cycle, limited in time and isolated from the agent, so that a panic ends nothing else.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::cluster::pods::Pod;
use crate::cycle::automatic_rollback;
use crate::cycle::deployed::Deployed;
use crate::cycle::deployed_checks;
use crate::cycle::deployed_tree::{self, DeployedTree, Extent};
use crate::cycle::drift::compare::Comparison;
use crate::cycle::drift::digests::Digests;
use crate::cycle::engine::Engine;
use crate::cycle::error::CycleError;
use crate::cycle::history::recent::RecentCommit;
use crate::cycle::move_log::MoveLog;
use crate::cycle::operations::automatic_rollback::AutomaticRollback;
use crate::cycle::operations::terms::Mode;
use crate::cycle::report::Report;
use crate::policy::scope::Scope;
use crate::repo::clone::CommitId;

use super::outcome::Failure;

/// A cycle may spend this fraction of its deadline on inspecting images, and the same again on proving them; what it has by
/// then is planned and pushed in the rest.
const BUDGET_DIVISOR: u32 = 3;

/// Runs cycles, and the checks beside them.
pub trait CycleRunner: Send + Sync + 'static {
    /// Runs one cycle for the images of a scope. After `budget` it inspects no further image and continues with what it has;
    /// once `abort` is cancelled, it no longer pushes.
    fn run_cycle(
        &self,
        scope: Scope,
        mode: Mode,
        budget: Duration,
        abort: CancellationToken,
    ) -> LocalBoxFuture<'_, Result<Report, CycleError>>;

    /// Takes back a commit that the cluster could not apply.
    fn roll_back(
        &self,
        rollback: AutomaticRollback,
        abort: CancellationToken,
    ) -> LocalBoxFuture<'_, Result<Report, CycleError>>;

    /// Whether a policy governs any image of a scope.
    fn follows(&self, scope: &Scope) -> bool;

    /// Returns the latest moves of all fields, given those that are known; none before the first cycle. Blocks.
    fn move_log(&self, known: Option<&Arc<MoveLog>>) -> Result<Option<Arc<MoveLog>>, CycleError>;

    /// Returns the commits of the branch that moved image fields since a point in time, oldest first.
    fn recent_commits(&self, since: Timestamp) -> Result<Vec<RecentCommit>, CycleError>;

    /// Reads the image fields of a commit that a cycle has ended on.
    fn deployed_tree(&self, commit: CommitId, extent: Extent) -> Result<DeployedTree, CycleError>;

    /// Verifies every image that a tree deploys.
    fn verify_deployed<'r>(&'r self, tree: &'r DeployedTree) -> LocalBoxFuture<'r, Vec<Deployed>>;

    /// Compares pods with the images that a tree deploys.
    fn compare_pods<'r>(
        &'r self,
        tree: &'r DeployedTree,
        pods: &'r [Pod],
        digests: &'r Digests,
    ) -> LocalBoxFuture<'r, Comparison>;
}

impl CycleRunner for Engine {
    fn run_cycle(
        &self,
        scope: Scope,
        mode: Mode,
        budget: Duration,
        abort: CancellationToken,
    ) -> LocalBoxFuture<'_, Result<Report, CycleError>> {
        async move { self.follow_scope(&scope, mode, budget, &abort).await }.boxed_local()
    }

    fn roll_back(
        &self,
        rollback: AutomaticRollback,
        abort: CancellationToken,
    ) -> LocalBoxFuture<'_, Result<Report, CycleError>> {
        async move { automatic_rollback::run(self, &rollback, abort).await }.boxed_local()
    }

    fn follows(&self, scope: &Scope) -> bool {
        Engine::follows(self, scope)
    }

    fn move_log(&self, known: Option<&Arc<MoveLog>>) -> Result<Option<Arc<MoveLog>>, CycleError> {
        Engine::move_log(self, known)
    }

    fn recent_commits(&self, since: Timestamp) -> Result<Vec<RecentCommit>, CycleError> {
        Engine::recent_commits(self, since)
    }

    fn deployed_tree(&self, commit: CommitId, extent: Extent) -> Result<DeployedTree, CycleError> {
        deployed_tree::read(self, commit, extent)
    }

    fn verify_deployed<'r>(&'r self, tree: &'r DeployedTree) -> LocalBoxFuture<'r, Vec<Deployed>> {
        deployed_checks::verify_deployed(self, tree).boxed_local()
    }

    fn compare_pods<'r>(
        &'r self,
        tree: &'r DeployedTree,
        pods: &'r [Pod],
        digests: &'r Digests,
    ) -> LocalBoxFuture<'r, Comparison> {
        deployed_checks::compare_pods(self, tree, pods, digests).boxed_local()
    }
}

/// The work of a cycle.
#[derive(Debug)]
pub enum Work {
    /// Follow the policies of the images of a scope.
    Follow(Scope, Mode),
    /// Take back a commit.
    RollBack(AutomaticRollback),
}

impl Work {
    fn run(
        self,
        runner: &dyn CycleRunner,
        budget: Duration,
        abort: CancellationToken,
    ) -> LocalBoxFuture<'_, Result<Report, CycleError>> {
        match self {
            Work::Follow(scope, mode) => runner.run_cycle(scope, mode, budget, abort),
            Work::RollBack(rollback) => runner.roll_back(rollback, abort),
        }
    }
}

/// Runs one cycle in a thread of its own. Past its deadline, or once `abort` is cancelled, it ends at the next point where
/// it waits or would push; a git operation is never interrupted.
pub async fn run(
    runner: Arc<dyn CycleRunner>,
    work: Work,
    deadline: Duration,
    abort: CancellationToken,
) -> Result<Report, Failure> {
    let (handle, span) = (Handle::current(), Span::current());
    let bounded = move || {
        // The future is created where it runs, because the clone that it holds must stay in one thread.
        let cycle = async {
            tokio::select! {
                biased;
                result = work.run(&*runner, deadline / BUDGET_DIVISOR, abort.clone()) => result.map_err(|error| match error {
                    CycleError::Abandoned => Failure::Stopped,
                    error => Failure::Cycle(Box::new(error)),
                }),
                () = abort.cancelled() => Err(Failure::Stopped),
                () = tokio::time::sleep(deadline) => Err(Failure::Overdue { after: deadline }),
            }
        };
        handle.block_on(cycle.instrument(span))
    };
    let thread = tokio::task::spawn_blocking(bounded);
    thread.await.unwrap_or_else(|ended| Err(if ended.is_panic() { Failure::Panicked } else { Failure::Stopped }))
}
