//! The events that people are notified of: what moved, what is kept back and what fails, each once, and when it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use jiff::Timestamp;

use crate::cluster::rollout::{Deployer, ImageChange, RolloutEvent, RolloutOutcome as Rollout};
use crate::cluster::watch::WatchEvent;
use crate::cycle::error::CycleError;
use crate::cycle::report::{Moved, Report};
use crate::fault::{Explain, Fault};
use crate::image::{Repository, Tag};
use crate::notify::event::{Event, Kind};
use crate::plan::skip::{Reason, Skipped};

use super::deployed_checks::events::CheckTracker;
use super::deployed_checks::result::CheckResult;
use super::link::CommitLink;
use super::outcome::{Failure, Outcome};
use super::runtime::Runtime;
use super::sightings::Sightings;
use super::stage_events::StageTracker;

/// Failures that may be temporary are reported after this many in a row.
const FAILURE_THRESHOLD: u32 = 3;
/// The maximum number of events of one kind per cycle; one more counts the others.
const MAX_EVENTS: usize = 20;
/// The maximum number of updates that are listed in the event for their commit.
const MAX_UPDATES: usize = 50;

/// A reason that keeps an image back.
type Problem = (Repository, Option<Tag>, Reason);

/// Turns outcomes into events, and remembers what it has reported.
#[derive(Debug, Default)]
pub struct EventTracker {
    repository: String,
    branch: String,
    link: Option<CommitLink>,
    problems: BTreeMap<Problem, Sightings>,
    failures: Sightings,
    stages: StageTracker,
    checks: CheckTracker,
    /// The Kustomizations and Applications that were reported to have failed to apply a commit.
    failing: BTreeSet<Option<Deployer>>,
}

impl EventTracker {
    /// Applies a configuration.
    pub fn configured(&mut self, runtime: &Runtime) {
        self.repository = runtime.repository.to_string();
        self.branch = runtime.branch.to_string();
        self.link = runtime.commit_link();
    }

    /// Returns the events for the outcome of a cycle.
    pub fn cycle_ended(&mut self, outcome: &Outcome, now: Instant) -> Vec<Event> {
        let template = self.template(outcome.ended);
        match &outcome.result {
            Ok(report) => self.report_events(report, now, &template),
            Err(failure) => self.failure_event(failure, now, &template).into_iter().collect(),
        }
    }

    /// Returns the event for an automatic rollback, unless nothing was taken back.
    pub fn rollback_ended(&self, outcome: &Outcome) -> Option<Event> {
        let template = self.template(outcome.ended);
        match &outcome.result {
            Ok(report) => {
                let commit = report.deployed()?.to_string();
                Some(update_event(report, &commit, self.link.as_ref(), &template))
            }
            Err(Failure::Stopped | Failure::Deposed) => None,
            Err(failure) => {
                let title = format!("the automatic rollback failed: {failure}");
                let detail = failure.help().unwrap_or_default();
                Some(Event { kind: Kind::ReconcileFailed, title, detail, ..template })
            }
        }
    }

    /// Returns the events for an event from the watch over the cluster.
    pub fn rollout_event(&mut self, event: &WatchEvent, at: Timestamp) -> Vec<Event> {
        let WatchEvent::Rollout(rollout) = event else { return Vec::new() };
        let RolloutEvent { commit, deployer, changes, outcome, took, .. } = rollout;
        let (what, seconds) = (summary_of(changes), took.as_secs());
        let by = deployer.as_ref().map(|deployer| format!(" by {deployer}")).unwrap_or_default();
        let name = deployer.as_ref().map(ToString::to_string).unwrap_or_default();
        let (kind, title, detail) = match outcome {
            Rollout::Applied { revision } => {
                let detail = format!("{name} has applied {revision}");
                (Kind::Reconciled, format!("{what} was applied after {seconds} s"), detail)
            }
            Rollout::Failed { reason, message } => {
                (Kind::ReconcileFailed, format!("{what} could not be applied{by} ({reason})"), message.clone())
            }
            Rollout::Overdue { state } => {
                (Kind::ReconcileFailed, format!("{what} was not applied{by} within {seconds} s"), state.clone())
            }
            Rollout::Suspended { state } => {
                (Kind::ReconcileFailed, format!("{what} was not applied{by}, which is suspended"), state.clone())
            }
            Rollout::Unclaimed { state } => {
                (Kind::ReconcileFailed, format!("{what} is not deployed by anything in the cluster"), state.clone())
            }
            Rollout::Superseded => return Vec::new(),
        };
        let template = self.template(at);
        let mut events = Vec::new();
        if kind == Kind::ReconcileFailed {
            self.failing.insert(deployer.clone());
        } else if self.failing.remove(deployer) | self.failing.remove(&None) {
            let title = format!("{name} is applying commits again");
            events.push(Event { kind: Kind::Recovered, title, ..template.clone() });
        }
        let url = self.link.as_ref().map(|link| link.to(commit));
        let event = Event { kind, title, detail, commit: Some(commit.clone()), url, ..template };
        events.push(match changes.as_slice() {
            [only] => Event { image: Some(only.image.clone()), tag: Some(only.to.to_string()), ..event },
            _ => event,
        });
        events
    }

    /// Returns the events for the result of a check of what is deployed.
    pub fn checked(&mut self, result: &CheckResult, at: Timestamp, now: Instant) -> Vec<Event> {
        let template = self.template(at);
        bounded(self.checks.events(result, now, &template), &template)
    }

    fn template(&self, at: Timestamp) -> Event {
        Event {
            kind: Kind::Updated,
            at,
            repository: self.repository.clone(),
            branch: self.branch.clone(),
            title: String::new(),
            detail: String::new(),
            image: None,
            tag: None,
            commit: None,
            url: None,
        }
    }

    fn report_events(&mut self, report: &Report, now: Instant, template: &Event) -> Vec<Event> {
        let mut events = Vec::new();
        if self.failures.over() {
            let title = format!("cycles on {} succeed again", self.branch);
            events.push(Event { kind: Kind::Recovered, title, ..template.clone() });
        }
        // The forge notifies people of proposals.
        if let Some(commit) = report.deployed() {
            events.push(update_event(report, &commit.to_string(), self.link.as_ref(), template));
        }
        let problems = report.skipped.iter().filter_map(|skipped| Some((skipped, kind_of(skipped.reason)?)));
        let problems: BTreeMap<Problem, (&Skipped, Kind, u32)> = problems
            .map(|(skipped, (kind, threshold))| {
                ((skipped.image.clone(), skipped.tag.clone(), skipped.reason), (skipped, kind, threshold))
            })
            .collect();
        let is_over = |(problem, known): (&Problem, &mut Sightings)| {
            (!problems.contains_key(problem) && known.over()).then(|| problem.clone())
        };
        let still: BTreeSet<&Repository> = problems.keys().map(|(image, _, _)| image).collect();
        let over: Vec<Problem> = self.problems.iter_mut().filter_map(is_over).collect();
        for (image, tag, reason) in over {
            // Another tag or another reason is reported on its own.
            if !still.contains(&image) {
                let title = format!("{} is no longer kept back ({})", named(&image, tag.as_ref()), reason.name());
                events.push(about(&image, tag.as_ref(), Event { kind: Kind::Recovered, title, ..template.clone() }));
            }
        }
        for (problem, (skipped, kind, threshold)) in problems {
            if self.problems.entry(problem).or_default().seen(threshold, now) {
                let (image, tag) = (&skipped.image, skipped.tag.as_ref());
                let title = format!("{} is kept back ({})", named(image, tag), skipped.reason.name());
                let event = Event { kind, title, detail: skipped.detail.clone(), ..template.clone() };
                events.push(about(image, tag, event));
            }
        }
        self.problems.retain(|_, known| known.matters(now));
        let commit = report.deployed().map(|commit| commit.to_string());
        let commit = commit.map(|commit| (commit.clone(), self.link.as_ref().map(|link| link.to(&commit))));
        events.extend(self.stages.events(&report.stages, commit, now, template));
        bounded(events, template)
    }

    fn failure_event(&mut self, failure: &Failure, now: Instant, template: &Event) -> Option<Event> {
        let (kind, threshold) = match failure {
            Failure::Stopped | Failure::Deposed => return None,
            Failure::Cycle(error) if matches!(**error, CycleError::Exhausted { .. }) => (Kind::PushExhausted, 1),
            failure if failure.fault() == Fault::Transient => (Kind::Failed, FAILURE_THRESHOLD),
            _ => (Kind::Failed, 1),
        };
        let cause = std::error::Error::source(failure).map(|cause| format!("cause: {cause}"));
        let help = failure.help().map(|help| format!("help: {help}"));
        let detail = cause.into_iter().chain(help).collect::<Vec<_>>().join("\n");
        let title = failure.to_string();
        self.failures.seen(threshold, now).then(|| Event { kind, title, detail, ..template.clone() })
    }
}

/// Limits the events of each kind, with one more event that counts the others.
fn bounded(events: Vec<Event>, template: &Event) -> Vec<Event> {
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    let mut limited = Vec::new();
    for event in events {
        let count = counts.entry(event.kind).or_default();
        *count += 1;
        if *count <= MAX_EVENTS {
            limited.push(event);
        }
    }
    for (kind, count) in counts.into_iter().filter(|(_, count)| *count > MAX_EVENTS) {
        let more = count - MAX_EVENTS;
        let title = match kind {
            Kind::Recovered => format!("{more} more problems are over"),
            Kind::Promoted | Kind::WaitingApproval | Kind::WindowOpened | Kind::CheckFailed => {
                format!("{more} more releases ({})", kind.name())
            }
            Kind::DeployedBroken | Kind::Drifted => format!("{more} more images ({})", kind.name()),
            _ => format!("{more} more images are kept back ({})", kind.name()),
        };
        let detail = "see the status page or `tagalong status`".to_owned();
        limited.push(Event { kind, title, detail, ..template.clone() });
    }
    limited
}

/// Returns the kind of event for a reason, and after how many cycles it is reported; most reasons are not.
fn kind_of(reason: Reason) -> Option<(Kind, u32)> {
    match reason {
        Reason::BlockedImage | Reason::BlockedSignature | Reason::BlockedSecret => Some((Kind::Blocked, 1)),
        Reason::RegistryError => Some((Kind::Blocked, FAILURE_THRESHOLD)),
        Reason::Held => Some((Kind::Held, 1)),
        Reason::UpToDate | Reason::NoCandidate | Reason::Suspended | Reason::Incomplete => None,
        Reason::Soaking | Reason::Check | Reason::Window | Reason::Approval => None,
    }
}

fn update_event(report: &Report, commit: &str, link: Option<&CommitLink>, template: &Event) -> Event {
    let line = |moved: &Moved| format!("{} {} -> {}", moved.image.short_name(), moved.from_text(), moved.to);
    let mut lines: Vec<String> = report.updates.iter().map(line).collect();
    lines.dedup();
    let more = lines.len().saturating_sub(1);
    let first = lines.first().cloned().unwrap_or_default();
    let title = if more > 0 { format!("{first} and {more} more") } else { first };
    let unlisted = lines.len().saturating_sub(MAX_UPDATES);
    lines.truncate(MAX_UPDATES);
    lines.extend((unlisted > 0).then(|| format!("and {unlisted} more")));
    let detail = if more > 0 { lines.join("\n") } else { String::new() };
    let url = link.map(|link| link.to(commit));
    let event = Event { kind: Kind::Updated, title, detail, commit: Some(commit.to_owned()), url, ..template.clone() };
    match report.updates.as_slice() {
        [only] => Event { image: Some(only.image.to_string()), tag: Some(only.to.to_string()), ..event },
        _ => event,
    }
}

/// `shop 5d6e7f8`, `shop 5d6e7f8 and 2 more`.
fn summary_of(changes: &[ImageChange]) -> String {
    let short = |change: &ImageChange| {
        let name = change.image.rsplit('/').next().unwrap_or_default();
        format!("{name} {}", change.to)
    };
    let all: BTreeSet<String> = changes.iter().map(short).collect();
    let first = all.first().cloned().unwrap_or_default();
    if all.len() > 1 { format!("{first} and {} more", all.len() - 1) } else { first }
}

fn about(image: &Repository, tag: Option<&Tag>, event: Event) -> Event {
    Event { image: Some(image.to_string()), tag: tag.map(ToString::to_string), ..event }
}

fn named(image: &Repository, tag: Option<&Tag>) -> String {
    tag.map_or_else(|| image.to_string(), |tag| format!("{image}:{tag}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::agent::sightings::QUIET_PERIOD;
    use crate::cluster::config::ObjectRef;
    use crate::cluster::rollout::Product;
    use crate::image::Version;

    use super::*;

    const COMMIT: &str = "c0ffee0c0ffee0c0ffee0c0ffee0c0ffee0c0ffe";

    fn report(skipped: &[(&str, Reason)]) -> Report {
        let skipped = skipped.iter().map(|(tag, reason)| Skipped {
            image: "ghcr.io/acme/shop".parse().expect("an image"),
            field: None,
            tag: Some(tag.parse().expect("a tag")),
            reason: *reason,
            detail: "why".to_owned(),
            stage: None,
        });
        Report { skipped: skipped.collect(), ..Report::default() }
    }

    fn reported(tracker: &mut EventTracker, now: Instant, result: Result<Report, Failure>) -> Vec<String> {
        let outcome = Outcome { number: 1, ended: Timestamp::UNIX_EPOCH, took: Duration::ZERO, result };
        tracker
            .cycle_ended(&outcome, now)
            .iter()
            .map(|event| format!("{}: {}", event.kind.name(), event.title))
            .collect()
    }

    const BLOCKED: &str = "blocked: ghcr.io/acme/shop:v2 is kept back (blocked-image)";

    #[test]
    fn problems_and_their_end_are_reported_once_and_flapping_is_not() {
        let (mut tracker, now) = (EventTracker::default(), Instant::now());
        let blocked = || Ok(report(&[("v2", Reason::BlockedImage)]));
        assert_eq!(reported(&mut tracker, now, blocked()), [BLOCKED]);
        assert!(reported(&mut tracker, now, blocked()).is_empty());
        let over = "recovered: ghcr.io/acme/shop:v2 is no longer kept back (blocked-image)";
        assert_eq!(reported(&mut tracker, now, Ok(report(&[]))), [over]);
        for _ in 0..3 {
            assert!(reported(&mut tracker, now, blocked()).is_empty());
            assert!(reported(&mut tracker, now, Ok(report(&[]))).is_empty());
        }
        assert!(reported(&mut tracker, now, blocked()).is_empty());
        assert_eq!(reported(&mut tracker, now + QUIET_PERIOD, blocked()), [BLOCKED]);
        // The next tag is blocked as well, which is a new event and not a recovery.
        let next = reported(&mut tracker, now + QUIET_PERIOD, Ok(report(&[("v3", Reason::BlockedImage)])));
        assert_eq!(next, ["blocked: ghcr.io/acme/shop:v3 is kept back (blocked-image)"]);
    }

    #[test]
    fn of_many_problems_some_are_reported_and_the_others_counted() {
        let (mut tracker, now) = (EventTracker::default(), Instant::now());
        let problem = |image: usize| Skipped {
            image: format!("ghcr.io/acme/app-{image:04}").parse().expect("an image"),
            ..report(&[("v2", Reason::BlockedImage)]).skipped.remove(0)
        };
        let all = || Report { skipped: (0..5000).map(problem).collect(), ..report(&[]) };
        let titles = reported(&mut tracker, now, Ok(all()));
        assert_eq!(titles.len(), MAX_EVENTS + 1);
        assert_eq!(titles[0], "blocked: ghcr.io/acme/app-0000:v2 is kept back (blocked-image)");
        assert_eq!(titles[MAX_EVENTS], "blocked: 4980 more images are kept back (blocked)");
        assert!(reported(&mut tracker, now, Ok(all())).is_empty());
        let titles = reported(&mut tracker, now, Ok(report(&[])));
        assert_eq!(titles.len(), MAX_EVENTS + 1);
        assert_eq!(titles[MAX_EVENTS], "recovered: 4980 more problems are over");
    }

    #[test]
    fn temporary_failures_are_reported_once_they_persist() {
        let (mut tracker, now) = (EventTracker::default(), Instant::now());
        let down = || Ok(report(&[("v1", Reason::RegistryError)]));
        assert!(reported(&mut tracker, now, down()).is_empty() && reported(&mut tracker, now, down()).is_empty());
        assert!(reported(&mut tracker, now, Ok(report(&[("v1", Reason::UpToDate)]))).is_empty());
        assert!(reported(&mut tracker, now, down()).is_empty() && reported(&mut tracker, now, down()).is_empty());
        assert_eq!(reported(&mut tracker, now, down()).len(), 1);

        let overdue = || Err(Failure::Overdue { after: Duration::from_secs(9) });
        assert!(reported(&mut tracker, now, overdue()).is_empty() && reported(&mut tracker, now, overdue()).is_empty());
        assert_eq!(reported(&mut tracker, now, overdue()), ["failed: the cycle was aborted after 9 s"]);
        assert!(reported(&mut tracker, now, Err(Failure::Stopped)).is_empty());
        assert!(reported(&mut tracker, now, down()).iter().any(|event| event.starts_with("recovered: cycles on")));
        let exhausted = CycleError::Exhausted { branch: "main".parse().expect("a branch"), attempts: 10 };
        let later = now + QUIET_PERIOD;
        let titles = reported(&mut tracker, later, Err(Failure::Cycle(Box::new(exhausted))));
        assert_eq!(
            titles,
            ["push-exhausted: could not push to main: another push came first every time (attempts: 10)"]
        );
    }

    #[test]
    fn rollouts_are_reported_and_so_is_recovery() {
        let mut tracker =
            EventTracker { link: "https://git.example.com/c/{sha}".parse().ok(), ..EventTracker::default() };
        let name = ObjectRef { namespace: "flux-system".to_owned(), name: "apps".to_owned() };
        let apps = Deployer { product: Product::Flux, name };
        let mut report_rollout = |commit: &str, deployer: Option<&Deployer>, outcome: Rollout| {
            let change = ImageChange {
                image: "ghcr.io/acme/shop".to_owned(),
                to: "v2".to_owned(),
                file: "a.yaml".to_owned(),
                ..ImageChange::default()
            };
            let rollout = RolloutEvent {
                commit: commit.to_owned(),
                deployer: deployer.cloned(),
                changes: vec![change],
                outcome,
                took: Duration::from_secs(12),
                last_applied: None,
            };
            let events = tracker.rollout_event(&WatchEvent::Rollout(rollout), Timestamp::UNIX_EPOCH);
            events.iter().map(|event| format!("{}: {}", event.kind.name(), event.title)).collect::<Vec<_>>()
        };
        let message = "cannot get sops data key".to_owned();
        let failed = Rollout::Failed { reason: "BuildFailed".to_owned(), message };
        let titles = ["reconcile-failed: shop v2 could not be applied by flux-system/apps (BuildFailed)"];
        assert_eq!(report_rollout("c0ffee", Some(&apps), failed), titles);
        let applied = || Rollout::Applied { revision: "main@sha1:c0ffee".to_owned() };
        let titles =
            ["recovered: flux-system/apps is applying commits again", "reconciled: shop v2 was applied after 12 s"];
        assert_eq!(report_rollout("c0ffee", Some(&apps), applied()), titles);
        assert_eq!(report_rollout("c0ffee", Some(&apps), applied()), titles[1..]);
        let overdue = Rollout::Overdue { state: "nothing".to_owned() };
        assert_eq!(report_rollout("c0ffee", None, overdue), ["reconcile-failed: shop v2 was not applied within 12 s"]);
        assert_eq!(report_rollout("c0ffee", Some(&apps), applied()), titles);
        assert!(report_rollout("c0ffee", None, Rollout::Superseded).is_empty());
        let suspended = Rollout::Suspended { state: "nothing".to_owned() };
        assert_eq!(
            report_rollout("c0ffee", Some(&apps), suspended),
            ["reconcile-failed: shop v2 was not applied by flux-system/apps, which is suspended"]
        );
        assert_eq!(report_rollout("c0ffee", Some(&apps), applied()), titles);
    }

    #[test]
    fn updates_are_reported_with_their_commit() {
        let mut tracker =
            EventTracker { link: "https://git.example.com/c/{sha}".parse().ok(), ..EventTracker::default() };
        let moved = |to: &str| Moved {
            file: "a.yaml".to_owned(),
            path: "image".to_owned(),
            image: "ghcr.io/acme/shop".parse().expect("an image"),
            from: Version::parse_tag("v1").expect("a tag"),
            to: Version::parse_tag(to).expect("a tag"),
            digest: None,
            built: None,
        };
        let mut report = report(&[]);
        report.commit = Some(COMMIT.parse().expect("an id"));
        report.updates = vec![moved("v2"), moved("v2"), moved("v3")];
        let outcome = Outcome { number: 1, ended: Timestamp::UNIX_EPOCH, took: Duration::ZERO, result: Ok(report) };
        let events = tracker.cycle_ended(&outcome, Instant::now());
        assert_eq!(events[0].title, "shop v1 -> v2 and 1 more");
        assert_eq!(events[0].url.as_deref(), Some(&*format!("https://git.example.com/c/{COMMIT}")));
    }
}
