//! Notifies Flux and Argo CD of each pushed commit, and watches until it is applied. A background task does both; while no
//! commit is pending, the API is not queried.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::api::Cluster;
use super::config::{Argocd, Flux, ObjectRef};
use super::error::ClusterError;
use super::git_repository::Target;
use super::helm_release::HelmRelease;
use super::kustomization::Kustomization;
use super::observed::Observed;
use super::pending_rollouts::{PendingRollouts, Timeouts};
use super::receiver;
use super::rollout::{Ancestry, Product, PushedCommit, RolloutEvent};

/// The interval between queries at first.
const INTERVAL: Duration = Duration::from_secs(1);
/// The interval between queries later on.
const LATER_INTERVAL: Duration = Duration::from_secs(10);
/// The number of queries at the first interval.
const FREQUENT_QUERIES: u32 = 60;
/// The number of applications that are refreshed at the same time.
const REFRESHES: usize = 8;

/// An event of the watch.
#[derive(Debug)]
pub enum WatchEvent {
    /// The outcome of a commit.
    Rollout(RolloutEvent),
    /// A task fails; reported once as long as the error stays the same.
    Failing(WatchTask, ClusterError),
    /// A task works again.
    Recovered(WatchTask),
    /// Less is known about commits, because something could not be queried; reported once.
    Limited(ClusterError),
}

/// A task of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchTask {
    /// The product concerned.
    pub product: Product,
    /// What is done.
    pub part: WatchPart,
}

/// The parts of watching a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchPart {
    /// Asking it to fetch.
    Asking,
    /// Watching what it applies.
    Watching,
}

impl WatchPart {
    /// All parts.
    pub const ALL: [WatchPart; 2] = [WatchPart::Asking, WatchPart::Watching];

    /// A short lowercase name for metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            WatchPart::Asking => "asking",
            WatchPart::Watching => "watching",
        }
    }
}

/// The products to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Flux.
    pub flux: Option<Flux>,
    /// Argo CD.
    pub argocd: Option<Argocd>,
    /// Where commits are pushed to.
    pub target: Target,
}

impl Watched {
    /// The products.
    pub fn products(&self) -> BTreeSet<Product> {
        self.timeouts().into_keys().collect()
    }

    /// The time until a commit is overdue, by product.
    fn timeouts(&self) -> Timeouts {
        let flux = self.flux.iter().map(|flux| (Product::Flux, flux.timeout));
        flux.chain(self.argocd.iter().map(|argocd| (Product::ArgoCd, argocd.timeout))).collect()
    }

    /// The time until a commit is overdue for all of them.
    pub fn timeout(&self) -> Duration {
        self.timeouts().into_values().max().unwrap_or_default()
    }
}

/// A watch over Flux and Argo CD, which ends when this value is dropped.
#[derive(Debug)]
pub struct Watch {
    commands: mpsc::UnboundedSender<Command>,
    events: mpsc::UnboundedReceiver<WatchEvent>,
    _end: DropGuard,
}

/// What a watch is to do.
#[derive(Debug)]
enum Command {
    Add(PushedCommit),
    Resume(Vec<PushedCommit>),
    Pause,
}

impl Watch {
    /// Starts a watch. `ancestry` returns which commits contain which.
    pub fn start(cluster: Cluster, watched: Watched, ancestry: Arc<Ancestry>) -> Watch {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (sender, events) = mpsc::unbounded_channel();
        let pending = PendingRollouts::new(watched.timeouts());
        let end = CancellationToken::new();
        let watcher = Watcher {
            cluster,
            watched,
            ancestry,
            pending,
            events: sender,
            failures: BTreeMap::new(),
            limits: BTreeSet::new(),
            to_notify: BTreeSet::new(),
            queries: 0,
            is_paused: false,
        };
        let ended = end.clone();
        tokio::spawn(async move { ended.run_until_cancelled(watcher.run(receiver)).await });
        Watch { commands, events, _end: end.drop_guard() }
    }

    /// Adds a pushed commit.
    pub fn pushed(&self, pushed: PushedCommit) {
        self.send(Command::Add(pushed));
    }

    /// Continues with the commits of the branch that may be pending, oldest first. Those that the cluster already holds are
    /// not reported.
    pub fn resume(&self, commits: Vec<PushedCommit>) {
        self.send(Command::Resume(commits));
    }

    /// Reports nothing until it is resumed, because another replica does.
    pub fn pause(&self) {
        self.send(Command::Pause);
    }

    fn send(&self, command: Command) {
        // The task runs as long as this value exists.
        let _ = self.commands.send(command);
    }

    /// Waits for the next event.
    pub async fn next_event(&mut self) -> WatchEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}

struct Watcher {
    cluster: Cluster,
    watched: Watched,
    ancestry: Arc<Ancestry>,
    pending: PendingRollouts,
    events: mpsc::UnboundedSender<WatchEvent>,
    /// The current errors, as they were reported.
    failures: BTreeMap<WatchTask, String>,
    /// The queries that are known not to work, as they were reported.
    limits: BTreeSet<String>,
    /// The products that were not notified of all commits.
    to_notify: BTreeSet<Product>,
    /// The number of queries since the last push.
    queries: u32,
    is_paused: bool,
}

impl Watcher {
    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            let pause = if self.queries < FREQUENT_QUERIES { INTERVAL } else { LATER_INTERVAL };
            tokio::select! {
                command = commands.recv() => {
                    let Some(command) = command else { return };
                    self.take(command).await;
                }
                () = tokio::time::sleep(pause), if !self.is_paused && !self.pending.is_empty() => {
                    self.queries = self.queries.saturating_add(1);
                    self.query().await;
                    self.notify().await;
                }
            }
        }
    }

    async fn take(&mut self, command: Command) {
        match command {
            Command::Pause => self.is_paused = true,
            Command::Resume(commits) => {
                // Whoever pushed them may not have come to notify anybody. That waits for the next query, because most of
                // the time the cluster holds them already.
                self.pending.resume(commits);
                self.to_notify = self.watched.products();
                (self.queries, self.is_paused) = (0, false);
            }
            Command::Add(pushed) => {
                self.queries = 0;
                let rollouts = self.pending.add(pushed);
                self.send(rollouts);
                self.to_notify = self.watched.products();
                self.notify().await;
            }
        }
    }

    /// Asks the products to fetch now.
    async fn notify(&mut self) {
        if self.pending.is_empty() {
            self.to_notify.clear();
        }
        for product in std::mem::take(&mut self.to_notify) {
            let notified = match product {
                Product::Flux => self.notify_flux().await,
                Product::ArgoCd => self.refresh_applications().await,
            };
            if notified.is_err() {
                self.to_notify.insert(product);
            }
            self.set_error(WatchTask { product, part: WatchPart::Asking }, notified.err());
        }
    }

    async fn notify_flux(&self) -> Result<(), ClusterError> {
        let Some(flux) = &self.watched.flux else { return Ok(()) };
        match &flux.receiver {
            Some(receiver) => receiver::notify(receiver).await,
            None => self.cluster.annotate(&flux.source, crate::clock::now()).await,
        }
    }

    /// Refreshes the applications that deploy pending commits. An application that fails does not keep the others from it.
    async fn refresh_applications(&self) -> Result<(), ClusterError> {
        let Some(argocd) = &self.watched.argocd else { return Ok(()) };
        let all = self.cluster.applications(argocd).await?;
        let observed = Observed::default().with_applications(argocd, &self.watched.target, all);
        let changes = self.pending.changes();
        let names: Vec<ObjectRef> = observed.applications_of(&changes).map(|one| one.object(argocd)).collect();
        let refresh = |name: ObjectRef| {
            let cluster = self.cluster.clone();
            async move { cluster.refresh(&name).await }
        };
        let results: Vec<Result<(), ClusterError>> =
            stream::iter(names.into_iter().map(refresh)).buffer_unordered(REFRESHES).collect().await;
        results.into_iter().collect()
    }

    /// Queries the progress of the pending commits.
    async fn query(&mut self) {
        let mut observed = self.observe_flux(Observed::default()).await;
        if let Some(argocd) = self.watched.argocd.clone() {
            let task = WatchTask { product: Product::ArgoCd, part: WatchPart::Watching };
            match self.cluster.applications(&argocd).await {
                Ok(all) => {
                    observed = observed.with_applications(&argocd, &self.watched.target, all);
                    self.set_error(task, None);
                }
                Err(error) => {
                    observed.failures.insert(Product::ArgoCd, error.to_string());
                    self.set_error(task, Some(error));
                }
            }
        }
        let (pending, ancestry) = (&mut self.pending, Arc::clone(&self.ancestry));
        // Whether a commit contains another one is read from the clone.
        let rollouts = tokio::task::block_in_place(|| pending.update(&observed, Instant::now(), &*ancestry));
        self.send(rollouts);
    }

    async fn observe_flux(&mut self, mut observed: Observed) -> Observed {
        let Some(flux) = self.watched.flux.clone() else { return observed };
        let task = WatchTask { product: Product::Flux, part: WatchPart::Watching };
        match self.kustomizations(&flux).await {
            Ok(all) => {
                self.set_error(task, None);
                observed = observed.with_kustomizations(&flux.source, &flux.namespaces, all);
            }
            Err(error) => {
                observed.failures.insert(Product::Flux, error.to_string());
                self.set_error(task, Some(error));
                return observed;
            }
        }
        let releases = self.releases(&observed).await;
        observed.releases = self.or_limited(releases);
        if self.pending.is_falling_due(Instant::now()) {
            let words = self.cluster.git_repository_words(&flux.source, &self.watched.target).await;
            observed.source_state = self.or_limited(words);
        }
        observed
    }

    async fn kustomizations(&self, flux: &Flux) -> Result<Vec<Kustomization>, ClusterError> {
        let mut all = Vec::new();
        for namespace in &flux.namespaces {
            all.extend(self.cluster.kustomizations(namespace.as_str()).await?);
        }
        Ok(all)
    }

    /// Queries the HelmReleases that pending commits may concern.
    async fn releases(&self, observed: &Observed) -> Result<Vec<HelmRelease>, ClusterError> {
        let mut changes = self.pending.changes();
        changes.retain(|change| !change.releases.is_empty());
        let of_changes = observed.kustomizations_of(&changes).flat_map(Kustomization::releases);
        let namespaces: BTreeSet<String> = of_changes.map(|release| release.namespace).collect();
        let mut all = Vec::new();
        for namespace in &namespaces {
            all.extend(self.cluster.helm_releases(namespace).await?);
        }
        Ok(all)
    }

    /// Returns the result of a query that is not essential. Reports each error once.
    fn or_limited<T>(&mut self, result: Result<T, ClusterError>) -> Option<T> {
        match result {
            Ok(found) => Some(found),
            Err(error) => {
                if self.limits.insert(error.to_string()) {
                    let _ = self.events.send(WatchEvent::Limited(error));
                }
                None
            }
        }
    }

    fn send(&self, rollouts: Vec<RolloutEvent>) {
        for event in rollouts {
            // A receiver that is gone is shutting down.
            let _ = self.events.send(WatchEvent::Rollout(event));
        }
    }

    fn set_error(&mut self, task: WatchTask, error: Option<ClusterError>) {
        let before = self.failures.remove(&task);
        let event = match error {
            None => before.map(|_| WatchEvent::Recovered(task)),
            Some(error) => {
                let message = error.to_string();
                let is_new = before.as_ref() != Some(&message);
                self.failures.insert(task, message);
                is_new.then_some(WatchEvent::Failing(task, error))
            }
        };
        if let Some(event) = event {
            let _ = self.events.send(event);
        }
    }
}
