//! Commits that wait to be applied. Nothing is asked here and no clock is read: what Flux says goes in, what there is to
//! tell comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::config::ObjectRef;
use super::kustomization::{Kustomization, Progress};

/// A commit that was pushed.
#[derive(Debug, Clone)]
pub struct PushedCommit {
    /// The commit.
    pub commit: String,
    /// When that was.
    pub at: Instant,
    /// What it moved.
    pub changes: Vec<ImageChange>,
}

/// An image that moved in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageChange {
    /// The image.
    pub image: String,
    /// What the file holds now.
    pub to: String,
    /// The file.
    pub file: String,
    /// When the image was built, where that is known.
    pub built: Option<Timestamp>,
}

/// What became of a commit, or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutEvent {
    /// The commit.
    pub commit: String,
    /// Which Kustomization it is about; none, where there is none.
    pub kustomization: Option<ObjectRef>,
    /// The images that it is about.
    pub changes: Vec<ImageChange>,
    /// What became of them.
    pub outcome: RolloutOutcome,
    /// How long that took since the push.
    pub took: Duration,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutOutcome {
    /// It was applied.
    Applied {
        /// The revision that holds it.
        revision: String,
    },
    /// It was tried, and failed. Flux goes on trying.
    Failed {
        /// Why, in a word.
        reason: String,
        /// Why, in Flux's own words.
        message: String,
    },
    /// It was not applied in time.
    Overdue {
        /// How it stands instead.
        stands: String,
    },
    /// A newer commit moved the same images before it was applied.
    Superseded,
}

impl RolloutOutcome {
    /// A short lowercase name for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            RolloutOutcome::Applied { .. } => "applied",
            RolloutOutcome::Failed { .. } => "failed",
            RolloutOutcome::Overdue { .. } => "overdue",
            RolloutOutcome::Superseded => "superseded",
        }
    }
}

/// Whether the first commit is the second one or holds it, as far as is known.
pub type Ancestry = dyn Fn(&str, &str) -> bool + Send + Sync;

/// The commits that wait.
#[derive(Debug)]
pub struct PendingRollouts {
    source: ObjectRef,
    timeout: Duration,
    waiting: Vec<PendingRollout>,
}

/// A commit that waits.
#[derive(Debug)]
struct PendingRollout {
    pushed: PushedCommit,
    applied: BTreeSet<ObjectRef>,
    failed: BTreeMap<ObjectRef, RolloutOutcome>,
}

impl PendingRollouts {
    /// None yet. They are applied from a GitRepository, and have so much time for it.
    pub fn new(source: ObjectRef, timeout: Duration) -> PendingRollouts {
        PendingRollouts { source, timeout, waiting: Vec::new() }
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a commit. What it moves once more, earlier ones need not wait for.
    pub fn add(&mut self, pushed: PushedCommit) -> Vec<RolloutEvent> {
        let mut events = Vec::new();
        for earlier in &mut self.waiting {
            let is_same =
                |one: &ImageChange, other: &ImageChange| (&one.image, &one.file) == (&other.image, &other.file);
            let moves_again = |change: &ImageChange| pushed.changes.iter().any(|newer| is_same(newer, change));
            let all = std::mem::take(&mut earlier.pushed.changes);
            let (gone, left): (Vec<ImageChange>, Vec<ImageChange>) = all.into_iter().partition(moves_again);
            earlier.pushed.changes = left;
            if !gone.is_empty() {
                events.push(earlier.event(None, gone, RolloutOutcome::Superseded, pushed.at));
            }
        }
        self.waiting.retain(|earlier| !earlier.pushed.changes.is_empty());
        self.waiting.push(PendingRollout { pushed, applied: BTreeSet::new(), failed: BTreeMap::new() });
        events
    }

    /// Takes in what Flux says of all Kustomizations at a moment.
    pub fn learn(&mut self, all: &[Kustomization], now: Instant, ancestry: &Ancestry) -> Vec<RolloutEvent> {
        let all: Vec<&Kustomization> = all.iter().filter(|one| one.takes_from(&self.source)).collect();
        let mut events = Vec::new();
        let timeout = self.timeout;
        self.waiting.retain_mut(|waiting| {
            let concerned = concerned(&waiting.pushed.changes, &all);
            events.extend(concerned.iter().filter_map(|(one, changes)| waiting.learn(one, changes, now, ancestry)));
            let open = concerned.iter().filter(|(one, _)| !waiting.applied.contains(&one.name));
            let open: Vec<&(&Kustomization, Vec<ImageChange>)> = open.collect();
            if open.is_empty() && !concerned.is_empty() {
                return false;
            }
            if now.saturating_duration_since(waiting.pushed.at) < timeout {
                return true;
            }
            events.extend(waiting.overdue(&open, now));
            false
        });
        events
    }

    /// Ends the wait of those whose time is over, where Flux says nothing any more.
    pub fn give_up(&mut self, now: Instant, why: &str) -> Vec<RolloutEvent> {
        let timeout = self.timeout;
        let is_over = |waiting: &PendingRollout| now.saturating_duration_since(waiting.pushed.at) >= timeout;
        let all = std::mem::take(&mut self.waiting);
        let (over, left): (Vec<PendingRollout>, Vec<PendingRollout>) = all.into_iter().partition(is_over);
        self.waiting = left;
        let event = |waiting: PendingRollout| {
            let outcome = RolloutOutcome::Overdue { stands: why.to_owned() };
            waiting.event(None, waiting.pushed.changes.clone(), outcome, now)
        };
        over.into_iter().map(event).collect()
    }
}

/// The Kustomizations that a commit concerns, with what it moved for each. A file belongs to those that have it below
/// their paths; one that nobody has there, such as a base, to all.
fn concerned<'k>(changes: &[ImageChange], all: &[&'k Kustomization]) -> Vec<(&'k Kustomization, Vec<ImageChange>)> {
    let is_homeless = |change: &ImageChange| !all.iter().any(|one| one.holds(&change.file));
    let of = |one: &Kustomization| {
        let own = changes.iter().filter(|change| one.holds(&change.file) || is_homeless(change));
        own.cloned().collect::<Vec<ImageChange>>()
    };
    all.iter().map(|one| (*one, of(one))).filter(|(_, changes)| !changes.is_empty()).collect()
}

impl PendingRollout {
    /// What a Kustomization says that was not told yet.
    fn learn(
        &mut self,
        one: &Kustomization,
        changes: &[ImageChange],
        now: Instant,
        ancestry: &Ancestry,
    ) -> Option<RolloutEvent> {
        if self.applied.contains(&one.name) {
            return None;
        }
        let commit = &self.pushed.commit;
        let outcome = match one.progress(&|other| other == commit || ancestry(other, commit)) {
            Progress::Applied { revision } => RolloutOutcome::Applied { revision },
            Progress::Failed { reason, message } => RolloutOutcome::Failed { reason, message },
            Progress::Waiting => return None,
        };
        let is_news = match &outcome {
            RolloutOutcome::Applied { .. } => self.applied.insert(one.name.clone()),
            // Other words for the same failure, as of another try, are no news.
            _ => self.failed.insert(one.name.clone(), outcome.clone()).is_none(),
        };
        is_news.then(|| self.event(Some(&one.name), changes.to_vec(), outcome, now))
    }

    /// What there is to tell of those that have not applied it in time.
    fn overdue(&self, open: &[&(&Kustomization, Vec<ImageChange>)], now: Instant) -> Vec<RolloutEvent> {
        if open.is_empty() {
            let stands = "no Kustomization that is not suspended takes from the GitRepository".to_owned();
            return vec![self.event(None, self.pushed.changes.clone(), RolloutOutcome::Overdue { stands }, now)];
        }
        let untold = open.iter().filter(|(one, _)| !self.failed.contains_key(&one.name));
        let event = |(one, changes): &&(&Kustomization, Vec<ImageChange>)| {
            let at = if one.applied().is_empty() { "nothing" } else { one.applied() };
            let stands = format!("what it has applied is {at}");
            self.event(Some(&one.name), changes.clone(), RolloutOutcome::Overdue { stands }, now)
        };
        untold.map(event).collect()
    }

    fn event(
        &self,
        of: Option<&ObjectRef>,
        changes: Vec<ImageChange>,
        outcome: RolloutOutcome,
        now: Instant,
    ) -> RolloutEvent {
        let took = now.saturating_duration_since(self.pushed.at);
        RolloutEvent { commit: self.pushed.commit.clone(), kustomization: of.cloned(), changes, outcome, took }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";
    const TIMEOUT: Duration = Duration::from_secs(600);

    fn pending() -> PendingRollouts {
        PendingRollouts::new(ObjectRef { namespace: "flux-system".to_owned(), name: "infra".to_owned() }, TIMEOUT)
    }

    fn pushed(commit: &str, at: Instant, files: &[(&str, &str)]) -> PushedCommit {
        let change = |(image, file): &(&str, &str)| ImageChange {
            image: (*image).to_owned(),
            to: "v2".to_owned(),
            file: (*file).to_owned(),
            built: None,
        };
        PushedCommit { commit: commit.to_owned(), at, changes: files.iter().map(change).collect() }
    }

    fn kustomization(name: &str, path: &str, ready: (&str, &str), at: &str) -> Kustomization {
        let object = json!({
            "metadata": { "name": name },
            "spec": { "path": path, "sourceRef": { "kind": "GitRepository", "name": "infra" } },
            "status": {
                "conditions": [{ "type": "Ready", "status": ready.0, "reason": ready.1, "message": "why" }],
                "lastAppliedRevision": format!("main@sha1:{}", if ready.0 == "True" { at } else { "" }),
                "lastAttemptedRevision": format!("main@sha1:{at}"),
            },
        });
        Kustomization::of("flux-system", serde_json::from_value(object).expect("an object"))
    }

    const READY: (&str, &str) = ("True", "ReconciliationSucceeded");
    const BROKEN: (&str, &str) = ("False", "BuildFailed");

    fn said(events: &[RolloutEvent]) -> Vec<String> {
        let one = |event: &RolloutEvent| {
            let images: Vec<&str> = event.changes.iter().map(|change| change.image.as_str()).collect();
            let name = event.kustomization.as_ref().map_or("-", |one| one.name.as_str());
            format!("{} {name} {} {}", &event.commit[..1], event.outcome.label(), images.join(","))
        };
        events.iter().map(one).collect()
    }

    fn later_holds_earlier(later: &str, earlier: &str) -> bool {
        later > earlier
    }

    #[test]
    fn each_kustomization_answers_for_the_files_below_its_path() {
        let (mut pending, now) = (pending(), Instant::now());
        pending.add(pushed(ONE, now, &[("shop", "apps/shop/x.yaml"), ("cart", "apps/cart/x.yaml")]));
        let all = |shop, cart| {
            [
                kustomization("shop", "./apps/shop", shop, ONE),
                kustomization("cart", "./apps/cart", cart, ONE),
                kustomization("else", "./infrastructure", BROKEN, ONE),
            ]
        };
        let wait = ("Unknown", "Progressing");
        assert!(pending.learn(&all(wait, wait), now, &later_holds_earlier).is_empty());
        assert_eq!(
            said(&pending.learn(&all(READY, BROKEN), now, &later_holds_earlier)),
            ["1 shop applied shop", "1 cart failed cart"]
        );
        assert!(pending.learn(&all(READY, BROKEN), now, &later_holds_earlier).is_empty());
        // It works after all.
        assert_eq!(said(&pending.learn(&all(READY, READY), now, &later_holds_earlier)), ["1 cart applied cart"]);
        assert!(pending.is_empty());
    }

    #[test]
    fn a_base_that_stands_below_no_path_concerns_all() {
        let (mut pending, now) = (pending(), Instant::now());
        pending.add(pushed(ONE, now, &[("shop", "bases/shop/x.yaml")]));
        let all = [kustomization("a", "./a", READY, ONE), kustomization("b", "./b", BROKEN, ONE)];
        assert_eq!(said(&pending.learn(&all, now, &later_holds_earlier)), ["1 a applied shop", "1 b failed shop"]);
    }

    #[test]
    fn what_moves_again_is_superseded_and_the_rest_is_applied_with_the_later_commit() {
        let (mut pending, now) = (pending(), Instant::now());
        pending.add(pushed(ONE, now, &[("shop", "apps/shop.yaml"), ("cart", "apps/cart.yaml")]));
        assert_eq!(said(&pending.add(pushed(TWO, now, &[("shop", "apps/shop.yaml")]))), ["1 - superseded shop"]);
        let events = pending.learn(&[kustomization("apps", "./", READY, TWO)], now, &later_holds_earlier);
        assert_eq!(said(&events), ["1 apps applied cart", "2 apps applied shop"]);
        assert!(pending.is_empty());
    }

    #[test]
    fn what_is_not_applied_in_time_is_told_once_and_what_failed_not_again() {
        let (mut pending, now) = (pending(), Instant::now());
        let files = [("shop", "apps/shop/x.yaml"), ("cart", "apps/cart/x.yaml")];
        pending.add(pushed(TWO, now, &files));
        let all = [kustomization("shop", "./apps/shop", READY, ONE), kustomization("cart", "./apps/cart", BROKEN, TWO)];
        assert_eq!(said(&pending.learn(&all, now, &later_holds_earlier)), ["2 cart failed cart"]);
        assert!(pending.learn(&all, now + TIMEOUT / 2, &later_holds_earlier).is_empty());
        let events = pending.learn(&all, now + TIMEOUT, &later_holds_earlier);
        assert_eq!(said(&events), ["2 shop overdue shop"]);
        assert!(pending.is_empty());
        pending.add(pushed(TWO, now, &files));
        assert_eq!(said(&pending.learn(&[], now + TIMEOUT, &later_holds_earlier)), ["2 - overdue shop,cart"]);
        pending.add(pushed(TWO, now, &files));
        assert!(pending.give_up(now, "nobody answers").is_empty());
        assert_eq!(said(&pending.give_up(now + TIMEOUT, "nobody answers")), ["2 - overdue shop,cart"]);
    }
}
