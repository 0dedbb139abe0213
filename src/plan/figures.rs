//! How often versions are deployed, how long that takes, how many of them are taken back and how fast: the four figures of
//! DORA (<https://dora.dev/guides/dora-metrics-four-keys/>), from the history of the branch alone.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::Serialize;

use crate::image::Repository;
use crate::stage::name::Name;

use super::history_entry::{HistoryEntry, MoveAct};

/// The number of weeks that figures are computed for by default, the current one among them.
pub const WEEKS: i64 = 12;

/// A version of an image that a commit brought, in one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// When it arrived on the branch.
    pub at: Timestamp,
    /// The commit.
    pub commit: String,
    /// The image.
    pub image: Repository,
    /// The stage.
    pub stage: Option<Name>,
    /// The version.
    pub to: String,
    /// When the image was built, if the commit records it.
    pub built: Option<Timestamp>,
    /// When a version from before was put back in its place.
    pub taken_back: Option<Timestamp>,
}

/// The figures of a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// The beginning of the time.
    pub since: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// The number of deployments.
    pub deployments: usize,
    /// The number of deployments a week.
    pub deployments_per_week: f64,
    /// The time from the build of an image until the commit that deployed it.
    pub lead_time: Durations,
    /// The number of deployments that were taken back.
    pub taken_back: usize,
    /// Their share, or null without deployments.
    pub change_failure_rate: Option<f64>,
    /// The time from a deployment until it was taken back.
    pub time_to_restore: Durations,
    /// The weeks, oldest first.
    pub weeks: Vec<Week>,
}

/// How long something took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Durations {
    /// The median in seconds.
    pub median_seconds: Option<i64>,
    /// The time within which nine of ten were done, in seconds.
    pub p90_seconds: Option<i64>,
    /// The number of those whose duration is known.
    pub known: usize,
    /// The number of those whose duration is not recorded.
    pub unknown: usize,
}

/// The figures of a week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Week {
    /// Its Monday, in UTC.
    pub week: Date,
    /// The number of deployments.
    pub deployments: usize,
    /// The number of them that were taken back, whenever that was.
    pub taken_back: usize,
    /// The median of the time from build to commit, in seconds.
    pub lead_time_seconds: Option<i64>,
}

/// What is known of a field.
#[derive(Default)]
struct Known<'e> {
    /// The versions that it held.
    held: HashSet<&'e str>,
    /// The index of the deployment of the version that it holds.
    current: Option<usize>,
}

/// Returns the deployments among moves, both newest first. A move back to a version that the field held before is none: it
/// takes back the deployment of the version that it replaces.
pub fn deployments<E: Borrow<HistoryEntry>>(entries: &[E]) -> Vec<Deployment> {
    let mut found: Vec<Deployment> = Vec::new();
    let mut fields: HashMap<(&str, &str, &Repository), Known> = HashMap::new();
    for entry in entries.iter().rev().map(Borrow::borrow) {
        let Known { held, current } = fields.entry((&entry.file, &entry.path, &entry.image)).or_default();
        let (Some(from), Some(to)) = (entry.from.as_deref(), entry.to.as_deref()) else {
            held.extend(entry.to.as_deref());
            *current = None;
            continue;
        };
        held.insert(from);
        let goes_back = match entry.act {
            MoveAct::Rollback => true,
            MoveAct::Deploy | MoveAct::Promote => false,
            MoveAct::Set | MoveAct::BreakGlass | MoveAct::Forced | MoveAct::ByHand => held.contains(to),
        };
        held.insert(to);
        if goes_back {
            if let Some(left) = current.take() {
                found[left].taken_back.get_or_insert(entry.at);
            }
            continue;
        }
        let is_same = |last: &&Deployment| last.image == entry.image && last.stage == entry.stage && last.to == to;
        // The moves of a commit stand together.
        let of_commit = found.iter().enumerate().rev().take_while(|(_, last)| last.commit == entry.commit);
        let known = of_commit.filter(|(_, last)| is_same(last)).map(|(index, _)| index).next();
        *current = Some(known.unwrap_or(found.len()));
        if known.is_none() {
            found.push(Deployment {
                at: entry.at,
                commit: entry.commit.clone(),
                image: entry.image.clone(),
                stage: entry.stage.clone(),
                to: to.to_owned(),
                built: entry.built,
                taken_back: None,
            });
        }
    }
    found.reverse();
    found
}

impl Deployment {
    /// Returns the time from the build of the image until the commit.
    pub fn lead_time(&self) -> Option<SignedDuration> {
        // Clocks may differ.
        Some(self.at.duration_since(self.built?).max(SignedDuration::ZERO))
    }
}

impl Figures {
    /// Computes the figures of deployments in a time.
    pub fn of<'d>(deployments: impl Iterator<Item = &'d Deployment>, since: Timestamp, until: Timestamp) -> Figures {
        let all: Vec<&Deployment> = deployments.filter(|deployment| (since..=until).contains(&deployment.at)).collect();
        let restored = |deployment: &&Deployment| Some(deployment.taken_back?.duration_since(deployment.at));
        let times: Vec<SignedDuration> = all.iter().filter_map(restored).collect();
        let leads: Vec<Option<SignedDuration>> = all.iter().map(|deployment| deployment.lead_time()).collect();
        let weeks = until.duration_since(since).as_secs_f64() / SignedDuration::from_hours(24 * 7).as_secs_f64();
        Figures {
            since,
            until,
            deployments: all.len(),
            deployments_per_week: if weeks > 0.0 { all.len() as f64 / weeks } else { 0.0 },
            lead_time: Durations::of(leads.iter().copied()),
            taken_back: times.len(),
            change_failure_rate: (!all.is_empty()).then(|| times.len() as f64 / all.len() as f64),
            time_to_restore: Durations::of(times.iter().copied().map(Some)),
            weeks: by_week(&all, since, until),
        }
    }
}

impl Durations {
    fn of(all: impl Iterator<Item = Option<SignedDuration>>) -> Durations {
        let all: Vec<Option<SignedDuration>> = all.collect();
        let mut known: Vec<i64> = all.iter().flatten().map(SignedDuration::as_secs).collect();
        known.sort_unstable();
        // The nearest rank: the smallest value that so many of a hundred do not exceed.
        let rank = |percent: usize| known.get((known.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Durations {
            median_seconds: rank(50),
            p90_seconds: rank(90),
            known: known.len(),
            unknown: all.len() - known.len(),
        }
    }
}

/// Returns the Monday of the week in which a time is, in UTC.
pub fn monday(at: Timestamp) -> Date {
    let date = at.to_zoned(TimeZone::UTC).date();
    let days = i64::from(date.weekday().to_monday_zero_offset());
    date.checked_sub(days.days()).unwrap_or(date)
}

/// Returns the beginning of the time that ends now and has this many weeks, the current one among them.
pub fn weeks_before(now: Timestamp, weeks: i64) -> Timestamp {
    let first = monday(now).checked_sub((weeks - 1).weeks());
    let start = first.ok().and_then(|first| first.to_zoned(TimeZone::UTC).ok());
    start.map_or(Timestamp::UNIX_EPOCH, |start| start.timestamp())
}

/// The number of weeks that are listed at most, the latest ones.
const MOST_WEEKS: i64 = 520;

fn by_week(all: &[&Deployment], since: Timestamp, until: Timestamp) -> Vec<Week> {
    let mut weeks: HashMap<Date, Vec<&Deployment>> = HashMap::new();
    all.iter().for_each(|deployment| weeks.entry(monday(deployment.at)).or_default().push(deployment));
    let earliest = monday(until).checked_sub((MOST_WEEKS - 1).weeks()).unwrap_or(Date::MIN);
    let first = monday(since).max(earliest);
    let days = std::iter::successors(Some(first), |week| week.checked_add(1.weeks()).ok());
    let week = |week: Date| {
        let of_week = weeks.get(&week).map_or(&[][..], Vec::as_slice);
        Week {
            week,
            deployments: of_week.len(),
            taken_back: of_week.iter().filter(|deployment| deployment.taken_back.is_some()).count(),
            lead_time_seconds: Durations::of(of_week.iter().map(|deployment| deployment.lead_time())).median_seconds,
        }
    };
    days.take_while(|week| *week <= monday(until)).map(week).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::plan::history_entry::ActorProof;

    use super::*;

    fn at(minute: i64) -> Timestamp {
        // A Monday.
        "2026-11-02T00:00:00Z".parse::<Timestamp>().expect("a time") + SignedDuration::from_mins(minute)
    }

    fn moved(minute: i64, field: &str, from: &str, to: &str, act: MoveAct) -> HistoryEntry {
        HistoryEntry {
            at: at(minute),
            commit: format!("{minute:040}"),
            stage: None,
            file: field.to_owned(),
            path: "image".to_owned(),
            image: "acme/app".parse().expect("an image"),
            from: Some(from.to_owned()),
            to: Some(to.to_owned()),
            digest: None,
            built: (act == MoveAct::Deploy).then(|| at(minute - 10)),
            actor: "ada".to_owned(),
            actor_proof: ActorProof::Claimed,
            signature: None,
            act,
            reason: None,
            evidence: Vec::new(),
        }
    }

    /// The versions that moves deploy, oldest first, with the minutes after which they were taken back.
    fn found(mut moves: Vec<HistoryEntry>) -> Vec<(String, Option<i64>)> {
        moves.reverse();
        let mut found = deployments(&moves);
        found.reverse();
        let minutes = |one: &Deployment| Some(one.taken_back?.duration_since(one.at).as_mins());
        found.iter().map(|one| (one.to.clone(), minutes(one))).collect()
    }

    fn is(expected: &[(&str, Option<i64>)]) -> Vec<(String, Option<i64>)> {
        expected.iter().map(|(to, back)| ((*to).to_owned(), *back)).collect()
    }

    #[test]
    fn versions_that_return_take_back_what_they_replace() {
        use MoveAct::{ByHand, Deploy, Rollback, Set};
        // A rollback, a revert by hand, and a field that is set to what it held.
        let (to_b, to_c) = (moved(0, "a", "A", "B", Deploy), moved(60, "a", "B", "C", Deploy));
        let both = |last: HistoryEntry| found(vec![to_b.clone(), to_c.clone(), last]);
        for act in [Rollback, ByHand, Set] {
            assert_eq!(both(moved(90, "a", "C", "B", act)), is(&[("B", None), ("C", Some(30))]), "{act}");
        }
        // Forward again, by hand or by policy, even to the version that was taken back.
        assert_eq!(both(moved(90, "a", "C", "D", ByHand)), is(&[("B", None), ("C", None), ("D", None)]));
        let back = moved(90, "a", "C", "B", Rollback);
        let again = found(vec![to_b.clone(), to_c.clone(), back, moved(95, "a", "B", "C", Deploy)]);
        assert_eq!(again, is(&[("B", None), ("C", Some(30)), ("C", None)]));
        // What was there before the first known move is a return as well, and no deployment is known that it takes back.
        assert_eq!(found(vec![to_b, moved(1, "a", "B", "A", ByHand)]), is(&[("B", Some(1))]));
        assert_eq!(found(vec![moved(1, "a", "B", "A", Rollback)]), is(&[]));
    }

    #[test]
    fn fields_of_one_commit_are_one_deployment_and_new_fields_are_none() {
        use MoveAct::{ByHand, Deploy, Rollback};
        let new = HistoryEntry { from: None, ..moved(0, "a", "", "A", ByHand) };
        let gone = HistoryEntry { to: None, ..moved(9, "a", "B", "", ByHand) };
        let both = [moved(5, "a", "A", "B", Deploy), moved(5, "b", "A", "B", Deploy)];
        assert_eq!(found([vec![new.clone()], both.to_vec(), vec![gone]].concat()), is(&[("B", None)]));
        // One of its fields that is taken back is enough.
        let one = moved(8, "b", "B", "A", Rollback);
        assert_eq!(found([both.to_vec(), vec![one]].concat()), is(&[("B", Some(3))]));
        // A field that appears with a version held it from then on.
        let back = moved(7, "a", "B", "A", ByHand);
        assert_eq!(found(vec![new, moved(5, "a", "A", "B", Deploy), back]), is(&[("B", Some(2))]));
    }

    #[test]
    fn figures_count_what_is_in_the_time() {
        use MoveAct::{ByHand, Deploy};
        let day = 24 * 60;
        let moves = [
            moved(0, "a", "A", "B", Deploy),
            moved(day, "a", "B", "C", Deploy),
            moved(day + 30, "a", "C", "B", ByHand),
            moved(8 * day, "a", "B", "D", Deploy),
            moved(9 * day, "b", "A", "D", ByHand),
        ];
        let mut newest_first = moves.to_vec();
        newest_first.reverse();
        let all = deployments(&newest_first);
        let figures = Figures::of(all.iter(), at(0), at(14 * day));
        assert_eq!((figures.deployments, figures.deployments_per_week), (4, 2.0));
        assert_eq!((figures.taken_back, figures.change_failure_rate), (1, Some(0.25)));
        let lead = Durations { median_seconds: Some(600), p90_seconds: Some(600), known: 3, unknown: 1 };
        assert_eq!(figures.lead_time, lead);
        assert_eq!((figures.time_to_restore.median_seconds, figures.time_to_restore.known), (Some(1800), 1));
        let weeks: Vec<(String, usize, usize)> =
            figures.weeks.iter().map(|week| (week.week.to_string(), week.deployments, week.taken_back)).collect();
        let week = |date: &str, count, back| (date.to_owned(), count, back);
        assert_eq!(weeks, [week("2026-11-02", 2, 1), week("2026-11-09", 2, 0), week("2026-11-16", 0, 0)]);
        // What was deployed before counts for nothing, but what it was taken back to does.
        let later = Figures::of(all.iter(), at(7 * day), at(14 * day));
        assert_eq!((later.deployments, later.taken_back, later.weeks.len()), (2, 0, 2));
        let none = Figures::of([].iter(), at(0), at(0));
        assert_eq!((none.change_failure_rate, none.deployments_per_week, none.weeks.len()), (None, 0.0, 1));
    }

    #[test]
    fn weeks_begin_on_monday() {
        let date = |text: &str| monday(text.parse().expect("a time")).to_string();
        assert_eq!(date("2026-11-27T02:00:00Z"), "2026-11-23");
        assert_eq!(date("2026-11-22T23:59:59Z"), "2026-11-16");
        let now = "2026-11-27T02:00:00Z".parse().expect("a time");
        assert_eq!(weeks_before(now, WEEKS).to_string(), "2026-09-07T00:00:00Z");
    }

    proptest! {
        /// Whatever moves, each deployment is a move, each week has its share, and what is taken back was deployed before.
        #[test]
        fn deployments_are_moves_and_weeks_add_up(steps in proptest::collection::vec((0_i64..9000, 0_usize..3, 0_usize..4, 0_usize..4), 0..60)) {
            use MoveAct::{ByHand, Deploy, Promote, Rollback};
            let mut held = ["0".to_owned(), "0".to_owned(), "0".to_owned()];
            let (mut minute, mut moves) = (0, Vec::new());
            for (wait, field, to, act) in steps {
                minute += wait;
                let (from, to) = (held[field].clone(), to.to_string());
                if from == to { continue; }
                held[field].clone_from(&to);
                moves.push(moved(minute, &field.to_string(), &from, &to, [Deploy, Promote, Rollback, ByHand][act]));
            }
            moves.reverse();
            let all = deployments(&moves);
            prop_assert!(all.len() <= moves.len());
            let forward = moves.iter().filter(|entry| matches!(entry.act, Deploy | Promote));
            let commits: HashSet<(&str, &str)> = forward.map(|entry| (entry.commit.as_str(), entry.to.as_deref().unwrap_or_default())).collect();
            prop_assert!(all.len() >= commits.len());
            prop_assert!(all.iter().all(|one| one.taken_back.is_none_or(|back| back >= one.at)));
            let figures = Figures::of(all.iter(), at(0), at(minute));
            prop_assert_eq!(figures.weeks.iter().map(|week| week.deployments).sum::<usize>(), figures.deployments);
            prop_assert_eq!(figures.weeks.iter().map(|week| week.taken_back).sum::<usize>(), figures.taken_back);
        }
    }
}
