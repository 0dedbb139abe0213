//! The state of every image, as the last cycles left it. This is all that the status page shows.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use crate::cycle::report::{Moved, Report};
use crate::fault::Explain;
use crate::image::Repository;
use crate::plan::skip::{Reason, Skipped};

use super::outcome::{Failure, Outcome};

/// As many moves are remembered.
const MOVES: usize = 50;

/// What is known of the images, and of the cycles that told it.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The last cycle that got to its end.
    pub done: Option<Done>,
    /// The last cycle, if it did not.
    pub failed: Option<Failed>,
    /// The images, by name.
    pub rows: Vec<Row>,
    /// What moved since the agent was started, the latest first.
    pub moves: VecDeque<Move>,
    /// What a person should know about the tree besides.
    pub notes: Vec<String>,
}

/// A cycle that got to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Its number.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The tip of the branch then.
    pub head: String,
}

/// Cycles that failed, one after the other up to now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The number of the last of them.
    pub number: u64,
    /// When it ended.
    pub at: Timestamp,
    /// How many there were in a row.
    pub in_a_row: u64,
    /// What failed.
    pub error: String,
    /// Why.
    pub cause: Option<String>,
    /// What to do.
    pub help: Option<String>,
}

/// One image, with one of the versions that fields hold of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The image.
    pub image: Repository,
    /// What its fields hold, if anything.
    pub current: Option<String>,
    /// Its fields: `file: path`.
    pub places: Vec<String>,
    /// How it stands.
    pub state: Reason,
    /// The tag that it would hold if nothing stood in the way.
    pub candidate: Option<String>,
    /// Why it is so.
    pub detail: String,
    /// What else is wrong about the image.
    pub remarks: Vec<String>,
    /// Since when it is so, as far as this agent has seen.
    pub since: Timestamp,
    /// The commit that brought what it holds, if this agent made it.
    pub commit: Option<String>,
}

/// A field that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// When.
    pub at: Timestamp,
    /// The image.
    pub image: Repository,
    /// What the field held, if anything.
    pub from: Option<String>,
    /// What it holds.
    pub to: String,
    /// The file.
    pub file: String,
    /// The commit.
    pub commit: String,
}

impl Status {
    /// Takes in how a cycle ended. After one that failed everything stands as it stood.
    pub fn learn(&mut self, outcome: &Outcome) {
        match &outcome.result {
            Ok(report) => {
                self.failed = None;
                self.done = Some(Done {
                    number: outcome.number,
                    at: outcome.ended,
                    seconds: outcome.took.as_secs_f64(),
                    head: report.head.clone(),
                });
                self.rows = rows(report, outcome.ended, &self.rows);
                self.notes.clone_from(&report.notes);
                if let Some(commit) = &report.commit {
                    let moves = report.updates.iter().map(|moved| Move::of(moved, outcome.ended, commit));
                    moves.for_each(|moved| self.moves.push_front(moved));
                    self.moves.truncate(MOVES);
                }
            }
            Err(Failure::Stopped) => {}
            Err(failure) => {
                let in_a_row = self.failed.as_ref().map_or(0, |failed| failed.in_a_row) + 1;
                self.failed = Some(Failed {
                    number: outcome.number,
                    at: outcome.ended,
                    in_a_row,
                    error: failure.to_string(),
                    cause: std::error::Error::source(failure).map(ToString::to_string),
                    help: failure.help(),
                });
            }
        }
    }
}

impl Move {
    fn of(moved: &Moved, at: Timestamp, commit: &str) -> Move {
        Move {
            at,
            image: moved.image.clone(),
            from: moved.from.clone(),
            to: moved.to.clone(),
            file: moved.file.clone(),
            commit: commit.to_owned(),
        }
    }
}

/// Fields of one image that hold the same.
#[derive(Default)]
struct Group<'r> {
    moved: Option<&'r Moved>,
    places: Vec<String>,
}

/// The rows that a report comes to. What is as it was keeps its time and its commit.
fn rows(report: &Report, now: Timestamp, before: &[Row]) -> Vec<Row> {
    let mut groups: BTreeMap<(&Repository, Option<String>), Group<'_>> = BTreeMap::new();
    for field in &report.governed {
        let moved = report.updates.iter().find(|moved| moved.file == field.file && moved.path == field.path);
        let held = (!field.version.is_empty()).then(|| field.version.to_string());
        let current = moved.map_or(held, |moved| Some(moved.to.clone()));
        let group = groups.entry((&field.image, current)).or_default();
        group.moved = group.moved.or(moved);
        group.places.push(format!("{}: {}", field.file, field.path));
    }
    groups.into_iter().map(|((image, current), group)| row(image, current, group, report, now, before)).collect()
}

fn row(
    image: &Repository,
    current: Option<String>,
    Group { moved, places }: Group<'_>,
    report: &Report,
    now: Timestamp,
    before: &[Row],
) -> Row {
    let said: Vec<&Skipped> = report.skipped.iter().filter(|skipped| skipped.image == *image).collect();
    let (state, candidate, detail) = standing(current.as_deref(), moved.is_some(), &said);
    let last = before.iter().find(|row| row.image == *image && row.current == current);
    let as_before = last.filter(|row| row.state == state && row.candidate == candidate && moved.is_none());
    let commit = match moved {
        Some(_) => report.commit.clone(),
        None => last.and_then(|row| row.commit.clone()),
    };
    let is_remark = |skipped: &&&Skipped| {
        skipped.reason == Reason::BlockedImage && state != Reason::BlockedImage && skipped.detail != detail
    };
    Row {
        image: image.clone(),
        remarks: said.iter().filter(is_remark).map(|skipped| skipped.detail.clone()).collect(),
        since: as_before.map_or(now, |row| row.since),
        current,
        places,
        state,
        candidate,
        detail,
        commit,
    }
}

/// How fields stand that hold `current`, by what was said of their image. A reason names the tag that stays, or the one
/// that was not written; so where fields of one image hold different tags, each finds its own.
fn standing(current: Option<&str>, has_moved: bool, said: &[&Skipped]) -> (Reason, Option<String>, String) {
    if has_moved {
        return (Reason::UpToDate, None, String::new());
    }
    let holds = |skipped: &&&Skipped| {
        let tag = skipped.tag.as_ref().map(ToString::to_string);
        tag.is_none() || tag.as_deref() == current.map(|current| current.split('@').next().unwrap_or(current))
    };
    let own: Vec<&&Skipped> = said.iter().filter(holds).collect();
    if let Some(same) = own.iter().find(|skipped| skipped.reason == Reason::UpToDate) {
        return (Reason::UpToDate, None, same.detail.clone());
    }
    if let Some(stays) = own.first() {
        return (stays.reason, None, stays.detail.clone());
    }
    let not_written = said.iter().find(|skipped| !matches!(skipped.reason, Reason::UpToDate | Reason::RegistryError));
    match not_written {
        Some(skipped) => (skipped.reason, skipped.tag.as_ref().map(ToString::to_string), skipped.detail.clone()),
        None => (Reason::NoCandidate, None, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::cycle::report::Governed;
    use crate::image::{Tag, Version};

    use super::*;

    fn governed(file: &str, image: &str, tag: &str) -> Governed {
        Governed {
            file: file.to_owned(),
            path: "image".to_owned(),
            image: image.parse().expect("an image"),
            version: Version::parse_tag(tag).expect("a tag"),
        }
    }

    fn skipped(image: &str, tag: &str, reason: Reason, detail: &str) -> Skipped {
        let tag: Tag = tag.parse().expect("a tag");
        Skipped { image: image.parse().expect("an image"), tag: Some(tag), reason, detail: detail.to_owned() }
    }

    fn report(governed: Vec<Governed>, skipped: Vec<Skipped>) -> Report {
        Report {
            head: "f00".to_owned(),
            commit: None,
            updates: Vec::new(),
            skipped,
            attempts: 0,
            duration_ms: 1,
            governed,
            changes: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn outcome(number: u64, second: i64, result: Result<Report, Failure>) -> Outcome {
        let ended = Timestamp::from_second(second).expect("a time");
        Outcome { number, ended, took: Duration::from_millis(500), result }
    }

    #[test]
    fn each_version_of_an_image_finds_its_own_reason() {
        let fields =
            vec![governed("production/a.yaml", "acme/app", "v1"), governed("staging/a.yaml", "acme/app", "v2")];
        let said = vec![
            skipped("acme/app", "v2", Reason::UpToDate, "the newest"),
            skipped("acme/app", "v2", Reason::BlockedSecret, "production/secret.yaml does not decrypt"),
            skipped("acme/app", "v0", Reason::BlockedImage, "v0 lacks a layer"),
        ];
        let mut status = Status::default();
        status.learn(&outcome(1, 100, Ok(report(fields, said))));
        let [production, staging] = &status.rows[..] else { panic!("{:?}", status.rows) };
        assert_eq!((production.current.as_deref(), production.state), (Some("v1"), Reason::BlockedSecret));
        assert_eq!(production.candidate.as_deref(), Some("v2"));
        assert_eq!((staging.current.as_deref(), staging.state), (Some("v2"), Reason::UpToDate));
        assert_eq!(staging.remarks, ["v0 lacks a layer"]);
        assert_eq!(staging.places, ["staging/a.yaml: image"]);
    }

    #[test]
    fn what_is_as_it_was_keeps_its_time_and_a_failure_changes_no_row() {
        let fields = || vec![governed("a.yaml", "acme/app", "v1")];
        let blocked = || vec![skipped("acme/app", "v2", Reason::BlockedImage, "no such manifest")];
        let mut status = Status::default();
        status.learn(&outcome(1, 100, Ok(report(fields(), blocked()))));
        status.learn(&outcome(2, 200, Err(Failure::Panicked)));
        status.learn(&outcome(3, 300, Err(Failure::Overdue { after: Duration::from_secs(9) })));
        let failed = status.failed.clone().expect("failed");
        assert_eq!((failed.number, failed.in_a_row), (3, 2));
        assert!(failed.help.expect("help").contains("agent.deadline"));
        status.learn(&outcome(4, 400, Ok(report(fields(), blocked()))));
        assert_eq!(status.failed, None);
        assert_eq!(status.rows[0].since.as_second(), 100);
        let mut moved = report(fields(), Vec::new());
        moved.commit = Some("c0ffee".to_owned());
        moved.updates = vec![Moved {
            file: "a.yaml".to_owned(),
            path: "image".to_owned(),
            image: "acme/app".parse().expect("an image"),
            from: Some("v1".to_owned()),
            to: "v2".to_owned(),
            digest: None,
            built: None,
        }];
        status.learn(&outcome(5, 500, Ok(moved)));
        let row = &status.rows[0];
        assert_eq!((row.current.as_deref(), row.state, row.since.as_second()), (Some("v2"), Reason::UpToDate, 500));
        assert_eq!(row.commit.as_deref(), Some("c0ffee"));
        let same = vec![skipped("acme/app", "v2", Reason::UpToDate, "the newest")];
        status.learn(&outcome(6, 600, Ok(report(vec![governed("a.yaml", "acme/app", "v2")], same))));
        assert_eq!((status.rows[0].since.as_second(), status.rows[0].commit.as_deref()), (500, Some("c0ffee")));
        assert_eq!(status.moves.len(), 1);
    }
}
