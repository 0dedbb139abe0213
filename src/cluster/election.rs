//! Leader election: a background task acquires the Lease, renews it and reports the leadership. A leader steps down
//! when another replica holds the Lease, or when it could not be renewed within the deadline, which is before another
//! replica may take it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::fault::{Explain, Fault};

use super::api::Cluster;
use super::config::{Election, ElectionTiming, ObjectRef};
use super::error::ClusterError;
use super::lease::{LeaseAction, LeaseObserver};

/// The timeout of releasing the Lease, so that the pod ends in time. If it fails, the Lease expires.
const RESIGN_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether this replica leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leadership {
    /// It leads, or no election is configured.
    Leader,
    /// Another replica leads.
    Follower {
        /// The identity of the leader.
        leader: String,
    },
    /// It is unknown which replica leads.
    Unknown {
        /// What went wrong and what to do about it; `None` before the first attempt has ended.
        reason: Option<String>,
    },
}

/// This replica's participation in an election.
#[derive(Debug)]
pub struct LeaderElector {
    leadership: watch::Receiver<Leadership>,
    /// The background task and what stops it; `None` without an election.
    task: Option<(JoinHandle<()>, CancellationToken)>,
}

impl LeaderElector {
    /// A replica that always leads.
    pub fn without_election() -> LeaderElector {
        LeaderElector { leadership: watch::channel(Leadership::Leader).1, task: None }
    }

    /// Starts to take part in an election.
    pub fn start(cluster: Cluster, election: &Election) -> LeaderElector {
        let namespace = election.namespace.as_ref().map_or_else(|| cluster.namespace(), |name| name.as_str());
        let lease = ObjectRef { namespace: namespace.to_owned(), name: election.lease.to_string() };
        // A restarted container has the same name as before.
        let identity = format!("{}_{:016x}", election.identity, fastrand::u64(..));
        let (leadership, shown) = watch::channel(Leadership::Unknown { reason: None });
        let (timing, resign) = (election.timing, CancellationToken::new());
        tracing::info!(%lease, %identity, "this replica takes part in the election");
        let observer = LeaseObserver::new(identity, timing.lease_duration);
        let (renewed, expires, errors) = Default::default();
        let candidate = Candidate { cluster, lease, timing, observer, leadership, renewed, expires, errors };
        let task = tokio::spawn(candidate.run(resign.clone()));
        LeaderElector { leadership: shown, task: Some((task, resign)) }
    }

    /// The current leadership.
    pub fn leadership(&self) -> Leadership {
        self.leadership.borrow().clone()
    }

    /// Waits until the leadership changes; forever without an election.
    pub async fn changed(&mut self) {
        if self.leadership.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until this replica does not lead.
    pub async fn lost(&mut self) {
        if self.leadership.wait_for(|leadership| *leadership != Leadership::Leader).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Leaves the election. If this replica led, another one may take over at once.
    pub async fn resign(self) {
        if let Some((task, resign)) = self.task {
            resign.cancel();
            // The task limits its own time.
            let _ = task.await;
        }
    }
}

/// The background task of a replica.
struct Candidate {
    cluster: Cluster,
    lease: ObjectRef,
    timing: ElectionTiming,
    observer: LeaseObserver,
    leadership: watch::Sender<Leadership>,
    /// When the last successful renewal began, while this replica leads.
    renewed: Option<Instant>,
    /// When the Lease of another replica expires, while that one leads.
    expires: Option<Instant>,
    /// The kinds of errors since the last successful attempt. Their messages may differ from one attempt to the next.
    errors: BTreeSet<&'static str>,
}

impl Candidate {
    async fn run(mut self, resign: CancellationToken) {
        loop {
            tokio::select! {
                () = resign.cancelled() => break,
                () = self.step() => {}
            }
            let left = self.expires.map(|at| at.saturating_duration_since(Instant::now()));
            let pause = pause(&self.timing, self.may_lead_for(), left, fastrand::f64());
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
            tracing::warn!(lease = %self.lease, %error, "cannot release the Lease; another replica takes over once it expires");
        }
    }

    /// The remaining time that this replica may lead without another renewal, while it leads.
    fn may_lead_for(&self) -> Option<Duration> {
        let renewed = self.renewed?;
        Some(self.timing.renew_deadline.saturating_sub(renewed.elapsed()))
    }

    /// Makes one attempt, which takes no longer than the remaining leadership.
    async fn step(&mut self) {
        let begun = Instant::now();
        let limit = self.may_lead_for().unwrap_or(self.timing.renew_deadline);
        let attempted = tokio::time::timeout(limit, self.attempt(begun)).await;
        self.expires = None;
        let error = match attempted {
            Ok(Ok((leadership, expires))) => {
                self.renewed = (leadership == Leadership::Leader).then_some(begun);
                self.expires = expires;
                self.errors.clear();
                return self.announce(leadership, true);
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        let words = error.as_ref().map_or_else(
            || "the Kubernetes API did not respond in time".to_owned(),
            |error| match error.help() {
                Some(help) => format!("{error}; {help}"),
                None => error.to_string(),
            },
        );
        let fault = error.as_ref().map_or(Fault::Transient, ClusterError::fault);
        let is_news = self.errors.insert(fault.label());
        match (self.may_lead_for(), &error) {
            (Some(left), error) if !left.is_zero() => {
                if !matches!(error, Some(ClusterError::Conflict { .. })) && is_news {
                    tracing::warn!(lease = %self.lease, error = %words, "cannot renew the Lease; retrying");
                }
            }
            // Another replica was first, as the next attempt will show.
            (None, Some(ClusterError::Conflict { .. })) => {}
            _ => {
                self.renewed = None;
                self.announce(Leadership::Unknown { reason: Some(words) }, is_news);
            }
        }
    }

    /// Makes one attempt, and returns the leadership, with the moment at which the Lease of another leader expires.
    async fn attempt(&mut self, begun: Instant) -> Result<(Leadership, Option<Instant>), ClusterError> {
        let found = self.cluster.lease(&self.lease).await?;
        let exists = found.is_some();
        let now = Instant::now();
        let lease = match self.observer.observe(&self.lease, found, clock::now(), now) {
            LeaseAction::Wait { leader, expires_in } => {
                return Ok((Leadership::Follower { leader }, now.checked_add(expires_in)));
            }
            LeaseAction::Write(lease) => lease,
        };
        let written = if exists {
            self.cluster.write_lease(&self.lease, &lease).await?
        } else {
            self.cluster.create_lease(&self.lease, &lease).await?
        };
        self.observer.wrote(&written, begun);
        Ok((Leadership::Leader, None))
    }

    async fn release(&self) -> Result<(), ClusterError> {
        let found = self.cluster.lease(&self.lease).await?;
        match found.and_then(|lease| self.observer.release(lease, clock::now())) {
            Some(lease) => self.cluster.write_lease(&self.lease, &lease).await.map(drop),
            None => Ok(()),
        }
    }

    /// Announces the leadership. During an outage, an error is logged only if there is news.
    fn announce(&self, leadership: Leadership, is_news: bool) {
        let before = self.leadership.borrow().clone();
        if before == leadership {
            return;
        }
        match &leadership {
            Leadership::Leader => {
                tracing::info!(lease = %self.lease, identity = self.observer.identity(), "this replica leads");
            }
            Leadership::Follower { leader } => tracing::info!(lease = %self.lease, %leader, "another replica leads"),
            Leadership::Unknown { reason } => {
                let begins = !matches!(before, Leadership::Unknown { reason: Some(_) });
                if is_news || begins {
                    let reason = reason.as_deref().unwrap_or_default();
                    tracing::error!(lease = %self.lease, error = reason, "it is unknown which replica leads; nothing is pushed");
                }
            }
        }
        self.leadership.send_replace(leadership);
    }
}

/// Returns the time until the next attempt of a replica that may lead for `leads_for`, or follows a leader whose Lease
/// expires in `expires_in`, or knows of no leader. `random` is between 0 and 1.
fn pause(timing: &ElectionTiming, leads_for: Option<Duration>, expires_in: Option<Duration>, random: f64) -> Duration {
    let period = timing.retry_period;
    match (leads_for, expires_in) {
        // Not beyond the moment at which the leadership ends.
        (Some(left), _) => period.min(left),
        // A Lease expires some time after its last renewal was seen, so a renewal that is seen late delays the takeover. Not
        // beyond the moment at which it expires. Jitter keeps several replicas from trying at once.
        (None, Some(left)) => period.mul_f64(0.4 + 0.2 * random).min(left),
        // As in client-go. The API may be down, so there is no hurry.
        (None, None) => period.mul_f64(1.0 + 1.2 * random),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_looks_twice_per_period_and_exactly_when_the_lease_expires() {
        let timing = ElectionTiming::default();
        let seconds = Duration::from_secs_f64;
        for random in [0.0, 0.5, 1.0] {
            let look = pause(&timing, None, Some(seconds(15.0)), random);
            assert!(seconds(0.8) <= look && look <= seconds(1.2), "{look:?}");
            assert_eq!(pause(&timing, None, Some(seconds(0.3)), random), seconds(0.3));
            assert!(pause(&timing, None, None, random) >= timing.retry_period);
            assert_eq!(pause(&timing, Some(seconds(9.0)), None, random), timing.retry_period);
            assert_eq!(pause(&timing, Some(seconds(0.5)), None, random), seconds(0.5));
        }
    }
}
