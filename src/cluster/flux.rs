//! Notifies Flux of each pushed commit, and watches until it is applied. A background task does both; while no commit
//! is pending, the API is not queried.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::api::Cluster;
use super::config::Flux;
use super::error::ClusterError;
use super::kustomization::Kustomization;
use super::pending_rollouts::{Ancestry, PendingRollouts, PushedCommit, RolloutEvent};
use super::receiver;

/// The interval between queries at first.
const INTERVAL: Duration = Duration::from_secs(1);
/// The interval between queries later on.
const LATER_INTERVAL: Duration = Duration::from_secs(10);
/// The number of queries at the first interval.
const FREQUENT_QUERIES: u32 = 60;

/// An event of the watch.
#[derive(Debug)]
pub enum FluxEvent {
    /// The outcome of a commit.
    Rollout(RolloutEvent),
    /// A task fails; reported once as long as the error stays the same.
    Failing(FluxTask, ClusterError),
    /// A task works again.
    Recovered(FluxTask),
}

/// The two tasks of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FluxTask {
    /// Asking Flux to fetch.
    Asking,
    /// Watching the Kustomizations.
    Watching,
}

impl FluxTask {
    /// All tasks.
    pub const ALL: [FluxTask; 2] = [FluxTask::Asking, FluxTask::Watching];

    /// A short lowercase name for metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            FluxTask::Asking => "asking",
            FluxTask::Watching => "watching",
        }
    }
}

/// A watch over Flux, which ends when this value is dropped.
#[derive(Debug)]
pub struct Watch {
    pushed: mpsc::UnboundedSender<PushedCommit>,
    events: mpsc::UnboundedReceiver<FluxEvent>,
    _end: DropGuard,
}

impl Watch {
    /// Starts a watch. `ancestry` returns which commits contain which.
    pub fn start(cluster: Cluster, flux: Flux, ancestry: Arc<Ancestry>) -> Watch {
        let (pushed, receiver) = mpsc::unbounded_channel();
        let (sender, events) = mpsc::unbounded_channel();
        let pending = PendingRollouts::new(flux.source.clone(), flux.timeout);
        let end = CancellationToken::new();
        let watcher = Watcher {
            cluster,
            flux,
            ancestry,
            pending,
            events: sender,
            failures: BTreeMap::new(),
            is_notified: true,
            queries: 0,
        };
        let ended = end.clone();
        tokio::spawn(async move { ended.run_until_cancelled(watcher.run(receiver)).await });
        Watch { pushed, events, _end: end.drop_guard() }
    }

    /// Adds a pushed commit.
    pub fn pushed(&self, pushed: PushedCommit) {
        // The task runs as long as this value exists.
        let _ = self.pushed.send(pushed);
    }

    /// Waits for the next event.
    pub async fn next_event(&mut self) -> FluxEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}

struct Watcher {
    cluster: Cluster,
    flux: Flux,
    ancestry: Arc<Ancestry>,
    pending: PendingRollouts,
    events: mpsc::UnboundedSender<FluxEvent>,
    /// The current errors, as they were reported.
    failures: BTreeMap<FluxTask, String>,
    /// Whether Flux was notified of all commits.
    is_notified: bool,
    /// The number of queries since the last push.
    queries: u32,
}

impl Watcher {
    async fn run(mut self, mut pushed: mpsc::UnboundedReceiver<PushedCommit>) {
        loop {
            let pause = if self.queries < FREQUENT_QUERIES { INTERVAL } else { LATER_INTERVAL };
            tokio::select! {
                push = pushed.recv() => {
                    let Some(push) = push else { return };
                    (self.queries, self.is_notified) = (0, false);
                    let rollouts = self.pending.add(push);
                    self.send(rollouts);
                    self.notify().await;
                }
                () = tokio::time::sleep(pause), if !self.pending.is_empty() => {
                    self.queries = self.queries.saturating_add(1);
                    if !self.is_notified {
                        self.notify().await;
                    }
                    self.query().await;
                }
            }
        }
    }

    /// Asks Flux to fetch now.
    async fn notify(&mut self) {
        let notified = match &self.flux.receiver {
            Some(receiver) => receiver::notify(receiver).await,
            None => self.cluster.annotate(&self.flux.source, crate::clock::now()).await,
        };
        self.is_notified = notified.is_ok();
        self.set_error(FluxTask::Asking, notified.err());
    }

    /// Queries the progress of the pending commits.
    async fn query(&mut self) {
        let (rollouts, error) = match self.kustomizations().await {
            Ok(all) => {
                let (pending, ancestry) = (&mut self.pending, Arc::clone(&self.ancestry));
                let update = || pending.update(&all, Instant::now(), &*ancestry);
                (tokio::task::block_in_place(update), None)
            }
            Err(error) => (self.pending.give_up(Instant::now(), &error.to_string()), Some(error)),
        };
        self.send(rollouts);
        self.set_error(FluxTask::Watching, error);
    }

    async fn kustomizations(&self) -> Result<Vec<Kustomization>, ClusterError> {
        let mut all = Vec::new();
        for namespace in &self.flux.namespaces {
            all.extend(self.cluster.kustomizations(namespace.as_str()).await?);
        }
        Ok(all)
    }

    fn send(&self, rollouts: Vec<RolloutEvent>) {
        for event in rollouts {
            // A receiver that is gone is shutting down.
            let _ = self.events.send(FluxEvent::Rollout(event));
        }
    }

    fn set_error(&mut self, task: FluxTask, error: Option<ClusterError>) {
        let before = self.failures.remove(&task);
        let event = match error {
            None => before.map(|_| FluxEvent::Recovered(task)),
            Some(error) => {
                let message = error.to_string();
                let is_new = before.as_ref() != Some(&message);
                self.failures.insert(task, message);
                is_new.then_some(FluxEvent::Failing(task, error))
            }
        };
        if let Some(event) = event {
            let _ = self.events.send(event);
        }
    }
}
