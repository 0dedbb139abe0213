//! A scripted runner of cycles, for tests of the schedule.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::cluster::pods::Pod;
use crate::cycle::deployed::Deployed;
use crate::cycle::deployed_tree::{DeployedTree, Extent};
use crate::cycle::drift::compare::Comparison;
use crate::cycle::drift::digests::Digests;
use crate::cycle::error::CycleError;
use crate::cycle::history::recent::RecentCommit;
use crate::cycle::move_log::MoveLog;
use crate::cycle::operations::automatic_rollback::AutomaticRollback;
use crate::cycle::operations::terms::Mode;
use crate::cycle::report::Report;
use crate::image::Repository;
use crate::policy::scope::Scope;
use crate::repo::clone::CommitId;

use super::signals::Signals;
use super::worker::CycleRunner;

/// The behaviour of one cycle of a script.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// It succeeds.
    Done,
    /// It fails.
    Fails,
    /// It panics.
    Panics,
    /// It does not end.
    Hangs,
}

/// Cycles that happen as written.
pub struct Script {
    steps: Mutex<VecDeque<Step>>,
    /// The modes of the cycles so far.
    pub modes: Mutex<Vec<Mode>>,
    /// The scopes of the cycles so far.
    pub scopes: Mutex<Vec<Scope>>,
    /// The signals that stop the agent.
    pub signals: Signals,
    /// Called at the end of the script; by default, the agent stops.
    then: Option<fn(&Signals)>,
}

impl CycleRunner for Script {
    fn follows(&self, scope: &Scope) -> bool {
        let followed: Repository = "r.io/org/app".parse().expect("a name");
        scope.covers(&followed)
    }

    fn move_log(&self, _known: Option<&Arc<MoveLog>>) -> Result<Option<Arc<MoveLog>>, CycleError> {
        Ok(None)
    }

    fn recent_commits(&self, _since: Timestamp) -> Result<Vec<RecentCommit>, CycleError> {
        Ok(Vec::new())
    }

    fn roll_back(
        &self,
        _rollback: AutomaticRollback,
        _abort: CancellationToken,
    ) -> LocalBoxFuture<'_, Result<Report, CycleError>> {
        panic!("nothing is watched")
    }

    fn run_cycle(
        &self,
        scope: Scope,
        mode: Mode,
        _budget: Duration,
        _abort: CancellationToken,
    ) -> LocalBoxFuture<'_, Result<Report, CycleError>> {
        self.scopes.lock().push(scope);
        self.modes.lock().push(mode);
        let step = self.steps.lock().pop_front();
        if self.steps.lock().is_empty() {
            match self.then {
                Some(then) => then(&self.signals),
                None => self.signals.stop.cancel(),
            }
        }
        async move {
            match step.expect("the script has another step") {
                Step::Done => Ok(Report::default()),
                Step::Fails => Err(CycleError::Secret("no".to_owned())),
                Step::Panics => panic!("a step of the script"),
                Step::Hangs => std::future::pending().await,
            }
        }
        .boxed_local()
    }

    fn deployed_tree(&self, _commit: CommitId, _extent: Extent) -> Result<DeployedTree, CycleError> {
        panic!("no check is configured")
    }

    fn verify_deployed<'r>(&'r self, _tree: &'r DeployedTree) -> LocalBoxFuture<'r, Vec<Deployed>> {
        panic!("no check is configured")
    }

    fn compare_pods<'r>(
        &'r self,
        _tree: &'r DeployedTree,
        _pods: &'r [Pod],
        _digests: &'r Digests,
    ) -> LocalBoxFuture<'r, Comparison> {
        panic!("no check is configured")
    }
}

/// A script of these cycles, and of what happens at its end.
pub fn script(steps: &[Step], signals: Signals, then: Option<fn(&Signals)>) -> Arc<Script> {
    let steps = Mutex::new(steps.iter().copied().collect());
    Arc::new(Script { steps, modes: Mutex::default(), scopes: Mutex::default(), signals, then })
}
