//! What the agent shows of itself: fed by the schedule, read by the server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::RwLock;

use crate::cluster::election::Leadership;
use crate::cluster::flux::{FluxEvent, FluxTask};
use crate::fault::Explain;
use crate::secret::SafeUrl;

use super::link::CommitLink;
use super::outcome::Outcome;
use super::setup::Setup;
use super::status::{Rollout, Row, Status};

/// A cycle past its deadline has this long to get to where it can end.
const STUCK: Duration = Duration::from_secs(120);

/// What the agent shows of itself. Whoever reads it shares a snapshot, which stays as it is while the next one is made.
#[derive(Debug)]
pub struct Board(RwLock<Arc<View>>);

/// What there is to see at one moment.
#[derive(Debug, Clone)]
pub struct View {
    /// When the agent was started.
    pub started: Timestamp,
    /// The repository and its branch, once there is a configuration.
    pub repository: Option<(SafeUrl, String)>,
    /// Where commits can be looked at.
    pub commit_link: Option<CommitLink>,
    /// Whether automation is suspended.
    pub is_suspended: bool,
    /// A configuration that was kept out since the one in use was taken up: when, and what is wrong with it.
    pub refused: Option<(Timestamp, String)>,
    /// Whether this replica leads.
    pub leadership: Leadership,
    /// Whether Flux is watched.
    pub is_watched: bool,
    /// What does not work about Flux.
    pub flux_troubles: BTreeMap<FluxTask, String>,
    /// The images.
    pub status: Status,
    /// Whether another replica led before.
    has_followed: bool,
    stuck_at: Option<Instant>,
    is_stopping: bool,
}

impl View {
    /// What became of an image in the cluster.
    pub fn rollouts_of(&self, row: &Row) -> &[Rollout] {
        self.status.rollouts.get(row.standing.image.as_str()).map_or(&[], Vec::as_slice)
    }
}

impl Default for Board {
    fn default() -> Self {
        Board(RwLock::new(Arc::new(View {
            started: Timestamp::now(),
            repository: None,
            commit_link: None,
            is_suspended: false,
            refused: None,
            leadership: Leadership::Leader,
            is_watched: false,
            flux_troubles: BTreeMap::new(),
            status: Status::default(),
            has_followed: false,
            stuck_at: None,
            is_stopping: false,
        })))
    }
}

impl Board {
    /// What there is to see now.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.0.read())
    }

    /// Whether the agent is alive, and if not why: a cycle is stuck, which only a restart ends.
    pub fn health(&self, now: Instant) -> Result<(), String> {
        let view = self.0.read();
        match view.stuck_at {
            Some(at) if at < now => Err("a cycle is stuck far past its deadline".to_owned()),
            _ => Ok(()),
        }
    }

    /// Whether the agent is at work, and if not why: it has a configuration and got to the end of a cycle, or another
    /// replica leads and this one is ready to take over.
    pub fn readiness(&self) -> Result<(), String> {
        let view = self.0.read();
        if view.is_stopping {
            return Err("the agent was told to stop".to_owned());
        }
        match &view.leadership {
            Leadership::Leader => {}
            Leadership::Follower { .. } => return Ok(()),
            Leadership::Unknown { reason: Some(why) } => {
                return Err(format!("it is not known which replica leads: {why}"));
            }
            Leadership::Unknown { reason: None } => return Err("it is not known yet which replica leads".to_owned()),
        }
        match (&view.status.done, &view.status.failed) {
            (Some(_), _) => Ok(()),
            // It was ready to take over, and is about to.
            (None, None) if view.has_followed => Ok(()),
            (None, Some(failed)) => Err(format!("no cycle got to its end yet: {}", failed.error)),
            (None, None) => Err("the first cycle is under way".to_owned()),
        }
    }

    pub(super) fn configured(&self, setup: &Setup) {
        self.change(|view| {
            view.repository = Some((setup.repository.clone(), setup.branch.to_string()));
            view.commit_link = setup.commit_link();
            view.is_suspended = setup.config.suspend;
            view.refused = None;
        });
    }

    pub(super) fn refused(&self, why: &dyn Explain) {
        self.change(|view| view.refused = Some((Timestamp::now(), why.to_string())));
    }

    pub(super) fn begun(&self, at: Instant, deadline: Duration) {
        self.change(|view| view.stuck_at = at.checked_add(deadline + STUCK));
    }

    pub(super) fn learn(&self, outcome: &Outcome) {
        self.change(|view| {
            view.stuck_at = None;
            view.status.learn(outcome);
        });
    }

    pub(super) fn stands(&self, leadership: &Leadership) {
        self.change(|view| {
            view.leadership.clone_from(leadership);
            view.has_followed |= matches!(leadership, Leadership::Follower { .. });
        });
    }

    pub(super) fn watched(&self, is_watched: bool) {
        self.change(|view| {
            view.is_watched = is_watched;
            view.flux_troubles.clear();
        });
    }

    pub(super) fn hear(&self, news: &FluxEvent, now: Timestamp) {
        self.change(|view| match news {
            FluxEvent::Rollout(word) => view.status.hear(word, now),
            FluxEvent::Failing(part, error) => {
                let help = error.help().map(|help| format!("; {help}")).unwrap_or_default();
                view.flux_troubles.insert(*part, format!("{error}{help}"));
            }
            FluxEvent::Recovered(part) => {
                view.flux_troubles.remove(part);
            }
        });
    }

    pub(super) fn stopping(&self) {
        self.change(|view| view.is_stopping = true);
    }

    fn change(&self, change: impl FnOnce(&mut View)) {
        let mut view = self.0.write();
        change(Arc::make_mut(&mut view));
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::outcome::Failure;

    use super::*;

    #[test]
    fn whoever_follows_is_ready_and_stays_so_while_it_takes_over() {
        let board = Board::default();
        assert!(board.readiness().is_err());
        let why = Some("the API is gone".to_owned());
        board.stands(&Leadership::Unknown { reason: why });
        assert!(board.readiness().expect_err("unknown").contains("the API is gone"));
        board.stands(&Leadership::Follower { leader: "other".to_owned() });
        assert_eq!(board.readiness(), Ok(()));
        board.stands(&Leadership::Leader);
        assert_eq!(board.readiness(), Ok(()));
        let result = Err(Failure::Panicked);
        board.learn(&Outcome { number: 1, ended: Timestamp::now(), took: Duration::ZERO, result });
        assert!(board.readiness().is_err());
    }

    #[test]
    fn a_cycle_that_is_stuck_is_no_health_and_one_that_ends_late_is() {
        let board = Board::default();
        let (now, deadline) = (Instant::now(), Duration::from_secs(60));
        board.begun(now, deadline);
        assert_eq!(board.health(now + deadline), Ok(()));
        assert!(board.health(now + deadline + STUCK * 2).is_err());
        let result = Err(Failure::Overdue { after: deadline });
        board.learn(&Outcome { number: 1, ended: Timestamp::now(), took: deadline, result });
        assert_eq!(board.health(now + deadline + STUCK * 2), Ok(()));
        assert!(board.readiness().expect_err("nothing was done yet").contains("given up after 60 s"));
    }
}
