//! The status of every image as of the last cycles.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::cluster::rollout::{Product, RolloutEvent, RolloutOutcome as Became};
use crate::cycle::report::{Moved, Report};
use crate::cycle::status::{ImageStatus, State};
use crate::fault::Explain;
use crate::image::Repository;

use super::board::StageBoard;
use super::listing::Listing;
use super::outcome::{Failure, Outcome};
use super::row::Row;

/// The maximum number of moves that are remembered.
const MAX_MOVES: usize = 50;
/// The maximum number of notes that are remembered.
const MAX_NOTES: usize = 50;

/// The status of the images and of the last cycles. Clones share everything that grows with the number of images.
#[derive(Debug, Clone, Default)]
pub struct AgentStatus {
    /// The last cycle that finished.
    pub done: Option<Done>,
    /// The last cycle, if it failed.
    pub failed: Option<Failed>,
    /// The images.
    pub images: Arc<Listing>,
    /// The fields that moved since the agent started, latest first.
    pub moves: VecDeque<Move>,
    /// The stages.
    pub stages: Arc<StageBoard>,
    /// Notes on the tree.
    pub notes: Notes,
    /// The rollouts of the last moves in the cluster, by image.
    pub rollouts: Arc<BTreeMap<String, Vec<Rollout>>>,
}

/// The first notes on the tree, and the number of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// The first notes.
    pub first: Vec<String>,
    /// The number of other notes.
    pub more: usize,
}

/// The rollout of an image by one Kustomization or Application.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// `applied`, `failed`, `overdue`, `suspended` or `unclaimed`.
    pub outcome: &'static str,
    /// The reason, if it was not applied.
    pub detail: Option<String>,
    /// The Kustomization, if there is one.
    pub kustomization: Option<String>,
    /// The Application of Argo CD, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// The commit that moved the image.
    pub commit: String,
    /// The version that it moved to.
    pub to: String,
    /// The time at which this was observed.
    pub at: Timestamp,
    /// The time since the push, in seconds.
    pub seconds: f64,
}

/// A cycle that finished.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Its number.
    pub number: u64,
    /// The time at which it finished.
    pub at: Timestamp,
    /// Its duration, in seconds.
    pub seconds: f64,
    /// The tip of the branch at that time.
    pub head: String,
}

/// Consecutive failed cycles, up to the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The number of the last cycle.
    pub number: u64,
    /// The time at which it ended.
    pub at: Timestamp,
    /// The number of consecutive failures.
    pub consecutive: u64,
    /// The error.
    pub error: String,
    /// Its cause.
    pub cause: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
}

/// A field that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The time of the cycle.
    pub at: Timestamp,
    /// The image.
    pub image: Repository,
    /// The previous version, if any.
    pub from: Option<String>,
    /// The new version.
    pub to: String,
    /// The file.
    pub file: String,
    /// The commit.
    pub commit: String,
}

impl AgentStatus {
    /// Records the outcome of a cycle. A failed cycle leaves the images as they were.
    pub fn cycle_ended(&mut self, outcome: &Outcome) {
        match &outcome.result {
            Ok(report) => {
                self.failed = None;
                self.done = Some(Done {
                    number: outcome.number,
                    at: outcome.ended,
                    seconds: outcome.took.as_secs_f64(),
                    head: report.head.map(|id| id.to_string()).unwrap_or_default(),
                });
                self.images = Arc::new(Listing::new(rows(report, outcome.ended, &self.images)));
                self.stages = Arc::new(StageBoard::new(report.stages.clone()));
                self.forget_rollouts();
                self.notes = Notes::of(&report.notes);
                self.moved(report, outcome.ended);
            }
            Err(Failure::Stopped | Failure::Deposed) => {}
            Err(failure) => {
                let consecutive = self.failed.as_ref().map_or(0, |failed| failed.consecutive) + 1;
                self.failed = Some(Failed {
                    number: outcome.number,
                    at: outcome.ended,
                    consecutive,
                    error: failure.to_string(),
                    cause: std::error::Error::source(failure).map(ToString::to_string),
                    help: failure.help(),
                });
            }
        }
    }

    /// Adds the moves of a commit.
    pub fn moved(&mut self, report: &Report, at: Timestamp) {
        let Some(commit) = report.deployed() else { return };
        let moves = report.updates.iter().map(|moved| Move::of(moved, at, &commit.to_string()));
        moves.for_each(|moved| self.moves.push_front(moved));
        self.moves.truncate(MAX_MOVES);
        // Rollouts of the previous move do not apply to this one.
        let rollouts = Arc::make_mut(&mut self.rollouts);
        report.updates.iter().for_each(|moved| drop(rollouts.remove(moved.image.as_str())));
    }

    /// Drops the rollouts of images that are gone.
    fn forget_rollouts(&mut self) {
        let names: HashSet<&str> = self.images.rows().iter().map(|row| row.status.image.as_str()).collect();
        if self.rollouts.keys().any(|image| !names.contains(image.as_str())) {
            Arc::make_mut(&mut self.rollouts).retain(|image, _| names.contains(image.as_str()));
        }
    }

    /// Records the rollout of a commit.
    pub fn rollout_event(&mut self, event: &RolloutEvent, now: Timestamp) {
        let detail = match &event.outcome {
            Became::Applied { .. } => None,
            Became::Failed { reason, message } => Some(format!("{reason}: {message}")),
            Became::Overdue { state } | Became::Suspended { state } | Became::Unclaimed { state } => {
                Some(state.clone())
            }
            Became::Superseded => return,
        };
        let by = |product| event.deployer.as_ref().filter(|one| one.product == product).map(ToString::to_string);
        let (kustomization, application) = (by(Product::Flux), by(Product::ArgoCd));
        let rollouts = Arc::make_mut(&mut self.rollouts);
        for change in &event.changes {
            let of_image = rollouts.entry(change.image.clone()).or_default();
            of_image.retain(|before| (&before.kustomization, &before.application) != (&kustomization, &application));
            of_image.push(Rollout {
                outcome: event.outcome.label(),
                detail: detail.clone(),
                kustomization: kustomization.clone(),
                application: application.clone(),
                commit: event.commit.clone(),
                to: change.to.clone(),
                at: now,
                seconds: event.took.as_secs_f64(),
            });
        }
    }
}

impl Notes {
    fn of(all: &[String]) -> Notes {
        Notes { first: all.iter().take(MAX_NOTES).cloned().collect(), more: all.len().saturating_sub(MAX_NOTES) }
    }
}

impl Move {
    fn of(moved: &Moved, at: Timestamp, commit: &str) -> Move {
        Move {
            at,
            image: moved.image.clone(),
            from: (!moved.from.is_empty()).then(|| moved.from.to_string()),
            to: moved.to.to_string(),
            file: moved.file.clone(),
            commit: commit.to_owned(),
        }
    }
}

/// Builds the rows of a report. Unchanged images keep their time and commit.
fn rows(report: &Report, now: Timestamp, before: &Listing) -> Vec<Row> {
    let commit = report.deployed().map(|id| id.to_string());
    let moves: Moves =
        report.updates.iter().filter(|_| commit.is_some()).map(|moved| ((&*moved.file, &*moved.path), moved)).collect();
    let row = |status: &ImageStatus| {
        let mut status = status.clone();
        let has_moved = apply_moves(&mut status, &moves);
        let last = before.row(&status.image);
        let same = last.filter(|row| row.status.current == status.current && !has_moved);
        let is_unchanged = |row: &&Row| (row.status.state, &row.status.candidate) == (status.state, &status.candidate);
        Row {
            since: same.filter(is_unchanged).map_or(now, |row| row.since),
            commit: if has_moved { commit.clone() } else { same.and_then(|row| row.commit.clone()) },
            status,
        }
    };
    report.images.iter().map(row).collect()
}

/// The fields that moved, by file and path.
type Moves<'r> = HashMap<(&'r str, &'r str), &'r Moved>;

/// Sets the fields that moved to their new versions; returns whether there are any.
fn apply_moves(status: &mut ImageStatus, moves: &Moves) -> bool {
    let mut has_moved = false;
    for place in &mut status.current {
        let moved = moves.get(&(&*place.file, &*place.path));
        let Some(Moved { to, .. }) = moved else { continue };
        (place.tag, place.digest, has_moved) = (to.tag.clone(), to.digest.clone(), true);
    }
    if has_moved && status.state == State::Updating {
        (status.state, status.candidate) = (State::UpToDate, None);
    }
    has_moved
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::cycle::status::FieldVersion;
    use crate::image::{Tag, Version};

    use crate::plan::skip::Reason;

    use super::*;

    const COMMIT: &str = "c0ffee0c0ffee0c0ffee0c0ffee0c0ffee0c0ffe";

    fn tag(text: &str) -> Option<Tag> {
        Some(text.parse().expect("a tag"))
    }

    /// An image with two fields.
    fn image_status(tags: [&str; 2], state: State, candidate: Option<&str>) -> ImageStatus {
        let place = |(file, text): (&str, &str)| FieldVersion {
            file: file.to_owned(),
            path: "image".to_owned(),
            tag: tag(text),
            digest: None,
            stage: None,
            line: 1,
        };
        ImageStatus {
            image: "acme/app".parse().expect("an image"),
            policy: "acme/*".to_owned(),
            state,
            candidate: candidate.and_then(tag),
            current: ["a.yaml", "b.yaml"].into_iter().zip(tags).map(place).collect(),
            reasons: Vec::new(),
            holds: Vec::new(),
            source: None,
        }
    }

    fn report(images: Vec<ImageStatus>, moved: &[(&str, &str)]) -> Report {
        let update = |(file, to): &(&str, &str)| Moved {
            file: (*file).to_owned(),
            path: "image".to_owned(),
            image: "acme/app".parse().expect("an image"),
            from: Version::parse_tag("v1").expect("a tag"),
            to: Version::parse_tag(to).expect("a tag"),
            digest: None,
            built: None,
        };
        Report {
            commit: (!moved.is_empty()).then(|| COMMIT.parse().expect("an id")),
            updates: moved.iter().map(update).collect(),
            duration_ms: 1,
            images,
            ..Report::default()
        }
    }

    fn outcome(number: u64, second: i64, result: Result<Report, Failure>) -> Outcome {
        let ended = Timestamp::from_second(second).expect("a time");
        Outcome { number, ended, took: Duration::from_millis(500), result }
    }

    #[test]
    fn moved_fields_have_their_new_versions() {
        let mut status = AgentStatus::default();
        let images = || vec![image_status(["v1", "v1"], State::Updating, Some("v2"))];
        status.cycle_ended(&outcome(1, 100, Ok(report(images(), &[("a.yaml", "v2"), ("b.yaml", "v2")]))));
        let row = &status.images.rows()[0];
        assert_eq!((row.status.state, &row.status.candidate), (State::UpToDate, &None));
        assert!(row.status.current.iter().all(|place| place.tag == tag("v2")));
        assert_eq!((row.commit.as_deref(), row.since.as_second()), (Some(COMMIT), 100));
        assert_eq!(status.moves.len(), 2);
        // The next cycle finds it there.
        let found = image_status(["v2", "v2"], State::UpToDate, None);
        status.cycle_ended(&outcome(2, 200, Ok(report(vec![found], &[]))));
        assert_eq!(
            (status.images.rows()[0].commit.as_deref(), status.images.rows()[0].since.as_second()),
            (Some(COMMIT), 100)
        );
        // Somebody else has moved it since.
        let found = image_status(["v3", "v2"], State::UpToDate, None);
        status.cycle_ended(&outcome(3, 300, Ok(report(vec![found], &[]))));
        assert_eq!((status.images.rows()[0].commit.as_deref(), status.images.rows()[0].since.as_second()), (None, 300));
    }

    #[test]
    fn what_is_unchanged_keeps_its_time_and_a_failure_changes_no_row() {
        let blocked = || vec![image_status(["v1", "v1"], State::Kept(Reason::BlockedImage), Some("v2"))];
        let mut status = AgentStatus::default();
        status.cycle_ended(&outcome(1, 100, Ok(report(blocked(), &[]))));
        status.cycle_ended(&outcome(2, 200, Err(Failure::Panicked)));
        status.cycle_ended(&outcome(3, 300, Err(Failure::Overdue { after: Duration::from_secs(9) })));
        let failed = status.failed.clone().expect("failed");
        assert_eq!((failed.number, failed.consecutive), (3, 2));
        assert!(failed.help.expect("help").contains("agent.deadline"));
        status.cycle_ended(&outcome(4, 400, Ok(report(blocked(), &[]))));
        assert_eq!((status.failed.as_ref(), status.images.rows()[0].since.as_second()), (None, 100));
        let next = vec![image_status(["v1", "v1"], State::Kept(Reason::BlockedImage), Some("v3"))];
        status.cycle_ended(&outcome(5, 500, Ok(report(next, &[]))));
        assert_eq!(status.images.rows()[0].since.as_second(), 500);
    }
    #[test]
    fn what_grows_with_the_images_is_shared_and_bounded() {
        let mut status = AgentStatus::default();
        let images = |name: &str| {
            let image = name.parse().expect("an image");
            vec![ImageStatus { image, ..image_status(["v1", "v1"], State::UpToDate, None) }]
        };
        let notes: Vec<String> = (0..4362).map(|note| format!("{note}.yaml is not valid")).collect();
        status.cycle_ended(&outcome(1, 100, Ok(Report { notes, ..report(images("acme/app"), &[]) })));
        assert_eq!((status.notes.first.len(), status.notes.more), (MAX_NOTES, 4312));
        let rollout = Rollout {
            outcome: "applied",
            detail: None,
            kustomization: None,
            application: None,
            commit: "f00".to_owned(),
            to: "v1".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            seconds: 1.0,
        };
        let name = status.images.rows()[0].status.image.to_string();
        Arc::make_mut(&mut status.rollouts).insert(name, vec![rollout]);
        let shown = status.clone();
        assert!(Arc::ptr_eq(&shown.images, &status.images) && Arc::ptr_eq(&shown.rollouts, &status.rollouts));
        // The image is gone with its rollouts, but readers of the older snapshot still see both.
        status.cycle_ended(&outcome(2, 200, Ok(report(images("acme/other"), &[]))));
        assert!(status.rollouts.is_empty() && shown.rollouts.len() == 1);
        assert_eq!(status.images.rows()[0].since.as_second(), 200);
    }
}
