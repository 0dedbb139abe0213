//! The state that the agent shows: updated by the schedule, read by the server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::RwLock;

use crate::clock;
use crate::cluster::election::Leadership;
use crate::cluster::rollout::Product;
use crate::cluster::watch::{WatchEvent, WatchTask};
use crate::cycle::move_log::MoveLog;
use crate::fault::Explain;
use crate::secret::SafeUrl;

use super::deployed_checks::result::CheckResult;
use super::deployed_checks::status::CheckStatus;
use super::link::CommitLink;
use super::outcome::Outcome;
use super::row::Row;
use super::runtime::Runtime;
use super::status::{AgentStatus, Rollout};

/// The time past its deadline after which a cycle counts as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// The current snapshot. Readers share it, and it never changes; each change makes a new one.
#[derive(Debug)]
pub struct SnapshotStore(RwLock<Arc<Snapshot>>);

/// The state of the agent at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The time at which the agent started.
    pub started: Timestamp,
    /// The repository and its branch, once there is a configuration.
    pub repository: Option<(SafeUrl, String)>,
    /// The address of commits at the forge.
    pub commit_link: Option<CommitLink>,
    /// Whether automation is suspended.
    pub is_suspended: bool,
    /// The configuration that was rejected since the current one was loaded: the time, and the errors.
    pub rejected_config: Option<(Timestamp, String)>,
    /// Whether this replica leads.
    pub leadership: Leadership,
    /// The products that are watched.
    pub watched: BTreeSet<Product>,
    /// The current problems with them.
    pub watch_troubles: BTreeMap<WatchTask, String>,
    /// The status of the images, and of the last cycles.
    pub status: AgentStatus,
    /// The moves of all fields, once the history of the branch was read.
    pub history: Option<Arc<MoveLog>>,
    /// The results of the last checks of what is deployed.
    pub checks: CheckStatus,
    /// Whether another replica has led before.
    has_followed: bool,
    stuck_at: Option<Instant>,
    is_stopping: bool,
}

impl Snapshot {
    /// Returns the rollouts of an image in the cluster.
    pub fn rollouts_of(&self, row: &Row) -> &[Rollout] {
        self.status.rollouts.get(row.status.image.as_str()).map_or(&[], Vec::as_slice)
    }
}

impl Default for SnapshotStore {
    fn default() -> Self {
        SnapshotStore(RwLock::new(Arc::new(Snapshot {
            started: clock::now(),
            repository: None,
            commit_link: None,
            is_suspended: false,
            rejected_config: None,
            leadership: Leadership::Leader,
            watched: BTreeSet::new(),
            watch_troubles: BTreeMap::new(),
            status: AgentStatus::default(),
            history: None,
            checks: CheckStatus::default(),
            has_followed: false,
            stuck_at: None,
            is_stopping: false,
        })))
    }
}

impl SnapshotStore {
    /// Returns the current snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.read())
    }

    /// Whether the agent is alive, or the reason why not: a cycle is stuck, which only a restart ends.
    pub fn health(&self, now: Instant) -> Result<(), String> {
        let snapshot = self.0.read();
        match snapshot.stuck_at {
            Some(at) if at < now => Err("a cycle is stuck long past its deadline".to_owned()),
            _ => Ok(()),
        }
    }

    /// Whether the agent is ready, or the reason why not: it has finished a cycle, or another replica leads and this one
    /// can take over.
    pub fn readiness(&self) -> Result<(), String> {
        let snapshot = self.0.read();
        if snapshot.is_stopping {
            return Err("the agent is stopping".to_owned());
        }
        match &snapshot.leadership {
            Leadership::Leader => {}
            Leadership::Follower { .. } => return Ok(()),
            Leadership::Unknown { reason: Some(why) } => {
                return Err(format!("the leader is unknown: {why}"));
            }
            Leadership::Unknown { reason: None } => return Err("the leader is not known yet".to_owned()),
        }
        match (&snapshot.status.done, &snapshot.status.failed) {
            (Some(_), _) => Ok(()),
            // It was ready to take over, and is doing so.
            (None, None) if snapshot.has_followed => Ok(()),
            (None, Some(failed)) => Err(format!("no cycle has finished yet: {}", failed.error)),
            (None, None) => Err("the first cycle is still running".to_owned()),
        }
    }

    pub(super) fn configured(&self, runtime: &Runtime) {
        let repository = Some((runtime.repository.clone(), runtime.branch.to_string()));
        self.change(|snapshot| {
            if snapshot.repository != repository {
                snapshot.history = None;
            }
            snapshot.repository = repository;
            snapshot.commit_link = runtime.commit_link();
            snapshot.is_suspended = runtime.config.suspend;
            snapshot.rejected_config = None;
            snapshot.checks.configured(runtime);
        });
    }

    pub(super) fn config_rejected(&self, why: &dyn Explain) {
        self.change(|snapshot| snapshot.rejected_config = Some((clock::now(), why.to_string())));
    }

    pub(super) fn cycle_started(&self, at: Instant, deadline: Duration) {
        self.change(|snapshot| snapshot.stuck_at = at.checked_add(deadline + STUCK_AFTER));
    }

    pub(super) fn rollback_ended(&self, outcome: &Outcome) {
        self.change(|snapshot| {
            snapshot.stuck_at = None;
            outcome.result.iter().for_each(|report| snapshot.status.moved(report, outcome.ended));
        });
    }

    pub(super) fn cycle_ended(&self, outcome: &Outcome) {
        self.change(|snapshot| {
            snapshot.stuck_at = None;
            snapshot.status.cycle_ended(outcome);
        });
    }

    pub(super) fn leadership_changed(&self, leadership: &Leadership) {
        self.change(|snapshot| {
            snapshot.leadership.clone_from(leadership);
            snapshot.has_followed |= matches!(leadership, Leadership::Follower { .. });
            if *leadership != Leadership::Leader {
                // Only the leader makes them.
                snapshot.checks = CheckStatus::default();
            }
        });
    }

    pub(super) fn watched(&self, products: &BTreeSet<Product>) {
        self.change(|snapshot| {
            snapshot.watched.clone_from(products);
            snapshot.watch_troubles.clear();
        });
    }

    pub(super) fn rollout_event(&self, event: &WatchEvent, now: Timestamp) {
        self.change(|snapshot| match event {
            WatchEvent::Rollout(event) => snapshot.status.rollout_event(event, now),
            // What is still known is shown; the log has the rest.
            WatchEvent::Limited(_) => {}
            WatchEvent::Failing(task, error) => {
                let help = error.help().map(|help| format!("; {help}")).unwrap_or_default();
                snapshot.watch_troubles.insert(*task, format!("{error}{help}"));
            }
            WatchEvent::Recovered(task) => {
                snapshot.watch_troubles.remove(task);
            }
        });
    }

    pub(super) fn history_read(&self, log: Arc<MoveLog>) {
        self.change(|snapshot| snapshot.history = Some(log));
    }

    pub(super) fn checked(&self, result: &CheckResult) {
        self.change(|snapshot| snapshot.checks.checked(result));
    }

    pub(super) fn stopping(&self) {
        self.change(|snapshot| snapshot.is_stopping = true);
    }

    fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = self.0.write();
        change(Arc::make_mut(&mut snapshot));
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::outcome::Failure;

    use super::*;

    #[test]
    fn a_follower_is_ready_and_stays_ready_while_it_takes_over() {
        let store = SnapshotStore::default();
        assert!(store.readiness().is_err());
        let why = Some("the API is gone".to_owned());
        store.leadership_changed(&Leadership::Unknown { reason: why });
        assert!(store.readiness().expect_err("unknown").contains("the API is gone"));
        store.leadership_changed(&Leadership::Follower { leader: "other".to_owned() });
        assert_eq!(store.readiness(), Ok(()));
        store.leadership_changed(&Leadership::Leader);
        assert_eq!(store.readiness(), Ok(()));
        let result = Err(Failure::Panicked);
        store.cycle_ended(&Outcome { number: 1, ended: Timestamp::now(), took: Duration::ZERO, result });
        assert!(store.readiness().is_err());
    }

    #[test]
    fn a_stuck_cycle_is_unhealthy_until_it_ends() {
        let store = SnapshotStore::default();
        let (now, deadline) = (Instant::now(), Duration::from_secs(60));
        store.cycle_started(now, deadline);
        assert_eq!(store.health(now + deadline), Ok(()));
        assert!(store.health(now + deadline + STUCK_AFTER * 2).is_err());
        let result = Err(Failure::Overdue { after: deadline });
        store.cycle_ended(&Outcome { number: 1, ended: Timestamp::now(), took: deadline, result });
        assert_eq!(store.health(now + deadline + STUCK_AFTER * 2), Ok(()));
        assert!(store.readiness().expect_err("nothing was done yet").contains("aborted after 60 s"));
    }
}
