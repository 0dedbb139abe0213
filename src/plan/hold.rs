//! Holds. A tag that tagalong set and someone replaced is not set again until a newer one appears, or until it is
//! resumed: `git revert`, a forge's revert button and a hand edit all work, because the history of the field counts and
//! not the wording of a message. People also hold and resume images by name, in trailers.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::image::{Repository, Version};

use super::commit_signature::CommitSignature;
use super::stage_order::{RefusedApproval, SignedBy};
use super::trailer::{Effect, Hold, Origin, RecordedMove, Target, Trailers, agree, refers_to};

/// A commit of the branch, as far as it matters for holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitRecord {
    /// The number of commits after it.
    pub ago: usize,
    /// Its ID.
    pub commit: String,
    /// The time of the commit.
    pub when: Timestamp,
    /// Its author.
    pub author: String,
    /// The first line of its message.
    pub subject: String,
    /// Its effect on files.
    pub effect: Effect,
    /// True if its message counts in full.
    pub is_trusted: bool,
    /// Its trailers, as far as they count.
    pub trailers: Trailers,
    /// Who signed it, if it gives orders about stages.
    pub signed_by: SignedBy,
    /// Its signature, if signatures matter and it was looked at.
    pub signature: Option<CommitSignature>,
    /// The approvals that it gives, and that do not count because of its signature.
    pub refused: Vec<RefusedApproval>,
}

impl CommitRecord {
    fn hold(&self, target: Target) -> Hold {
        Hold {
            target,
            since: self.when,
            by: self.trailers.actor.clone().unwrap_or_else(|| self.author.clone()),
            why: self.trailers.reason.clone().unwrap_or_else(|| self.subject.clone()),
            origin: Origin::Commit(self.commit.clone()),
        }
    }

    /// Returns the hold by its author, whatever else it says about who and why.
    fn hold_by_author(&self, target: Target) -> Hold {
        let plain = CommitRecord { trailers: Trailers::default(), ..self.clone() };
        plain.hold(target)
    }

    /// Returns whether it records that it moved a field of an image to a version.
    pub fn sets(&self, image: &Repository, version: &Version) -> bool {
        self.records(image, |recorded| refers_to(version, &recorded.to))
    }

    fn records(&self, image: &Repository, wanted: impl Fn(&RecordedMove) -> bool) -> bool {
        self.trailers.moves.iter().any(|recorded| recorded.image == *image && wanted(recorded))
    }
}

/// A change of a field by a commit, or a recorded one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The commit.
    pub record: Arc<CommitRecord>,
    /// The file of the field after it, relative to the root.
    pub file: String,
    /// The path of the field.
    pub path: String,
    /// The version before, or `None` if the field did not exist.
    pub from: Option<Version>,
    /// The version after, or `None` if the field was removed.
    pub to: Option<Version>,
}

impl Change {
    /// Returns whether the commit changes no file and records that it set this very field to a version: commits that set
    /// it and took it back were squashed.
    fn squashes(&self, image: &Repository, version: &Version) -> bool {
        let is_here = |recorded: &RecordedMove| recorded.file == self.file && recorded.path == self.path;
        self.record.effect == Effect::Nothing
            && self.record.records(image, |recorded| is_here(recorded) && refers_to(version, &recorded.to))
    }

    /// Returns whether the commit records what it did. Files and paths may have changed since, so only the image counts.
    /// A squashed commit may have several records that lead from the one version to the other.
    fn is_recorded(&self, image: &Repository) -> bool {
        let none = Version::default();
        let from = self.from.as_ref().unwrap_or(&none);
        let leads_from = self.record.records(image, |recorded| agree(&recorded.from, from));
        let leads_to = |to: &Version| self.record.records(image, |recorded| agree(&recorded.to, to));
        // Without its parent, only what it left is known.
        (leads_from || self.record.effect == Effect::Unknown)
            && self.from != self.to
            && self.to.as_ref().is_some_and(leads_to)
    }

    /// Returns the hold that it causes. Who asked for it and why counts only if the message says what the commit did.
    fn hold(&self, target: Target) -> Hold {
        if self.record.effect == Effect::Nothing || self.is_recorded(&target.image) {
            self.record.hold(target)
        } else {
            self.record.hold_by_author(target)
        }
    }
}

/// The holds by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedHolds(Vec<Hold>);

impl NamedHolds {
    /// Applies commits, given newest first and without what was taken back among them, to the holds before them.
    pub fn after(before: &[Hold], records: &[Arc<CommitRecord>]) -> NamedHolds {
        let mut holds = before.to_vec();
        for record in records.iter().rev() {
            if let Some(reverted) = &record.trailers.reverts {
                holds.retain(|hold| hold.origin.commit().is_none_or(|commit| !commit.starts_with(reverted)));
            }
            for resumed in &record.trailers.resumes {
                holds.retain(|hold| !resumed.covers(&hold.target));
            }
            for target in &record.trailers.holds {
                if !holds.iter().any(|hold| hold.target == *target) {
                    holds.push(record.hold(target.clone()));
                }
            }
        }
        NamedHolds(holds)
    }

    /// Returns all of them, oldest first.
    pub fn all(&self) -> &[Hold] {
        &self.0
    }

    /// Returns the hold on a version of an image, if there is one.
    pub fn on(&self, image: &Repository, version: &Version) -> Option<&Hold> {
        let concerns = |hold: &&Hold| {
            hold.target.image == *image && (hold.target.version.is_empty() || refers_to(&hold.target.version, version))
        };
        self.0.iter().find(concerns)
    }
}

/// Returns the hold that the history of a field puts on a version. `changes` are those of the field, `records` are the
/// commits with trailers about holds, both newest first.
pub fn by_history(
    changes: &[Change],
    records: &[Arc<CommitRecord>],
    image: &Repository,
    meant: &Version,
) -> Option<Hold> {
    let holds = |version: &Option<Version>| version.as_ref().is_some_and(|version| refers_to(meant, version));
    let squashed = |change: &Change| !holds(&change.to) && change.squashes(image, meant);
    let left = changes.iter().position(|change| holds(&change.from) != holds(&change.to) || squashed(change))?;
    let departure = &changes[left];
    if holds(&departure.to) {
        // It was restored.
        return None;
    }
    let record = &departure.record;
    let moved_on_by_us =
        record.is_trusted && departure.is_recorded(image) && !record.trailers.rollbacks.contains(image);
    let set_by_us = |change: &Change| squashed(change) || holds(&change.to) && change.is_recorded(image);
    if moved_on_by_us || !changes[left..].iter().any(set_by_us) {
        return None;
    }
    let resumed = records.iter().take_while(|resume| resume.ago < record.ago).any(|resume| {
        let target = Target { image: image.clone(), version: meant.clone() };
        resume.trailers.resumes.iter().any(|resumed| resumed.covers(&target))
    });
    (!resumed).then(|| departure.hold(Target { image: image.clone(), version: meant.clone() }))
}

/// Returns the versions of an image that tagalong set and never replaced itself, each with the last time: they are
/// still deployed, or someone replaced them. `records` are given newest first; `confirms` returns whether the commit at an
/// index did what it records.
pub fn never_left<E>(
    records: &[Arc<CommitRecord>],
    image: &Repository,
    confirms: impl Fn(usize, &RecordedMove) -> Result<bool, E>,
) -> Result<Vec<(Version, Timestamp)>, E> {
    let mut left = HashSet::new();
    let mut stayed: Vec<(Version, Timestamp)> = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let mut moves = Vec::new();
        for recorded in record.trailers.moves.iter().filter(|recorded| recorded.image == *image) {
            if record.effect != Effect::Files || confirms(index, recorded)? {
                moves.push(recorded);
            }
        }
        for RecordedMove { file, path, to, .. } in &moves {
            if !left.contains(&(file, path, to)) && stayed.iter().all(|(version, _)| version != to) {
                stayed.push((to.clone(), record.when));
            }
        }
        let moved_on = record.is_trusted && record.effect != Effect::Nothing;
        if moved_on && !record.trailers.rollbacks.contains(image) {
            left.extend(moves.iter().map(|RecordedMove { file, path, from, .. }| (file, path, from)));
        }
    }
    Ok(stayed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Repository {
        "acme/app".parse().expect("a name")
    }

    fn tag(text: &str) -> Version {
        Version::parse_tag(text).expect("a tag")
    }

    fn record(ago: usize, message: &str) -> Arc<CommitRecord> {
        Arc::new(CommitRecord {
            ago,
            commit: format!("{ago:040x}"),
            when: Timestamp::from_second(1_000_000 - ago as i64).expect("a time"),
            author: "Ada".to_owned(),
            subject: message.lines().next().unwrap_or_default().to_owned(),
            effect: Effect::Files,
            is_trusted: true,
            trailers: Trailers::read(message),
            signed_by: SignedBy::default(),
            signature: None,
            refused: Vec::new(),
        })
    }

    /// A commit with this message that changes no file.
    fn order(ago: usize, message: &str) -> Arc<CommitRecord> {
        let mut order = record(ago, message);
        Arc::make_mut(&mut order).effect = Effect::Nothing;
        order
    }

    fn changed(record: Arc<CommitRecord>, from: Option<Version>, to: Option<Version>) -> Change {
        Change { record, file: "a.yaml".to_owned(), path: "image".to_owned(), from, to }
    }

    /// A history from the oldest to the newest: `from to` by tagalong, or with `!` by a person.
    fn history(steps: &[&str]) -> Vec<Change> {
        let version = |text: &str| (text != "-").then(|| tag(text));
        let change = |(ago, step): (usize, &&str)| {
            let (from, to) = step.trim_end_matches(['!', '<']).split_once(' ').expect("two tags");
            let message = match step.chars().last() {
                Some('!') => "Revert \"deploy: app\"".to_owned(),
                end => {
                    let rollback = if end == Some('<') {
                        format!("Tagalong-Rollback: acme/app {from} -> {to}\n")
                    } else {
                        String::new()
                    };
                    format!("deploy: app\n\nTagalong-Update: a.yaml image acme/app {from} -> {to}\n{rollback}")
                        .replace(" - ->", " (none) ->")
                }
            };
            changed(record(ago, &message), version(from), version(to))
        };
        let mut changes: Vec<Change> = steps.iter().rev().enumerate().map(change).collect();
        changes.sort_by_key(|change| change.record.ago);
        changes
    }

    fn is_held(steps: &[&str], candidate: &str) -> bool {
        by_history(&history(steps), &[], &image(), &tag(candidate)).is_some()
    }

    #[test]
    fn a_version_that_someone_replaced_is_held() {
        assert!(is_held(&["v1 v2", "v2 v1!"], "v2"), "a revert");
        assert!(is_held(&["v1 v2", "v2 v0!"], "v2"), "a hand edit");
        assert!(is_held(&["v1 v2", "v2 v1<"], "v2"), "a rollback by name");
        assert!(is_held(&["v1 v2", "v2 v1!", "v1 v2!", "v2 v1!"], "v2"), "reverted, restored, reverted");
        assert!(is_held(&["v1 v2", "v2 v3", "v3 v2!", "v2 v1!"], "v2"), "two steps back");
        assert!(is_held(&["v1 v2", "v2 -!"], "v2"), "removed");
    }

    #[test]
    fn other_versions_are_not_held() {
        assert!(!is_held(&["v1 v2", "v2 v1!"], "v3"), "a newer one");
        assert!(!is_held(&["v1 v2"], "v3"), "never seen");
        assert!(!is_held(&["v1 v2", "v2 v3"], "v2"), "tagalong replaced it");
        assert!(!is_held(&["v1 v2!", "v2 v1!"], "v2"), "set by a person");
        assert!(!is_held(&["v1 v2", "v2 v1!", "v1 v2!"], "v2"), "restored");
    }

    #[test]
    fn versions_that_were_never_replaced_are_found() {
        let never_left = |steps: &[&str]| -> Vec<String> {
            let records: Vec<_> = history(steps).into_iter().map(|change| change.record).collect();
            let confirmed = never_left(&records, &image(), |_, _| Ok::<_, ()>(true)).expect("no error");
            confirmed.into_iter().map(|(version, _)| version.to_string()).collect()
        };
        assert_eq!(never_left(&["v1 v2", "v2 v3"]), ["v3"]);
        assert_eq!(never_left(&["v1 v2", "v2 v1!"]), ["v2"]);
        assert_eq!(never_left(&["v1 v2", "v2 v1!", "v1 v3"]), ["v3", "v2"]);
        assert_eq!(never_left(&["v1 v2", "v2 v3", "v3 v2<"]), ["v2", "v3"]);
        assert_eq!(never_left(&["v1 v2!"]), [""; 0]);
    }

    #[test]
    fn resuming_counts_from_then_on() {
        let mut changes = history(&["v1 v2", "v2 v1!"]);
        changes.iter_mut().for_each(|change| Arc::make_mut(&mut change.record).ago += 10);
        let resume = |ago: usize, what: &str| record(ago, &format!("resume\n\nTagalong-Resume: {what}\n"));
        let held = |records: &[Arc<CommitRecord>]| by_history(&changes, records, &image(), &tag("v2")).is_some();
        assert!(!held(&[resume(1, "acme/app")]));
        assert!(!held(&[resume(1, "acme/app:v2")]));
        assert!(held(&[resume(1, "acme/app:v3")]));
        assert!(held(&[resume(1, "acme/other")]));
        assert!(held(&[resume(20, "acme/app")]), "resumed before it was replaced");
    }

    #[test]
    fn people_hold_images_and_tags_by_name() {
        let records = |lines: &[&str]| -> Vec<Arc<CommitRecord>> {
            let record = |(ago, line): (usize, &&str)| {
                record(ago, &format!("x\n\n{line}\nTagalong-Actor: Bob\nTagalong-Reason: freeze\n"))
            };
            lines.iter().rev().enumerate().map(record).collect()
        };
        let held = |lines: &[&str], candidate: &str| {
            NamedHolds::after(&[], &records(lines)).on(&image(), &tag(candidate)).cloned()
        };
        let all = held(&["Tagalong-Hold: acme/app"], "v2").expect("held");
        assert_eq!((all.target.version.is_empty(), all.by.as_str(), all.why.as_str()), (true, "Bob", "freeze"));
        assert!(held(&["Tagalong-Hold: acme/app:v2"], "v2").is_some());
        assert!(held(&["Tagalong-Hold: acme/app:v2"], "v3").is_none());
        assert!(held(&["Tagalong-Hold: acme/app:v2", "Tagalong-Resume: acme/app"], "v2").is_none());
        assert!(held(&["Tagalong-Hold: acme/app", "Tagalong-Resume: acme/app:v2"], "v2").is_some());
        assert!(held(&["Tagalong-Resume: acme/app", "Tagalong-Hold: acme/app"], "v2").is_some());
        assert!(held(&["Tagalong-Hold: acme/other"], "v2").is_none());
    }

    #[test]
    fn holds_survive_a_round_trip_through_trailers() {
        let hold = |target: &str| Hold {
            target: Target::read(target).expect("a target"),
            since: Timestamp::from_second(1_000_000).expect("a time"),
            by: "Ada Lovelace".to_owned(),
            why: "change freeze: 24.12.".to_owned(),
            origin: Origin::Commit("1a2b3c4".to_owned()),
        };
        for target in ["acme/app", "acme/app:v1", &format!("acme/app:v1@sha256:{}", "0".repeat(64))] {
            let read = Trailers::read(&format!("x\n\nTagalong-Held: {}\n", hold(target).trailer()));
            assert_eq!(read.held, [hold(target)]);
            let later = [record(1, "x\n\nTagalong-Resume: acme/other\n")];
            let version = Target::read(target).expect("a target").version;
            assert!(NamedHolds::after(&read.held, &later).on(&image(), &version).is_some(), "{target}");
            let later = [record(1, "x\n\nTagalong-Resume: acme/app\n")];
            assert_eq!(NamedHolds::after(&read.held, &later), NamedHolds::default(), "{target}");
        }
    }

    #[test]
    fn squashed_commits_are_recognized_by_their_records() {
        let squashed = |message: &str| {
            let change = changed(order(3, message), Some(tag("v1")), Some(tag("v1")));
            by_history(&[change], &[], &image(), &tag("v2")).is_some()
        };
        let set = "Tagalong-Update: a.yaml image acme/app v1 -> v2\n";
        assert!(squashed(&format!("squashed\n\n{set}\nThis reverts commit 1.\n")));
        assert!(!squashed(&set.replace("v2", "v3")));
        assert!(!squashed(&set.replace("a.yaml", "b.yaml")), "another field, which was moved");
        // In a commit that changes files, the tree would have to show it.
        let change = changed(record(3, set), Some(tag("v1")), Some(tag("v1")));
        assert!(by_history(&[change], &[], &image(), &tag("v2")).is_none());
    }

    #[test]
    fn records_that_contradict_the_change_do_not_count() {
        let update = |from: &str, to: &str| format!("x\n\nTagalong-Update: a.yaml image acme/app {from} -> {to}\n");
        let held = |first: &str, second: &str, is_trusted: bool| {
            let mut set = changed(record(2, first), Some(tag("v1")), Some(tag("v2")));
            let mut back = changed(record(1, second), Some(tag("v2")), Some(tag("v1")));
            for change in [&mut set, &mut back] {
                Arc::make_mut(&mut change.record).is_trusted = is_trusted;
            }
            by_history(&[back, set], &[], &image(), &tag("v2"))
        };
        let revert = "Revert\n\nTagalong-Actor: the boss\nTagalong-Reason: calm\n";
        let hold = held(&update("v1", "v2"), revert, true).expect("held");
        assert_eq!((hold.by.as_str(), hold.why.as_str()), ("Ada", "Revert"), "nothing else vouches for the actor");
        assert!(held(&update("v1", "v2"), &update("v1", "v2"), true).is_some(), "a revert that repeats the message");
        assert!(held(&update("v0", "v2"), revert, true).is_none(), "it did something else");
        assert!(held(&update("v1", "v3"), revert, true).is_none(), "it set something else");
        let chain = format!("{}Tagalong-Update: a.yaml image acme/app v3 -> v2\n", update("v1", "v3"));
        assert!(held(&chain, revert, true).is_some(), "two commits squashed into one");
        // A record in a commit that is not trusted holds and does not release.
        assert!(held(&update("v1", "v2"), &update("v2", "v1"), true).is_none());
        assert!(held(&update("v1", "v2"), &update("v2", "v1"), false).is_some());
    }

    #[test]
    fn what_counts_depends_on_what_a_commit_did() {
        let all = Trailers::read(
            "x\n\nTagalong-Update: a.yaml image acme/app v1 -> v2\nTagalong-Hold: acme/app\nTagalong-Resume: acme/b\n\
             Tagalong-Actor: Bob\nTagalong-Base: 1234567\n",
        );
        let counting = |effect, is_trusted| {
            let Trailers { moves, holds, resumes, actor, base, .. } = all.clone().counting(effect, is_trusted);
            [moves.len(), holds.len(), resumes.len(), usize::from(actor.is_some()), usize::from(base.is_some())]
        };
        assert_eq!(counting(Effect::Nothing, true), [1, 1, 1, 1, 1]);
        assert_eq!(counting(Effect::Files, true), [1, 0, 0, 1, 1]);
        assert_eq!(counting(Effect::Unknown, true), [1, 1, 0, 1, 1]);
        assert_eq!(counting(Effect::Nothing, false), [0; 5]);
        assert_eq!(counting(Effect::Files, false), [1, 0, 0, 0, 0]);
        for lone in ["Tagalong-Base: 1234567\n", "Tagalong-Base: 1234567\nTagalong-Actor: Bob\n"] {
            let lone = Trailers::read(&format!("x\n\n{lone}"));
            assert!(lone.clone().counting(Effect::Files, true).is_empty());
            assert_eq!(lone.counting(Effect::Nothing, true).base, None);
        }
    }

    #[test]
    fn a_moving_tag_is_held_by_its_digest() {
        let (old, new) = (format!("v1@sha256:{}", "0".repeat(64)), format!("v1@sha256:{}", "1".repeat(64)));
        let changes = history(&[&format!("{old} {new}"), &format!("{new} {old}!")]);
        assert!(by_history(&changes, &[], &image(), &tag(&new)).is_some());
        assert!(by_history(&changes, &[], &image(), &tag(&old)).is_none());
    }
}
