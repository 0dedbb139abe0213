//! Orders that were taken back by reverting their commits, as the button of a forge does.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::hold::CommitRecord;

/// Removes holds and resumptions from commits that later ones reverted, as if they had never been made. A revert that was
/// itself reverted undoes nothing. `records` are given newest first.
pub fn take_back(records: &mut [Arc<CommitRecord>]) {
    if records.iter().all(|record| record.trailers.reverts.is_none()) {
        return;
    }
    let places: BTreeMap<String, usize> =
        records.iter().enumerate().map(|(place, record)| (record.commit.clone(), place)).collect();
    let mut undone = HashSet::new();
    for (place, record) in records.iter_mut().enumerate() {
        if undone.contains(&place) {
            let trailers = &mut Arc::make_mut(record).trailers;
            (trailers.holds, trailers.resumes, trailers.reverts) = Default::default();
        } else if let Some(reverted) = &record.trailers.reverts {
            let named = places.range(reverted.clone()..).next().filter(|(commit, _)| commit.starts_with(reverted));
            undone.extend(named.map(|(_, named)| *named).filter(|named| *named > place));
        }
    }
}

/// The commits that reverts named and that have not been read yet.
#[derive(Debug, Default)]
pub struct Awaited(HashSet<String>);

impl Awaited {
    /// Takes note of a commit that was read.
    pub fn read(&mut self, record: &CommitRecord) {
        if !self.0.is_empty() {
            // IDs may be abbreviated.
            for length in 1..=record.commit.len() {
                self.0.remove(record.commit.get(..length).unwrap_or_default());
            }
        }
        self.0.extend(record.trailers.reverts.clone());
    }

    /// Returns whether all of them are among these, so that nothing older has to be read.
    pub fn are_among<'c>(&self, commits: impl Iterator<Item = &'c str> + Clone) -> bool {
        self.0.iter().all(|id| commits.clone().any(|commit| commit.starts_with(id)))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::hold::NamedHolds;
    use super::super::stage_order::SignedBy;
    use super::super::trailer::{Effect, Trailers};
    use super::*;

    /// Commits from the oldest to the newest, each with its ID and its message, that change no file.
    fn records(messages: &[(&str, &str)]) -> Vec<Arc<CommitRecord>> {
        let record = |(ago, (commit, message)): (usize, &(&str, &str))| {
            Arc::new(CommitRecord {
                ago,
                commit: (*commit).to_owned(),
                when: Timestamp::UNIX_EPOCH,
                author: "Ada".to_owned(),
                subject: String::new(),
                effect: Effect::Nothing,
                is_trusted: true,
                trailers: Trailers::read(message).counting(Effect::Nothing, true),
                signed_by: SignedBy::default(),
                signature: None,
                refused: Vec::new(),
            })
        };
        let mut records: Vec<_> = messages.iter().rev().enumerate().map(record).collect();
        take_back(&mut records);
        records
    }

    const HOLD: &str = "hold: app\n\nTagalong-Hold: acme/app\nTagalong-Base: 0000000\n";
    const RESUME: &str = "resume: app\n\nTagalong-Resume: acme/app\n";

    /// The message of Gitea's button.
    fn revert(id: &str, message: &str) -> String {
        format!("revert {id}\n\nrevert {message}")
    }

    #[test]
    fn a_reverted_order_was_never_given() {
        let held = |messages: &[(&str, &str)]| NamedHolds::after(&[], &records(messages)).all().len();
        let (hold, back) = (("aaaaaaa", HOLD), revert("aaaaaaa", HOLD));
        let (resume, resumed_back) = (("bbbbbbb", RESUME), revert("bbbbbbb", RESUME));
        assert_eq!(held(&[hold]), 1);
        assert_eq!(held(&[hold, ("ccccccc", &back)]), 0, "the repeated trailers hold nothing");
        assert_eq!(held(&[hold, resume]), 0);
        assert_eq!(held(&[hold, resume, ("ccccccc", &resumed_back)]), 1);
        let again = revert("ccccccc", &back);
        assert_eq!(held(&[hold, ("ccccccc", &back), ("ddddddd", &again)]), 1, "the revert was reverted");
        let third = revert("ddddddd", &again);
        assert_eq!(held(&[hold, ("ccccccc", &back), ("ddddddd", &again), ("eeeeeee", &third)]), 0);
        assert_eq!(held(&[hold, ("ccccccc", &revert("fffffff", HOLD))]), 1, "no such commit");
        assert_eq!(held(&[("ccccccc", &back), hold]), 1, "not before it was made");
    }

    #[test]
    fn a_revert_of_a_listed_hold_lifts_it() {
        let before = NamedHolds::after(&[], &records(&[("aaaaaaa", HOLD)]));
        let later = records(&[("ccccccc", &revert("aaaaaaa", HOLD))]);
        assert_eq!(NamedHolds::after(before.all(), &later).all().len(), 0);
        let mut awaited = Awaited::default();
        later.iter().for_each(|record| awaited.read(record));
        let origins = || before.all().iter().filter_map(|hold| hold.origin.commit());
        assert!(awaited.are_among(origins()) && !awaited.are_among(std::iter::empty()));
        records(&[("aaaaaaa0000", HOLD)]).iter().for_each(|record| awaited.read(record));
        assert!(awaited.are_among(std::iter::empty()), "it was read");
    }

    #[test]
    fn only_commits_without_changes_revert_orders() {
        let message = revert("aaaaaaa", HOLD);
        let counting = |effect, is_trusted| Trailers::read(&message).counting(effect, is_trusted);
        assert!(counting(Effect::Nothing, true).reverts.is_some());
        for (effect, is_trusted) in [(Effect::Nothing, false), (Effect::Files, true), (Effect::Unknown, true)] {
            assert!(counting(effect, is_trusted).is_empty(), "{effect:?} {is_trusted}");
        }
    }
}
