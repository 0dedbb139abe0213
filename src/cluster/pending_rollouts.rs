//! Commits that Flux has not applied yet. Pure: takes the status of Kustomizations and the time, and returns the
//! resulting events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::config::ObjectRef;
use super::kustomization::{Kustomization, Progress, is_responsible};

/// A commit that was pushed.
#[derive(Debug, Clone)]
pub struct PushedCommit {
    /// The commit.
    pub commit: String,
    /// When it was pushed.
    pub at: Instant,
    /// The images that it updated.
    pub changes: Vec<ImageChange>,
}

/// An image that was updated in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageChange {
    /// The image.
    pub image: String,
    /// The tag or digest that the file has now.
    pub to: String,
    /// The file.
    pub file: String,
    /// When the image was built, if known.
    pub built: Option<Timestamp>,
}

/// The outcome of a commit, or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutEvent {
    /// The commit.
    pub commit: String,
    /// The Kustomization concerned; `None` if there is none.
    pub kustomization: Option<ObjectRef>,
    /// The images concerned.
    pub changes: Vec<ImageChange>,
    /// Their outcome.
    pub outcome: RolloutOutcome,
    /// The time since the push.
    pub took: Duration,
}

/// The outcome of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutOutcome {
    /// It was applied.
    Applied {
        /// The applied revision, which contains it.
        revision: String,
    },
    /// It could not be applied. Flux keeps retrying.
    Failed {
        /// The reason, as one word.
        reason: String,
        /// The reason, as Flux explains it.
        message: String,
    },
    /// It was not applied in time.
    Overdue {
        /// The current state instead.
        state: String,
    },
    /// A newer commit updated the same images before this one was applied.
    Superseded,
}

impl RolloutOutcome {
    /// All labels.
    pub const LABELS: [&'static str; 4] = ["applied", "failed", "overdue", "superseded"];

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

/// Returns whether the first commit is known to be or to contain the second one.
pub type Ancestry = dyn Fn(&str, &str) -> bool + Send + Sync;

/// The commits that have not been applied yet.
#[derive(Debug)]
pub struct PendingRollouts {
    source: ObjectRef,
    timeout: Duration,
    waiting: Vec<PendingRollout>,
}

/// A commit that has not been applied yet.
#[derive(Debug)]
struct PendingRollout {
    pushed: PushedCommit,
    applied: BTreeSet<ObjectRef>,
    failed: BTreeMap<ObjectRef, RolloutOutcome>,
}

impl PendingRollouts {
    /// No commits yet. They are applied from a GitRepository, and are overdue after `timeout`.
    pub fn new(source: ObjectRef, timeout: Duration) -> PendingRollouts {
        PendingRollouts { source, timeout, waiting: Vec::new() }
    }

    /// Returns whether no commit is pending.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a commit. Earlier commits stop waiting for the images that it updates again.
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

    /// Updates all commits from the current status of the Kustomizations.
    pub fn update(&mut self, all: &[Kustomization], now: Instant, ancestry: &Ancestry) -> Vec<RolloutEvent> {
        let all: Vec<&Kustomization> = all.iter().filter(|one| one.takes_from(&self.source)).collect();
        let mut events = Vec::new();
        let timeout = self.timeout;
        self.waiting.retain_mut(|waiting| {
            let concerned = concerned(&waiting.pushed.changes, &all);
            events.extend(concerned.iter().filter_map(|(one, changes)| waiting.update(one, changes, now, ancestry)));
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

    /// Gives up on the commits that are overdue, while Flux cannot be queried.
    pub fn give_up(&mut self, now: Instant, why: &str) -> Vec<RolloutEvent> {
        let timeout = self.timeout;
        let is_over = |waiting: &PendingRollout| now.saturating_duration_since(waiting.pushed.at) >= timeout;
        let all = std::mem::take(&mut self.waiting);
        let (over, left): (Vec<PendingRollout>, Vec<PendingRollout>) = all.into_iter().partition(is_over);
        self.waiting = left;
        let event = |waiting: PendingRollout| {
            let outcome = RolloutOutcome::Overdue { state: why.to_owned() };
            waiting.event(None, waiting.pushed.changes.clone(), outcome, now)
        };
        over.into_iter().map(event).collect()
    }
}

/// The Kustomizations that a commit concerns, each with the relevant changes.
fn concerned<'k>(changes: &[ImageChange], all: &[&'k Kustomization]) -> Vec<(&'k Kustomization, Vec<ImageChange>)> {
    let of = |one: &Kustomization| {
        let own = changes.iter().filter(|change| is_responsible(one, &change.file, all));
        own.cloned().collect::<Vec<ImageChange>>()
    };
    all.iter().map(|one| (*one, of(one))).filter(|(_, changes)| !changes.is_empty()).collect()
}

impl PendingRollout {
    /// The event for a Kustomization whose progress is new.
    fn update(
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
        let is_new = match &outcome {
            RolloutOutcome::Applied { .. } => self.applied.insert(one.name.clone()),
            // Another message about a failure, as from a retry, is not a new event.
            _ => self.failed.insert(one.name.clone(), outcome.clone()).is_none(),
        };
        is_new.then(|| self.event(Some(&one.name), changes.to_vec(), outcome, now))
    }

    /// The events for the Kustomizations that have not applied it in time.
    fn overdue(&self, open: &[&(&Kustomization, Vec<ImageChange>)], now: Instant) -> Vec<RolloutEvent> {
        if open.is_empty() {
            let state = "no active Kustomization uses the GitRepository".to_owned();
            return vec![self.event(None, self.pushed.changes.clone(), RolloutOutcome::Overdue { state }, now)];
        }
        let unreported = open.iter().filter(|(one, _)| !self.failed.contains_key(&one.name));
        let event = |(one, changes): &&(&Kustomization, Vec<ImageChange>)| {
            let at = if one.applied().is_empty() { "nothing" } else { one.applied() };
            let state = format!("it has applied {at}");
            self.event(Some(&one.name), changes.clone(), RolloutOutcome::Overdue { state }, now)
        };
        unreported.map(event).collect()
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

    fn labels(events: &[RolloutEvent]) -> Vec<String> {
        let one = |event: &RolloutEvent| {
            let images: Vec<&str> = event.changes.iter().map(|change| change.image.as_str()).collect();
            let name = event.kustomization.as_ref().map_or("-", |one| one.name.as_str());
            format!("{} {name} {} {}", &event.commit[..1], event.outcome.label(), images.join(","))
        };
        events.iter().map(one).collect()
    }

    fn later_contains_earlier(later: &str, earlier: &str) -> bool {
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
        assert!(pending.update(&all(wait, wait), now, &later_contains_earlier).is_empty());
        assert_eq!(
            labels(&pending.update(&all(READY, BROKEN), now, &later_contains_earlier)),
            ["1 shop applied shop", "1 cart failed cart"]
        );
        assert!(pending.update(&all(READY, BROKEN), now, &later_contains_earlier).is_empty());
        // A retry succeeds.
        assert_eq!(labels(&pending.update(&all(READY, READY), now, &later_contains_earlier)), ["1 cart applied cart"]);
        assert!(pending.is_empty());
    }

    #[test]
    fn a_base_below_no_path_concerns_all() {
        let (mut pending, now) = (pending(), Instant::now());
        pending.add(pushed(ONE, now, &[("shop", "bases/shop/x.yaml")]));
        let all = [kustomization("a", "./a", READY, ONE), kustomization("b", "./b", BROKEN, ONE)];
        assert_eq!(
            labels(&pending.update(&all, now, &later_contains_earlier)),
            ["1 a applied shop", "1 b failed shop"]
        );
    }

    #[test]
    fn images_updated_again_are_superseded_and_the_rest_is_applied_with_the_later_commit() {
        let (mut pending, now) = (pending(), Instant::now());
        pending.add(pushed(ONE, now, &[("shop", "apps/shop.yaml"), ("cart", "apps/cart.yaml")]));
        assert_eq!(labels(&pending.add(pushed(TWO, now, &[("shop", "apps/shop.yaml")]))), ["1 - superseded shop"]);
        let events = pending.update(&[kustomization("apps", "./", READY, TWO)], now, &later_contains_earlier);
        assert_eq!(labels(&events), ["1 apps applied cart", "2 apps applied shop"]);
        assert!(pending.is_empty());
    }

    #[test]
    fn overdue_commits_are_reported_once_and_failed_ones_not_again() {
        let (mut pending, now) = (pending(), Instant::now());
        let files = [("shop", "apps/shop/x.yaml"), ("cart", "apps/cart/x.yaml")];
        pending.add(pushed(TWO, now, &files));
        let all = [kustomization("shop", "./apps/shop", READY, ONE), kustomization("cart", "./apps/cart", BROKEN, TWO)];
        assert_eq!(labels(&pending.update(&all, now, &later_contains_earlier)), ["2 cart failed cart"]);
        assert!(pending.update(&all, now + TIMEOUT / 2, &later_contains_earlier).is_empty());
        let events = pending.update(&all, now + TIMEOUT, &later_contains_earlier);
        assert_eq!(labels(&events), ["2 shop overdue shop"]);
        assert!(pending.is_empty());
        pending.add(pushed(TWO, now, &files));
        assert_eq!(labels(&pending.update(&[], now + TIMEOUT, &later_contains_earlier)), ["2 - overdue shop,cart"]);
        pending.add(pushed(TWO, now, &files));
        assert!(pending.give_up(now, "no response").is_empty());
        assert_eq!(labels(&pending.give_up(now + TIMEOUT, "no response")), ["2 - overdue shop,cart"]);
    }
}
