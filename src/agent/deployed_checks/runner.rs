//! Starts the checks of what is deployed after cycles, in the background, and collects their results. They begin right after
//! a cycle that has succeeded, because then the tip that they read is current.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::agent::outcome::Outcome;
use crate::agent::runtime::Runtime;
use crate::agent::worker::CycleRunner;
use crate::clock;
use crate::cluster::api::Cluster;
use crate::cluster::config::Pods;
use crate::cycle::deployed::Deployed;
use crate::cycle::deployed_tree::{DeployedTree, Extent};
use crate::cycle::drift::compare::Comparison;
use crate::cycle::drift::digests::Digests;
use crate::repo::clone::CommitId;

use super::deployed_tracker::DeployedTracker;
use super::drift_tracker::DriftTracker;
use super::result::{Check, CheckResult, Look, Problem};

/// The time for which a drift must last, unless a time limit for rollouts is configured.
const SETTLE: Duration = Duration::from_secs(300);

/// The checks of what is deployed.
#[derive(Debug, Default)]
pub struct Checks {
    deployed: Task<Vec<Deployed>>,
    deployed_tracker: DeployedTracker,
    pods: Task<Seen>,
    /// The pods to look at, and the API that knows them.
    watched: Option<(Pods, Cluster)>,
    drift_tracker: DriftTracker,
    digests: Arc<Digests>,
    /// The fields of the last tip that was compared with pods.
    tree: Option<(CommitId, Arc<DeployedTree>)>,
    /// Results that need no waiting.
    ready: VecDeque<CheckResult>,
}

/// What a look at pods has found.
#[derive(Debug, Default)]
struct Seen {
    comparison: Comparison,
    unread: BTreeMap<String, Problem>,
    settle: Duration,
}

/// A check that runs, or will run again. It ends when this value is dropped.
#[derive(Debug)]
struct Task<T> {
    /// The running check, which returns nothing if it was not finished in time.
    running: Option<(JoinHandle<Option<T>>, DropGuard)>,
    /// When it was last started, or could not be.
    begun: Option<Instant>,
}

impl<T> Default for Task<T> {
    fn default() -> Self {
        Task { running: None, begun: None }
    }
}

impl Checks {
    /// Applies a configuration.
    pub async fn configured(&mut self, runtime: &Runtime) {
        self.tree = None;
        if runtime.config.verify_deployed.is_none() {
            (self.deployed, self.deployed_tracker) = Default::default();
        }
        let pods = runtime.cluster.pods.as_ref();
        if self.watched.as_ref().map(|(pods, _)| pods) == pods {
            return;
        }
        (self.pods, self.drift_tracker, self.watched) = Default::default();
        let Some(pods) = pods else { return };
        match Cluster::find().await {
            Ok(cluster) => self.watched = Some((pods.clone(), cluster)),
            Err(error) => self.ready.push_back(CheckResult::Failed(Check::Pods, Problem::of(&error))),
        }
    }

    /// Starts the checks that are due after a cycle.
    pub async fn cycle_ended(&mut self, outcome: &Outcome, runtime: &Runtime) {
        let Some(head) = outcome.result.as_ref().ok().and_then(|report| report.head) else { return };
        if let Some(interval) = runtime.config.verify_deployed
            && self.deployed.is_due(interval)
        {
            self.verify(head, interval, runtime).await;
        }
        if let Some((pods, cluster)) = self.watched.clone()
            && self.pods.is_due(pods.interval)
        {
            self.look(head, pods, cluster, runtime).await;
        }
    }

    /// Waits for the next result; forever if no check runs.
    pub async fn next_result(&mut self) -> CheckResult {
        if let Some(result) = self.ready.pop_front() {
            return result;
        }
        tokio::select! {
            images = self.deployed.ended() => match images {
                Ok(images) => CheckResult::Deployed(self.deployed_tracker.update(images, clock::now())),
                Err(problem) => CheckResult::Failed(Check::Deployed, problem),
            },
            seen = self.pods.ended() => match seen {
                Ok(Seen { comparison, unread, settle }) => {
                    let namespaces: BTreeSet<String> = unread.keys().cloned().collect();
                    let progress = self.drift_tracker.update(comparison, &namespaces, settle, Instant::now());
                    let (drifts, began, ended) = (progress.drifts, progress.began, progress.ended);
                    CheckResult::Pods(Look { at: clock::now(), drifts, began, ended, unread })
                }
                Err(problem) => CheckResult::Failed(Check::Pods, problem),
            },
        }
    }

    /// Stops all checks, because another replica makes them, and forgets what they have found.
    pub fn stop(&mut self) {
        let (watched, digests, ready) =
            (self.watched.take(), Arc::clone(&self.digests), std::mem::take(&mut self.ready));
        *self = Checks { watched, digests, ready, ..Checks::default() };
    }

    async fn verify(&mut self, head: CommitId, interval: Duration, runtime: &Runtime) {
        let runner = Arc::clone(&runtime.runner);
        // The clone is free between two cycles. Everything else needs it no more.
        match read(&runner, head, Extent::All).await {
            Ok(tree) => {
                let work = move || async move { runner.verify_deployed(&tree).await }.boxed_local();
                self.deployed.start(interval.max(runtime.config.deadline), work);
            }
            Err(problem) => {
                self.deployed.begun = Some(Instant::now());
                self.ready.push_back(CheckResult::Failed(Check::Deployed, problem));
            }
        }
    }

    async fn look(&mut self, head: CommitId, pods: Pods, cluster: Cluster, runtime: &Runtime) {
        let runner = Arc::clone(&runtime.runner);
        let known = self.tree.take().filter(|(commit, _)| *commit == head);
        let tree = match known {
            Some((_, tree)) => Ok(tree),
            None => read(&runner, head, Extent::Governed).await.map(Arc::new),
        };
        match tree {
            Ok(tree) => {
                self.tree = Some((head, Arc::clone(&tree)));
                let settle = runtime.cluster.flux.as_ref().map_or(SETTLE, |flux| flux.timeout);
                let (digests, limit) = (Arc::clone(&self.digests), pods.interval.max(runtime.config.deadline));
                let work =
                    move || async move { seen(&*runner, &tree, pods, cluster, &digests, settle).await }.boxed_local();
                self.pods.start(limit, work);
            }
            Err(problem) => {
                self.pods.begun = Some(Instant::now());
                self.ready.push_back(CheckResult::Failed(Check::Pods, problem));
            }
        }
    }
}

impl<T: Send + 'static> Task<T> {
    /// Returns whether the check has to be started, at most once per interval.
    fn is_due(&self, interval: Duration) -> bool {
        self.running.is_none() && self.begun.is_none_or(|begun| begun.elapsed() >= interval)
    }

    /// Starts the check in a thread of its own, because not all of its parts can move between threads.
    fn start(&mut self, limit: Duration, work: impl FnOnce() -> LocalBoxFuture<'static, T> + Send + 'static) {
        let (handle, stop) = (Handle::current(), CancellationToken::new());
        let stopped = stop.clone();
        let bounded = move || {
            let work = tokio::time::timeout(limit, async { work().await });
            handle.block_on(stopped.run_until_cancelled(work))?.ok()
        };
        self.begun = Some(Instant::now());
        self.running = Some((tokio::task::spawn_blocking(bounded), stop.drop_guard()));
    }

    /// Waits for the end of the check; forever if it does not run.
    async fn ended(&mut self) -> Result<T, Problem> {
        let Some((task, _)) = &mut self.running else { return std::future::pending().await };
        let ended = task.await;
        self.running = None;
        let problem = |error: &str, help: &str| Problem { error: error.to_owned(), help: Some(help.to_owned()) };
        match ended {
            Ok(Some(result)) => Ok(result),
            Ok(None) => {
                Err(problem("it was not finished in time", "check for a slow registry, or raise agent.deadline"))
            }
            Err(_) => Err(problem(
                "internal error",
                "this is a bug in tagalong; please report it with the log line that names the location",
            )),
        }
    }
}

/// Reads the image fields of a commit, in a thread where that may take its time.
async fn read(runner: &Arc<dyn CycleRunner>, head: CommitId, extent: Extent) -> Result<DeployedTree, Problem> {
    let runner = Arc::clone(runner);
    let read = tokio::task::spawn_blocking(move || runner.deployed_tree(head, extent)).await;
    match read {
        Ok(read) => read.map_err(|error| Problem::of(&error)),
        Err(_) => Err(Problem { error: "internal error while reading the repository".to_owned(), help: None }),
    }
}

/// Lists the pods of each namespace, and compares them. A namespace that cannot be read is left out.
async fn seen(
    runner: &dyn CycleRunner,
    tree: &DeployedTree,
    pods: Pods,
    cluster: Cluster,
    digests: &Digests,
    settle: Duration,
) -> Seen {
    let (mut all, mut unread) = (Vec::new(), BTreeMap::new());
    for namespace in &pods.namespaces {
        match cluster.pods(namespace.as_str()).await {
            Ok(found) => all.extend(found),
            Err(error) => drop(unread.insert(namespace.to_string(), Problem::of(&error))),
        }
    }
    Seen { comparison: runner.compare_pods(tree, &all, digests).await, unread, settle }
}
