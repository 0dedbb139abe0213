//! One of several replicas leads. A task of its own takes the Lease, renews it, and says how it stands; leading ends when
//! the Lease is someone else's, or could not be renewed within the deadline, which is before anyone else may take it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fault::Explain;

use super::api::Cluster;
use super::config::{Election, ElectionTiming, ObjectRef};
use super::error::ClusterError;
use super::lease::{LeaseAction, LeaseObserver};

/// How long leaving may take, so that the pod ends in time. If it fails, the Lease expires.
const RESIGN_TIMEOUT: Duration = Duration::from_secs(2);

/// How a replica stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leadership {
    /// It leads, or is alone by configuration.
    Leader,
    /// Another one leads.
    Follower {
        /// Who.
        leader: String,
    },
    /// It is not known who leads.
    Unknown {
        /// Why: what went wrong and what to do, once something did.
        reason: Option<String>,
    },
}

/// The part of one replica in an election.
#[derive(Debug)]
pub struct LeaderElector {
    leadership: watch::Receiver<Leadership>,
    /// The task that takes part, and what ends it; of whoever is alone there is none.
    task: Option<(JoinHandle<()>, CancellationToken)>,
}

impl LeaderElector {
    /// Nobody else is there.
    pub fn without_election() -> LeaderElector {
        LeaderElector { leadership: watch::channel(Leadership::Leader).1, task: None }
    }

    /// Takes part in an election.
    pub fn start(cluster: Cluster, election: &Election) -> LeaderElector {
        let namespace = election.namespace.as_ref().map_or_else(|| cluster.namespace(), |name| name.as_str());
        let lease = ObjectRef { namespace: namespace.to_owned(), name: election.lease.to_string() };
        // A container that is started again has the name of the one before.
        let identity = format!("{}_{:016x}", election.identity, fastrand::u64(..));
        let (leadership, shown) = watch::channel(Leadership::Unknown { reason: None });
        let (timing, resign) = (election.timing, CancellationToken::new());
        tracing::info!(%lease, %identity, "this replica takes part in the election");
        let observer = LeaseObserver::new(identity, timing.lease_duration);
        let candidate = Candidate { cluster, lease, timing, observer, leadership, renewed: None };
        let task = tokio::spawn(candidate.run(resign.clone()));
        LeaderElector { leadership: shown, task: Some((task, resign)) }
    }

    /// How this replica stands.
    pub fn leadership(&self) -> Leadership {
        self.leadership.borrow().clone()
    }

    /// Waits until it stands otherwise; for ever, where there is no election.
    pub async fn changed(&mut self) {
        if self.leadership.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until it does not lead.
    pub async fn lost(&mut self) {
        if self.leadership.wait_for(|leadership| *leadership != Leadership::Leader).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends its part. If it led, another replica may take over at once.
    pub async fn resign(self) {
        if let Some((task, resign)) = self.task {
            resign.cancel();
            // It ends by its own time limit.
            let _ = task.await;
        }
    }
}

/// A replica that takes part.
struct Candidate {
    cluster: Cluster,
    lease: ObjectRef,
    timing: ElectionTiming,
    observer: LeaseObserver,
    leadership: watch::Sender<Leadership>,
    /// When the last renewal that succeeded was begun, while we lead.
    renewed: Option<Instant>,
}

impl Candidate {
    async fn run(mut self, resign: CancellationToken) {
        loop {
            tokio::select! {
                () = resign.cancelled() => break,
                () = self.step() => {}
            }
            let pause = match self.may_lead_for() {
                // Not beyond the moment at which the lead ends.
                Some(left) => self.timing.retry_period.min(left),
                // Jittered, as client-go does for those that wait, so that they do not all come at once.
                None => self.timing.retry_period.mul_f64(1.0 + 1.2 * fastrand::f64()),
            };
            tokio::select! {
                () = resign.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        if self.renewed.is_some() {
            let error = match tokio::time::timeout(RESIGN_TIMEOUT, self.release()).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("it took longer than {} s", RESIGN_TIMEOUT.as_secs()),
            };
            tracing::warn!(lease = %self.lease, %error, "the Lease could not be left; another replica waits until it expires");
        }
    }

    /// How long we may still lead without another renewal, while we lead.
    fn may_lead_for(&self) -> Option<Duration> {
        let renewed = self.renewed?;
        Some(self.timing.renew_deadline.saturating_sub(renewed.elapsed()))
    }

    /// One try, which while we lead takes no longer than we may.
    async fn step(&mut self) {
        let begun = Instant::now();
        let limit = self.may_lead_for().unwrap_or(self.timing.renew_deadline);
        let tried = tokio::time::timeout(limit, self.attempt(begun)).await;
        let error = match tried {
            Ok(Ok(leadership)) => {
                self.renewed = (leadership == Leadership::Leader).then_some(begun);
                return self.announce(leadership);
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        let words = error.as_ref().map_or_else(
            || "the Kubernetes API did not answer in time".to_owned(),
            |error| match error.help() {
                Some(help) => format!("{error}; {help}"),
                None => error.to_string(),
            },
        );
        match (self.may_lead_for(), &error) {
            (Some(left), error) if !left.is_zero() => {
                if !matches!(error, Some(ClusterError::Conflict { .. })) {
                    tracing::warn!(lease = %self.lease, error = %words, "the Lease could not be renewed; it is tried again");
                }
            }
            // Someone else was first, as the next look will tell.
            (None, Some(ClusterError::Conflict { .. })) => {}
            _ => {
                self.renewed = None;
                self.announce(Leadership::Unknown { reason: Some(words) });
            }
        }
    }

    async fn attempt(&mut self, begun: Instant) -> Result<Leadership, ClusterError> {
        let found = self.cluster.lease(&self.lease).await?;
        let is_there = found.is_some();
        let lease = match self.observer.observe(&self.lease, found, Timestamp::now(), Instant::now()) {
            LeaseAction::Wait { leader } => return Ok(Leadership::Follower { leader }),
            LeaseAction::Write(lease) => lease,
        };
        let written = match is_there {
            true => self.cluster.write_lease(&self.lease, &lease).await?,
            false => self.cluster.make_lease(&self.lease, &lease).await?,
        };
        self.observer.wrote(&written, begun);
        Ok(Leadership::Leader)
    }

    async fn release(&self) -> Result<(), ClusterError> {
        let found = self.cluster.lease(&self.lease).await?;
        match found.and_then(|lease| self.observer.release(lease, Timestamp::now())) {
            Some(lease) => self.cluster.write_lease(&self.lease, &lease).await.map(drop),
            None => Ok(()),
        }
    }

    fn announce(&self, leadership: Leadership) {
        self.leadership.send_if_modified(|before| {
            let is_news = *before != leadership;
            if is_news {
                match &leadership {
                    Leadership::Leader => {
                        tracing::info!(lease = %self.lease, identity = self.observer.identity(), "this replica leads");
                    }
                    Leadership::Follower { leader } => {
                        tracing::info!(lease = %self.lease, %leader, "another replica leads");
                    }
                    Leadership::Unknown { reason } => {
                        let reason = reason.as_deref().unwrap_or_default();
                        tracing::error!(lease = %self.lease, error = reason, "it is not known which replica leads; nothing is pushed");
                    }
                }
                before.clone_from(&leadership);
            }
            is_news
        });
    }
}
