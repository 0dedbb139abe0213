//! Commits that wait to be applied. Nothing is asked here and no clock is read: what Flux says goes in, what there is to
//! tell comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::config::Object;
use super::kustomization::{Kustomization, Verdict};

/// A commit that was pushed.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// The commit.
    pub commit: String,
    /// When that was.
    pub at: Instant,
    /// What it moved.
    pub changes: Vec<Change>,
}

/// An image that moved in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
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
pub struct Word {
    /// The commit.
    pub commit: String,
    /// Which Kustomization it is about; none, where there is none.
    pub kustomization: Option<Object>,
    /// The images that it is about.
    pub changes: Vec<Change>,
    /// What became of them.
    pub outcome: Outcome,
    /// How long that took since the push.
    pub took: Duration,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
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

impl Outcome {
    /// A short lowercase name for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Outcome::Applied { .. } => "applied",
            Outcome::Failed { .. } => "failed",
            Outcome::Overdue { .. } => "overdue",
            Outcome::Superseded => "superseded",
        }
    }
}

/// Whether the first commit is the second one or holds it, as far as is known.
pub type Lineage = dyn Fn(&str, &str) -> bool + Send + Sync;

/// The commits that wait.
#[derive(Debug)]
pub struct Ledger {
    source: Object,
    timeout: Duration,
    waiting: Vec<Waiting>,
}

/// A commit that waits.
#[derive(Debug)]
struct Waiting {
    pushed: Pushed,
    applied: BTreeSet<Object>,
    failed: BTreeMap<Object, Outcome>,
}

impl Ledger {
    /// None yet. They are applied from a GitRepository, and have so much time for it.
    pub fn new(source: Object, timeout: Duration) -> Ledger {
        Ledger { source, timeout, waiting: Vec::new() }
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a commit. What it moves once more, earlier ones need not wait for.
    pub fn add(&mut self, pushed: Pushed) -> Vec<Word> {
        let mut words = Vec::new();
        for earlier in &mut self.waiting {
            let is_same = |one: &Change, other: &Change| (&one.image, &one.file) == (&other.image, &other.file);
            let moves_again = |change: &Change| pushed.changes.iter().any(|newer| is_same(newer, change));
            let all = std::mem::take(&mut earlier.pushed.changes);
            let (gone, left): (Vec<Change>, Vec<Change>) = all.into_iter().partition(moves_again);
            earlier.pushed.changes = left;
            if !gone.is_empty() {
                words.push(earlier.word(None, gone, Outcome::Superseded, pushed.at));
            }
        }
        self.waiting.retain(|earlier| !earlier.pushed.changes.is_empty());
        self.waiting.push(Waiting { pushed, applied: BTreeSet::new(), failed: BTreeMap::new() });
        words
    }

    /// Takes in what Flux says of all Kustomizations at a moment.
    pub fn learn(&mut self, all: &[Kustomization], now: Instant, lineage: &Lineage) -> Vec<Word> {
        let all: Vec<&Kustomization> = all.iter().filter(|one| one.takes_from(&self.source)).collect();
        let mut words = Vec::new();
        let timeout = self.timeout;
        self.waiting.retain_mut(|waiting| {
            let concerned = concerned(&waiting.pushed.changes, &all);
            words.extend(concerned.iter().filter_map(|(one, changes)| waiting.learn(one, changes, now, lineage)));
            let open = concerned.iter().filter(|(one, _)| !waiting.applied.contains(&one.name));
            let open: Vec<&(&Kustomization, Vec<Change>)> = open.collect();
            if open.is_empty() && !concerned.is_empty() {
                return false;
            }
            if now.saturating_duration_since(waiting.pushed.at) < timeout {
                return true;
            }
            words.extend(waiting.overdue(&open, now));
            false
        });
        words
    }

    /// Ends the wait of those whose time is over, where Flux says nothing any more.
    pub fn give_up(&mut self, now: Instant, why: &str) -> Vec<Word> {
        let timeout = self.timeout;
        let is_over = |waiting: &Waiting| now.saturating_duration_since(waiting.pushed.at) >= timeout;
        let all = std::mem::take(&mut self.waiting);
        let (over, left): (Vec<Waiting>, Vec<Waiting>) = all.into_iter().partition(is_over);
        self.waiting = left;
        let word = |waiting: Waiting| {
            let outcome = Outcome::Overdue { stands: why.to_owned() };
            waiting.word(None, waiting.pushed.changes.clone(), outcome, now)
        };
        over.into_iter().map(word).collect()
    }
}

/// The Kustomizations that a commit concerns, with what it moved for each. A file belongs to those that have it below
/// their paths; one that nobody has there, such as a base, to all.
fn concerned<'k>(changes: &[Change], all: &[&'k Kustomization]) -> Vec<(&'k Kustomization, Vec<Change>)> {
    let is_homeless = |change: &Change| !all.iter().any(|one| one.holds(&change.file));
    let of = |one: &Kustomization| {
        let own = changes.iter().filter(|change| one.holds(&change.file) || is_homeless(change));
        own.cloned().collect::<Vec<Change>>()
    };
    all.iter().map(|one| (*one, of(one))).filter(|(_, changes)| !changes.is_empty()).collect()
}

impl Waiting {
    /// What a Kustomization says that was not told yet.
    fn learn(&mut self, one: &Kustomization, changes: &[Change], now: Instant, lineage: &Lineage) -> Option<Word> {
        if self.applied.contains(&one.name) {
            return None;
        }
        let commit = &self.pushed.commit;
        let outcome = match one.verdict(&|other| other == commit || lineage(other, commit)) {
            Verdict::Applied { revision } => Outcome::Applied { revision },
            Verdict::Failed { reason, message } => Outcome::Failed { reason, message },
            Verdict::Waiting => return None,
        };
        let is_news = match &outcome {
            Outcome::Applied { .. } => self.applied.insert(one.name.clone()),
            // Other words for the same failure, as of another try, are no news.
            _ => self.failed.insert(one.name.clone(), outcome.clone()).is_none(),
        };
        is_news.then(|| self.word(Some(&one.name), changes.to_vec(), outcome, now))
    }

    /// What there is to tell of those that have not applied it in time.
    fn overdue(&self, open: &[&(&Kustomization, Vec<Change>)], now: Instant) -> Vec<Word> {
        if open.is_empty() {
            let stands = "no Kustomization that is not suspended takes from the GitRepository".to_owned();
            return vec![self.word(None, self.pushed.changes.clone(), Outcome::Overdue { stands }, now)];
        }
        let untold = open.iter().filter(|(one, _)| !self.failed.contains_key(&one.name));
        let word = |(one, changes): &&(&Kustomization, Vec<Change>)| {
            let at = if one.applied().is_empty() { "nothing" } else { one.applied() };
            let stands = format!("what it has applied is {at}");
            self.word(Some(&one.name), changes.clone(), Outcome::Overdue { stands }, now)
        };
        untold.map(word).collect()
    }

    fn word(&self, of: Option<&Object>, changes: Vec<Change>, outcome: Outcome, now: Instant) -> Word {
        let took = now.saturating_duration_since(self.pushed.at);
        Word { commit: self.pushed.commit.clone(), kustomization: of.cloned(), changes, outcome, took }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";
    const TIMEOUT: Duration = Duration::from_secs(600);

    fn ledger() -> Ledger {
        Ledger::new(Object { namespace: "flux-system".to_owned(), name: "infra".to_owned() }, TIMEOUT)
    }

    fn pushed(commit: &str, at: Instant, files: &[(&str, &str)]) -> Pushed {
        let change = |(image, file): &(&str, &str)| Change {
            image: (*image).to_owned(),
            to: "v2".to_owned(),
            file: (*file).to_owned(),
            built: None,
        };
        Pushed { commit: commit.to_owned(), at, changes: files.iter().map(change).collect() }
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

    fn said(words: &[Word]) -> Vec<String> {
        let one = |word: &Word| {
            let images: Vec<&str> = word.changes.iter().map(|change| change.image.as_str()).collect();
            let name = word.kustomization.as_ref().map_or("-", |one| one.name.as_str());
            format!("{} {name} {} {}", &word.commit[..1], word.outcome.label(), images.join(","))
        };
        words.iter().map(one).collect()
    }

    fn later_holds_earlier(later: &str, earlier: &str) -> bool {
        later > earlier
    }

    #[test]
    fn each_kustomization_answers_for_the_files_below_its_path() {
        let (mut ledger, now) = (ledger(), Instant::now());
        ledger.add(pushed(ONE, now, &[("shop", "apps/shop/x.yaml"), ("cart", "apps/cart/x.yaml")]));
        let all = |shop, cart| {
            [
                kustomization("shop", "./apps/shop", shop, ONE),
                kustomization("cart", "./apps/cart", cart, ONE),
                kustomization("else", "./infrastructure", BROKEN, ONE),
            ]
        };
        let wait = ("Unknown", "Progressing");
        assert!(ledger.learn(&all(wait, wait), now, &later_holds_earlier).is_empty());
        assert_eq!(
            said(&ledger.learn(&all(READY, BROKEN), now, &later_holds_earlier)),
            ["1 shop applied shop", "1 cart failed cart"]
        );
        assert!(ledger.learn(&all(READY, BROKEN), now, &later_holds_earlier).is_empty());
        // It works after all.
        assert_eq!(said(&ledger.learn(&all(READY, READY), now, &later_holds_earlier)), ["1 cart applied cart"]);
        assert!(ledger.is_empty());
    }

    #[test]
    fn a_base_that_stands_below_no_path_concerns_all() {
        let (mut ledger, now) = (ledger(), Instant::now());
        ledger.add(pushed(ONE, now, &[("shop", "bases/shop/x.yaml")]));
        let all = [kustomization("a", "./a", READY, ONE), kustomization("b", "./b", BROKEN, ONE)];
        assert_eq!(said(&ledger.learn(&all, now, &later_holds_earlier)), ["1 a applied shop", "1 b failed shop"]);
    }

    #[test]
    fn what_moves_again_is_superseded_and_the_rest_is_applied_with_the_later_commit() {
        let (mut ledger, now) = (ledger(), Instant::now());
        ledger.add(pushed(ONE, now, &[("shop", "apps/shop.yaml"), ("cart", "apps/cart.yaml")]));
        assert_eq!(said(&ledger.add(pushed(TWO, now, &[("shop", "apps/shop.yaml")]))), ["1 - superseded shop"]);
        let words = ledger.learn(&[kustomization("apps", "./", READY, TWO)], now, &later_holds_earlier);
        assert_eq!(said(&words), ["1 apps applied cart", "2 apps applied shop"]);
        assert!(ledger.is_empty());
    }

    #[test]
    fn what_is_not_applied_in_time_is_told_once_and_what_failed_not_again() {
        let (mut ledger, now) = (ledger(), Instant::now());
        let files = [("shop", "apps/shop/x.yaml"), ("cart", "apps/cart/x.yaml")];
        ledger.add(pushed(TWO, now, &files));
        let all = [kustomization("shop", "./apps/shop", READY, ONE), kustomization("cart", "./apps/cart", BROKEN, TWO)];
        assert_eq!(said(&ledger.learn(&all, now, &later_holds_earlier)), ["2 cart failed cart"]);
        assert!(ledger.learn(&all, now + TIMEOUT / 2, &later_holds_earlier).is_empty());
        let words = ledger.learn(&all, now + TIMEOUT, &later_holds_earlier);
        assert_eq!(said(&words), ["2 shop overdue shop"]);
        assert!(ledger.is_empty());
        ledger.add(pushed(TWO, now, &files));
        assert_eq!(said(&ledger.learn(&[], now + TIMEOUT, &later_holds_earlier)), ["2 - overdue shop,cart"]);
        ledger.add(pushed(TWO, now, &files));
        assert!(ledger.give_up(now, "nobody answers").is_empty());
        assert_eq!(said(&ledger.give_up(now + TIMEOUT, "nobody answers")), ["2 - overdue shop,cart"]);
    }
}
