//! Commits that the cluster has not applied yet. Pure: takes what the cluster holds and the time, and returns the
//! resulting events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::observed::{Observed, Share};
use super::rollout::{Ancestry, Deployer, ImageChange, Product, Progress, PushedCommit, RolloutEvent, RolloutOutcome};

/// The maximum number of commits that are remembered once they are no longer pending.
const MAX_SETTLED: usize = 1_000;

/// The time until a commit is overdue, by product. Only products that are watched have one.
pub type Timeouts = BTreeMap<Product, Duration>;

/// The commits that have not been applied yet.
#[derive(Debug)]
pub struct PendingRollouts {
    timeouts: Timeouts,
    waiting: Vec<PendingRollout>,
    /// Commits that are no longer pending, oldest first, so that none is added twice.
    settled: Vec<String>,
}

/// A commit that has not been applied yet.
#[derive(Debug)]
struct PendingRollout {
    pushed: PushedCommit,
    /// True until the cluster was first queried about a commit that may have been reported before.
    may_be_reported: bool,
    /// True once what was overdue was reported. It stays pending for a while, because the product's own verdict may follow.
    is_overdue: bool,
    applied: BTreeSet<Deployer>,
    /// The objects that failed before they got to the commit.
    failed_before: BTreeSet<Deployer>,
    reported: BTreeMap<Option<Deployer>, Verdict>,
}

/// What was reported about a part of a commit. Later ones are more conclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Overdue,
    Suspended,
    Unclaimed,
    Failed,
}

impl PendingRollouts {
    /// No commits yet.
    pub fn new(timeouts: Timeouts) -> PendingRollouts {
        PendingRollouts { timeouts, waiting: Vec::new(), settled: Vec::new() }
    }

    /// Returns whether no commit is pending.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The changes of all pending commits.
    pub fn changes(&self) -> Vec<ImageChange> {
        self.waiting.iter().flat_map(|waiting| &waiting.pushed.changes).cloned().collect()
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
        self.settle(|earlier| earlier.pushed.changes.is_empty());
        self.waiting.push(PendingRollout {
            pushed,
            may_be_reported: false,
            is_overdue: false,
            applied: BTreeSet::new(),
            failed_before: BTreeSet::new(),
            reported: BTreeMap::new(),
        });
        events
    }

    /// Continues after a time in which another replica may have reported outcomes, with the commits of the branch that may
    /// be pending, oldest first. What the cluster already holds when it is queried next is not reported again.
    pub fn resume(&mut self, commits: Vec<PushedCommit>) {
        for pushed in commits {
            let is_known = self.settled.contains(&pushed.commit)
                || self.waiting.iter().any(|waiting| waiting.pushed.commit == pushed.commit);
            if !is_known {
                // Whoever pushed the later commit has reported that the earlier one is superseded.
                self.add(pushed);
            }
        }
        self.waiting.iter_mut().for_each(|waiting| waiting.may_be_reported = true);
    }

    /// Returns whether a commit is about to be reported as overdue.
    pub fn is_falling_due(&self, now: Instant) -> bool {
        let timeout = self.timeouts.values().min().copied().unwrap_or_default();
        self.waiting.iter().any(|waiting| !waiting.is_overdue && waiting.age(now) >= timeout)
    }

    /// Updates all commits from what the cluster holds.
    pub fn update(&mut self, observed: &Observed, now: Instant, ancestry: &Ancestry) -> Vec<RolloutEvent> {
        let (mut events, timeouts) = (Vec::new(), &self.timeouts);
        let last = timeouts.values().max().copied().unwrap_or_default();
        let mut done = BTreeSet::new();
        for waiting in &mut self.waiting {
            let is_applied = waiting.update(observed, timeouts, now, ancestry, &mut events);
            if is_applied || waiting.age(now) >= last * 2 {
                done.insert(waiting.pushed.commit.clone());
            }
        }
        self.settle(|waiting| done.contains(&waiting.pushed.commit));
        events
    }

    /// Stops waiting for commits, and remembers them.
    fn settle(&mut self, is_settled: impl Fn(&PendingRollout) -> bool) {
        let all = std::mem::take(&mut self.waiting);
        let (settled, waiting): (Vec<PendingRollout>, Vec<PendingRollout>) = all.into_iter().partition(is_settled);
        self.waiting = waiting;
        self.settled.extend(settled.into_iter().map(|settled| settled.pushed.commit));
        let excess = self.settled.len().saturating_sub(MAX_SETTLED);
        self.settled.drain(..excess);
    }
}

impl PendingRollout {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.pushed.at)
    }

    /// Adds the events for everything that is new. Returns whether all of it is applied.
    fn update(
        &mut self,
        observed: &Observed,
        timeouts: &Timeouts,
        now: Instant,
        ancestry: &Ancestry,
        events: &mut Vec<RolloutEvent>,
    ) -> bool {
        let commit = self.pushed.commit.clone();
        let holds = |other: &str| other == commit || ancestry(other, &commit);
        let (shares, unclaimed) = observed.shares(&self.pushed.changes);
        for share in &shares {
            events.extend(self.update_share(share, now, &holds));
        }
        let age = self.age(now);
        for share in &shares {
            let is_late = timeouts.get(&share.deployer.product).is_some_and(|timeout| age >= *timeout);
            if is_late && !self.applied.contains(&share.deployer) {
                let outcome = RolloutOutcome::Overdue { state: share.words(&holds) };
                events.extend(self.report(Some(&share.deployer), &share.changes, outcome, now));
            }
        }
        let is_late = timeouts.values().all(|timeout| age >= *timeout);
        self.is_overdue |= is_late;
        let is_all_known = observed.failures.is_empty();
        if !unclaimed.is_empty() {
            let outcome = match is_all_known {
                true if is_late || observed.is_settled(&holds) => {
                    Some(RolloutOutcome::Unclaimed { state: observed.unclaimed(&unclaimed) })
                }
                false if is_late => {
                    let failures: Vec<&str> = observed.failures.values().map(String::as_str).collect();
                    Some(RolloutOutcome::Overdue { state: failures.join("; ") })
                }
                _ => None,
            };
            events.extend(outcome.and_then(|outcome| self.report(None, &unclaimed, outcome, now)));
        }
        self.may_be_reported &= !is_all_known;
        let is_applied = |share: &Share<'_>| self.applied.contains(&share.deployer);
        is_all_known && unclaimed.is_empty() && shares.iter().all(is_applied)
    }

    /// Returns the event for an object whose progress is new.
    fn update_share(&mut self, share: &Share<'_>, now: Instant, holds: &dyn Fn(&str) -> bool) -> Option<RolloutEvent> {
        if self.applied.contains(&share.deployer) {
            return None;
        }
        let outcome = match share.progress(holds) {
            Progress::Applied { revision } => {
                self.applied.insert(share.deployer.clone());
                let outcome = RolloutOutcome::Applied { revision };
                let event = self.event(Some(&share.deployer), share.changes.clone(), outcome, now);
                return Some(event).filter(|_| !self.may_be_reported);
            }
            Progress::Failed { reason, message } => {
                let was_failing = self.failed_before.contains(&share.deployer);
                let last_applied = share.last_applied(holds).filter(|_| !was_failing);
                let outcome = RolloutOutcome::Failed { reason, message };
                let event = self.report(Some(&share.deployer), &share.changes, outcome, now)?;
                return Some(RolloutEvent { last_applied, ..event });
            }
            Progress::Suspended { what } => {
                RolloutOutcome::Suspended { state: format!("{what} is suspended; {}", share.words(holds)) }
            }
            Progress::Waiting => {
                if share.is_failing() {
                    self.failed_before.insert(share.deployer.clone());
                }
                return None;
            }
        };
        self.report(Some(&share.deployer), &share.changes, outcome, now)
    }

    /// Returns the event for an outcome, unless one at least as conclusive was reported before. Another message about a
    /// failure, as from a retry, is not a new event.
    fn report(
        &mut self,
        of: Option<&Deployer>,
        changes: &[ImageChange],
        outcome: RolloutOutcome,
        now: Instant,
    ) -> Option<RolloutEvent> {
        let verdict = match &outcome {
            RolloutOutcome::Overdue { .. } => Verdict::Overdue,
            RolloutOutcome::Suspended { .. } => Verdict::Suspended,
            RolloutOutcome::Unclaimed { .. } => Verdict::Unclaimed,
            RolloutOutcome::Failed { .. } | RolloutOutcome::Applied { .. } | RolloutOutcome::Superseded => {
                Verdict::Failed
            }
        };
        if self.reported.get(&of.cloned()).is_some_and(|before| *before >= verdict) {
            return None;
        }
        self.reported.insert(of.cloned(), verdict);
        Some(self.event(of, changes.to_vec(), outcome, now))
    }

    fn event(
        &self,
        of: Option<&Deployer>,
        changes: Vec<ImageChange>,
        outcome: RolloutOutcome,
        now: Instant,
    ) -> RolloutEvent {
        RolloutEvent {
            commit: self.pushed.commit.clone(),
            deployer: of.cloned(),
            changes,
            outcome,
            took: self.age(now),
            last_applied: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::cluster::config::ObjectRef;
    use crate::cluster::kustomization::Kustomization;

    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";
    const TIMEOUT: Duration = Duration::from_secs(600);

    fn pending() -> PendingRollouts {
        PendingRollouts::new([(Product::Flux, TIMEOUT)].into())
    }

    fn observed(all: &[Kustomization]) -> Observed {
        let source = ObjectRef { namespace: "flux-system".to_owned(), name: "infra".to_owned() };
        let namespaces = ["flux-system".parse().expect("a name")];
        Observed::default().with_kustomizations(&source, &namespaces, all.to_vec())
    }

    fn pushed(commit: &str, at: Instant, files: &[(&str, &str)]) -> PushedCommit {
        let change = |(image, file): &(&str, &str)| ImageChange {
            image: (*image).to_owned(),
            to: "v2".to_owned(),
            file: (*file).to_owned(),
            // As in a tree without kustomizations.
            deployed_from: file
                .match_indices('/')
                .map(|(at, _)| file[..at].to_owned())
                .chain([String::new()])
                .collect(),
            ..ImageChange::default()
        };
        PushedCommit { commit: commit.to_owned(), at, changes: files.iter().map(change).collect() }
    }

    fn kustomization(name: &str, path: &str, ready: (&str, &str), at: &str) -> Kustomization {
        let object = json!({
            "metadata": { "name": name },
            "spec": { "path": path, "suspend": ready.1 == "Suspended", "sourceRef": { "kind": "GitRepository", "name": "infra" } },
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
            let name = event.deployer.as_ref().map_or("-", |one| one.name.name.as_str());
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
        assert!(pending.update(&observed(&all(wait, wait)), now, &later_contains_earlier).is_empty());
        assert_eq!(
            labels(&pending.update(&observed(&all(READY, BROKEN)), now, &later_contains_earlier)),
            ["1 shop applied shop", "1 cart failed cart"]
        );
        assert!(pending.update(&observed(&all(READY, BROKEN)), now, &later_contains_earlier).is_empty());
        // A retry succeeds.
        assert_eq!(
            labels(&pending.update(&observed(&all(READY, READY)), now, &later_contains_earlier)),
            ["1 cart applied cart"]
        );
        assert!(pending.is_empty());
    }

    #[test]
    fn a_base_concerns_those_that_are_said_to_include_it() {
        let (mut pending, now) = (pending(), Instant::now());
        let mut base = pushed(ONE, now, &[("shop", "bases/shop/x.yaml")]);
        base.changes[0].deployed_from = ["a", "b"].map(str::to_owned).into();
        pending.add(base);
        let all = [
            kustomization("a", "./a", READY, ONE),
            kustomization("b", "./b", BROKEN, ONE),
            kustomization("c", "./c", READY, ONE),
        ];
        assert_eq!(
            labels(&pending.update(&observed(&all), now, &later_contains_earlier)),
            ["1 a applied shop", "1 b failed shop"]
        );
    }

    #[test]
    fn images_updated_again_are_superseded_and_the_rest_is_applied_with_the_later_commit() {
        let (mut pending, now) = (pending(), Instant::now());
        pending.add(pushed(ONE, now, &[("shop", "apps/shop.yaml"), ("cart", "apps/cart.yaml")]));
        assert_eq!(labels(&pending.add(pushed(TWO, now, &[("shop", "apps/shop.yaml")]))), ["1 - superseded shop"]);
        let events =
            pending.update(&observed(&[kustomization("apps", "./", READY, TWO)]), now, &later_contains_earlier);
        assert_eq!(labels(&events), ["1 apps applied cart", "2 apps applied shop"]);
        assert!(pending.is_empty());
    }

    #[test]
    fn overdue_commits_are_reported_once_and_the_verdict_of_flux_may_follow() {
        let (mut pending, now) = (pending(), Instant::now());
        let files = [("shop", "apps/shop/x.yaml"), ("cart", "apps/cart/x.yaml")];
        pending.add(pushed(TWO, now, &files));
        let all =
            |shop| [kustomization("shop", "./apps/shop", shop, ONE), kustomization("cart", "./apps/cart", BROKEN, TWO)];
        let mut at = |all: &[Kustomization], age: Duration| {
            labels(&pending.update(&observed(all), now + age, &later_contains_earlier))
        };
        assert_eq!(at(&all(READY), Duration::ZERO), ["2 cart failed cart"]);
        assert!(at(&all(READY), TIMEOUT / 2).is_empty());
        assert_eq!(at(&all(READY), TIMEOUT), ["2 shop overdue shop"]);
        assert!(at(&all(READY), TIMEOUT).is_empty());
        // Flux had the same timeout, and notices a moment later.
        let failed = [kustomization("shop", "./apps/shop", ("False", "HealthCheckFailed"), TWO)];
        let failed = [&failed[..], &all(READY)[1..]].concat();
        assert_eq!(at(&failed, TIMEOUT + Duration::from_secs(1)), ["2 shop failed shop"]);
        let late = [kustomization("shop", "./apps/shop", READY, TWO), kustomization("cart", "./apps/cart", READY, TWO)];
        assert_eq!(at(&late, TIMEOUT * 3 / 2), ["2 shop applied shop", "2 cart applied cart"]);
        assert!(pending.is_empty());
    }

    #[test]
    fn waiting_ends() {
        let (mut pending, now) = (pending(), Instant::now());
        pending.add(pushed(TWO, now, &[("shop", "apps/shop/x.yaml")]));
        let mut silent = Observed::default();
        silent.failures.insert(Product::Flux, "no response".to_owned());
        assert!(pending.update(&silent, now, &later_contains_earlier).is_empty());
        assert!(pending.is_falling_due(now + TIMEOUT));
        let events = pending.update(&silent, now + TIMEOUT, &later_contains_earlier);
        assert_eq!(labels(&events), ["2 - overdue shop"]);
        assert!(!pending.is_falling_due(now + TIMEOUT) && !pending.is_empty());
        assert!(pending.update(&silent, now + TIMEOUT * 2, &later_contains_earlier).is_empty());
        assert!(pending.is_empty());
    }

    #[test]
    fn what_is_suspended_or_unclaimed_is_not_applied_whoever_is_ready() {
        let (mut pending, now) = (pending(), Instant::now());
        pending.add(pushed(ONE, now, &[("shop", "apps/shop.yaml"), ("cart", "carts/cart.yaml")]));
        let root = kustomization("root", "./clusters", READY, ONE);
        let all = |apps| [root.clone(), kustomization("apps", "./apps", apps, ONE)];
        let mut at = |all: &[Kustomization]| {
            let events = pending.update(&observed(all), now, &later_contains_earlier);
            let RolloutOutcome::Unclaimed { state } = &events.last().expect("an event").outcome else {
                return labels(&events);
            };
            assert_eq!(
                state,
                "no Kustomization in flux-system of the GitRepository flux-system/infra deploys carts/cart.yaml"
            );
            labels(&events)
        };
        assert_eq!(at(&all(("True", "Suspended"))), ["1 apps suspended shop", "1 - unclaimed cart"]);
        // Once it is resumed, and the other one has got a Kustomization, both are applied.
        let resumed = [&all(READY)[..], &[kustomization("carts", "./carts", READY, ONE)]].concat();
        assert_eq!(at(&resumed), ["1 apps applied shop", "1 carts applied cart"]);
        assert!(pending.is_empty());
    }

    #[test]
    fn what_a_kustomization_may_still_create_is_not_unclaimed_before_the_timeout() {
        let (mut pending, now) = (pending(), Instant::now());
        pending.add(pushed(ONE, now, &[("cart", "carts/cart.yaml")]));
        let all = [kustomization("root", "./clusters", ("Unknown", "Progressing"), ONE)];
        assert!(pending.update(&observed(&all), now, &later_contains_earlier).is_empty());
        let events = pending.update(&observed(&all), now + TIMEOUT, &later_contains_earlier);
        assert_eq!(labels(&events), ["1 - unclaimed cart"]);
    }

    #[test]
    fn resumed_commits_are_reported_unless_the_cluster_holds_them_already() {
        let (mut pending, now) = (pending(), Instant::now());
        let commits =
            || vec![pushed(ONE, now, &[("cart", "carts/x.yaml")]), pushed(TWO, now, &[("shop", "apps/x.yaml")])];
        pending.resume(commits());
        let carts = kustomization("carts", "./carts", READY, ONE);
        let all = [carts.clone(), kustomization("apps", "./apps", READY, ONE)];
        assert!(pending.update(&observed(&all), now, &later_contains_earlier).is_empty());
        pending.resume(commits());
        let all = [carts, kustomization("apps", "./apps", ("Unknown", "Progressing"), TWO)];
        assert!(pending.update(&observed(&all), now, &later_contains_earlier).is_empty());
        let all = [kustomization("apps", "./apps", READY, TWO)];
        assert_eq!(labels(&pending.update(&observed(&all), now, &later_contains_earlier)), ["2 apps applied shop"]);
        pending.resume(commits());
        assert!(pending.is_empty());
    }
}
