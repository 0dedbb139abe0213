//! Tells drifts that last from those that end by themselves, as in the middle of a rollout.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::cycle::drift::compare::{Comparison, Drift, Place};

/// The drifts that were seen.
#[derive(Debug, Default)]
pub struct DriftTracker(BTreeMap<Place, Known>);

#[derive(Debug)]
struct Known {
    drift: Drift,
    /// When it was first seen as it is.
    since: Instant,
    has_settled: bool,
}

/// The changes since the look before.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// All drifts that have lasted long enough.
    pub drifts: Vec<Drift>,
    /// Those that have now.
    pub began: Vec<Drift>,
    /// Those that are over.
    pub ended: Vec<Drift>,
}

impl DriftTracker {
    /// Takes a comparison. A drift counts once it was the same in two looks at least `settle` apart, which covers a rollout
    /// and the time before the cluster has applied a commit. One that cannot be looked at stays as it is.
    pub fn update(
        &mut self,
        comparison: Comparison,
        unread: &BTreeSet<String>,
        settle: Duration,
        now: Instant,
    ) -> Progress {
        let Comparison { drifts, unknown } = comparison;
        let seen: BTreeSet<&Place> = drifts.iter().map(|drift| &drift.place).collect();
        let mut progress = Progress::default();
        self.0.retain(|place, known| {
            let stays = seen.contains(place) || unknown.contains(place) || unread.contains(&place.namespace);
            if !stays && known.has_settled {
                progress.ended.push(known.drift.clone());
            }
            stays
        });
        for drift in drifts {
            let new = || Known { drift: drift.clone(), since: now, has_settled: false };
            let known = self.0.entry(drift.place.clone()).or_insert_with(new);
            let is_same = (&known.drift.runs, &known.drift.says) == (&drift.runs, &drift.says);
            if !is_same && !known.has_settled {
                known.since = now;
            } else if !known.has_settled && now != known.since && now.saturating_duration_since(known.since) >= settle {
                known.has_settled = true;
                progress.began.push(drift.clone());
            }
            known.drift = drift;
        }
        progress.drifts = self.0.values().filter(|known| known.has_settled).map(|known| known.drift.clone()).collect();
        progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn drift(runs: &str, says: &str) -> Drift {
        let place = Place {
            namespace: "apps".to_owned(),
            workload: "Deployment shop".to_owned(),
            container: "app".to_owned(),
            image: "r.io/org/shop".parse().expect("an image"),
        };
        Drift { place, runs: runs.to_owned(), says: says.to_owned(), pods: 1 }
    }

    /// Looks once a minute; returns the minutes in which a drift began, and those in which it ended.
    fn looks(comparisons: Vec<(Comparison, bool)>) -> (Vec<usize>, Vec<usize>) {
        let (mut tracker, start) = (DriftTracker::default(), Instant::now());
        let (mut began, mut ended) = (Vec::new(), Vec::new());
        for (minute, (comparison, is_read)) in comparisons.into_iter().enumerate() {
            let unread = if is_read { BTreeSet::new() } else { BTreeSet::from(["apps".to_owned()]) };
            let at = start + MINUTE * u32::try_from(minute).expect("few");
            let progress = tracker.update(comparison, &unread, 5 * MINUTE, at);
            began.extend(progress.began.iter().map(|_| minute));
            ended.extend(progress.ended.iter().map(|_| minute));
        }
        (began, ended)
    }

    fn drifts(runs: &str, says: &str) -> (Comparison, bool) {
        (Comparison { drifts: vec![drift(runs, says)], unknown: BTreeSet::new() }, true)
    }

    fn none() -> (Comparison, bool) {
        (Comparison::default(), true)
    }

    #[test]
    fn a_drift_counts_once_it_has_lasted_and_is_over_once() {
        let lasting = vec![drifts("v9", "v1"); 8];
        assert_eq!(looks([lasting, vec![none(), none()]].concat()), (vec![5], vec![8]));
        assert_eq!(looks([vec![drifts("v1", "v2"); 5], vec![none()]].concat()), (vec![], vec![]), "a rollout");
    }

    #[test]
    fn a_commit_in_between_starts_the_time_again() {
        let moves = [vec![drifts("v1", "v2"); 4], vec![drifts("v1", "v3"); 5], vec![none()]].concat();
        assert_eq!(looks(moves), (vec![], vec![]));
        // What has been reported is not reported again in other words.
        let moves = [vec![drifts("v1", "v2"); 6], vec![drifts("v1", "v3"); 9], vec![none()]].concat();
        assert_eq!(looks(moves), (vec![5], vec![15]));
    }

    #[test]
    fn what_cannot_be_looked_at_neither_begins_nor_ends() {
        let unread = || (Comparison::default(), false);
        let unknown = || (Comparison { unknown: BTreeSet::from([drift("", "").place]), ..Comparison::default() }, true);
        let seen = [vec![drifts("v9", "v1"); 6], vec![unread(), unknown()], vec![drifts("v9", "v1"), none()]].concat();
        assert_eq!(looks(seen), (vec![5], vec![9]));
        assert_eq!(looks([vec![drifts("v9", "v1")], vec![unknown(); 9]].concat()), (vec![], vec![]));
    }

    #[test]
    fn one_look_is_not_enough_however_short_the_time() {
        let mut tracker = DriftTracker::default();
        let progress = tracker.update(drifts("v9", "v1").0, &BTreeSet::new(), Duration::ZERO, Instant::now());
        assert_eq!(progress, Progress::default());
    }
}
