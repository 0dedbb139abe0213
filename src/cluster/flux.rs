//! Flux is asked to look at each commit, and watched until it has applied it. A task of its own does both, so that nobody
//! waits for it; while nothing is waited for, nothing is asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::api::Cluster;
use super::config::Flux;
use super::error::ClusterError;
use super::kustomization::Kustomization;
use super::pending_rollouts::{Ancestry, PendingRollouts, PushedCommit, RolloutEvent};
use super::receiver;

/// From one look to the next, at first.
const LOOK: Duration = Duration::from_secs(1);
/// The same later on.
const LATER_LOOK: Duration = Duration::from_secs(10);
/// As many looks are close together.
const CLOSE_LOOKS: u32 = 60;

/// What a watch has to say.
#[derive(Debug)]
pub enum FluxEvent {
    /// What became of a commit.
    Rollout(RolloutEvent),
    /// Something does not work; said once as long as it stays so.
    Failing(FluxTask, ClusterError),
    /// It works again.
    Recovered(FluxTask),
}

/// What is done about Flux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FluxTask {
    /// It is asked to look.
    Asking,
    /// It is watched.
    Watching,
}

impl FluxTask {
    /// All of them.
    pub const ALL: [FluxTask; 2] = [FluxTask::Asking, FluxTask::Watching];

    /// A short lowercase name for metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            FluxTask::Asking => "asking",
            FluxTask::Watching => "watching",
        }
    }
}

/// A watch over Flux, which ends with this value.
#[derive(Debug)]
pub struct Watch {
    pushes: mpsc::UnboundedSender<PushedCommit>,
    events: mpsc::UnboundedReceiver<FluxEvent>,
    _end: DropGuard,
}

impl Watch {
    /// Begins one. `lineage` knows which commits hold which.
    pub fn start(cluster: Cluster, flux: Flux, ancestry: Arc<Ancestry>) -> Watch {
        let (pushes, pushed) = mpsc::unbounded_channel();
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
            is_asked: true,
            looks: 0,
        };
        let ended = end.clone();
        tokio::spawn(async move { ended.run_until_cancelled(watcher.run(pushed)).await });
        Watch { pushes, events, _end: end.drop_guard() }
    }

    /// A commit was pushed.
    pub fn pushed(&self, pushed: PushedCommit) {
        // The task is there as long as we are.
        let _ = self.pushes.send(pushed);
    }

    /// Waits for news.
    pub async fn next_event(&mut self) -> FluxEvent {
        match self.events.recv().await {
            Some(events) => events,
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
    /// What is wrong, as it was told.
    failures: BTreeMap<FluxTask, String>,
    /// Whether Flux was asked to look at all that was pushed.
    is_asked: bool,
    /// How often was looked since the last push.
    looks: u32,
}

impl Watcher {
    async fn run(mut self, mut pushed: mpsc::UnboundedReceiver<PushedCommit>) {
        loop {
            let pause = if self.looks < CLOSE_LOOKS { LOOK } else { LATER_LOOK };
            tokio::select! {
                push = pushed.recv() => {
                    let Some(push) = push else { return };
                    (self.looks, self.is_asked) = (0, false);
                    let words = self.pending.add(push);
                    self.tell(words);
                    self.ask().await;
                }
                () = tokio::time::sleep(pause), if !self.pending.is_empty() => {
                    self.looks = self.looks.saturating_add(1);
                    if !self.is_asked {
                        self.ask().await;
                    }
                    self.look().await;
                }
            }
        }
    }

    /// Asks Flux to look now.
    async fn ask(&mut self) {
        let asked = match &self.flux.receiver {
            Some(receiver) => receiver::tell(receiver).await,
            None => self.cluster.annotate(&self.flux.source, Timestamp::now()).await,
        };
        self.is_asked = asked.is_ok();
        self.note(FluxTask::Asking, asked.err());
    }

    /// Looks at what has become of the commits that wait.
    async fn look(&mut self) {
        let (words, error) = match self.kustomizations().await {
            Ok(all) => {
                let (pending, ancestry) = (&mut self.pending, Arc::clone(&self.ancestry));
                let learn = || pending.learn(&all, Instant::now(), &*ancestry);
                (tokio::task::block_in_place(learn), None)
            }
            Err(error) => (self.pending.give_up(Instant::now(), &error.to_string()), Some(error)),
        };
        self.tell(words);
        self.note(FluxTask::Watching, error);
    }

    async fn kustomizations(&self) -> Result<Vec<Kustomization>, ClusterError> {
        let mut all = Vec::new();
        for namespace in &self.flux.namespaces {
            all.extend(self.cluster.kustomizations(namespace.as_str()).await?);
        }
        Ok(all)
    }

    fn tell(&self, words: Vec<RolloutEvent>) {
        for event in words {
            // Whoever does not listen any more is at its end.
            let _ = self.events.send(FluxEvent::Rollout(event));
        }
    }

    fn note(&mut self, task: FluxTask, error: Option<ClusterError>) {
        let before = self.failures.remove(&task);
        let events = match error {
            None => before.map(|_| FluxEvent::Recovered(task)),
            Some(error) => {
                let words = error.to_string();
                let is_news = before.as_ref() != Some(&words);
                self.failures.insert(task, words);
                is_news.then_some(FluxEvent::Failing(task, error))
            }
        };
        if let Some(events) = events {
            let _ = self.events.send(events);
        }
    }
}
