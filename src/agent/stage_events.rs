//! The events about stages: what was promoted, and what keeps releases waiting that people should know of.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::cycle::stages::report::{Promoted, StageReport};
use crate::cycle::stages::status::{CellStatus, NextStatus};
use crate::notify::event::{Event, Kind};
use crate::stage::name::Name;

use super::sightings::Sightings;

/// Turns what cycles found out about stages into events, and remembers what it has reported.
#[derive(Debug, Default)]
pub struct StageTracker {
    known: BTreeMap<Key, Known>,
    /// The releases that waited for a window in the cycle before.
    behind_windows: BTreeSet<Coming>,
}

/// Identifies something that lasts from cycle to cycle.
type Key = (Kind, String);

/// A release that comes next: its stage, name and ID.
type Coming = (Name, String, Option<String>);

/// Something that was seen in earlier cycles.
#[derive(Debug, Default)]
struct Known {
    sightings: Sightings,
    over: Option<String>,
}

/// Something that people are notified of when it begins.
struct Concern {
    kind: Kind,
    key: String,
    title: String,
    detail: String,
    /// The title of the event when it is over, if there is one.
    over: Option<String>,
}

impl StageTracker {
    /// Returns the events for what a cycle found out. `commit` is the commit that it pushed, with its URL.
    pub fn events(
        &mut self,
        report: &StageReport,
        commit: Option<(String, Option<String>)>,
        now: Instant,
        template: &Event,
    ) -> Vec<Event> {
        let mut events = self.opened(report, template);
        if let Some((commit, url)) = commit {
            events.extend(report.promoted.iter().map(|promoted| {
                let (commit, url) = (Some(commit.clone()), url.clone());
                Event { commit, url, ..promotion(promoted, template) }
            }));
        }
        events.extend(self.concerns(concerns(report), now, template));
        events
    }

    /// Returns the events for stages whose windows have opened for a release that waited for them.
    fn opened(&mut self, report: &StageReport, template: &Event) -> Vec<Event> {
        let all: Vec<(Coming, &NextStatus)> = report.board.iter().filter_map(coming).collect();
        let (behind, past): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(_, next)| next.waits.iter().any(|wait| wait.gate == "window"));
        let behind = behind.into_iter().map(|(coming, _)| coming).collect();
        let before = std::mem::replace(&mut self.behind_windows, behind);
        let mut opened: BTreeMap<Name, Vec<String>> = BTreeMap::new();
        for (coming, next) in past.into_iter().filter(|(coming, _)| before.contains(coming)) {
            opened.entry(coming.0).or_default().push(format!("{} {}", short(&coming.1), next.short()));
        }
        let event = |(stage, releases): (Name, Vec<String>)| Event {
            kind: Kind::WindowOpened,
            title: format!("the windows of {stage} are open for {}", releases.join(", ")),
            ..template.clone()
        };
        opened.into_iter().map(event).collect()
    }

    /// Returns the events for what begins, and for what is over.
    fn concerns(&mut self, concerns: Vec<Concern>, now: Instant, template: &Event) -> Vec<Event> {
        let mut events = Vec::new();
        let current: BTreeSet<Key> = concerns.iter().map(|concern| (concern.kind, concern.key.clone())).collect();
        for (_, known) in self.known.iter_mut().filter(|(key, _)| !current.contains(*key)) {
            let over = known.over.clone().filter(|_| known.sightings.over());
            events.extend(over.map(|title| Event { kind: Kind::Recovered, title, ..template.clone() }));
        }
        for Concern { kind, key, title, detail, over } in concerns {
            let known = self.known.entry((kind, key)).or_default();
            known.over = over;
            if known.sightings.seen(1, now) {
                events.push(Event { kind, title, detail, ..template.clone() });
            }
        }
        self.known.retain(|_, known| known.sightings.matters(now));
        events
    }
}

/// Returns the release that comes next in a cell.
fn coming(cell: &CellStatus) -> Option<(Coming, &NextStatus)> {
    let next = cell.next.as_ref()?;
    Some(((cell.stage.clone(), cell.release.clone(), next.id.clone()), next))
}

fn promotion(promoted: &Promoted, template: &Event) -> Event {
    let Promoted { stage, release, version, from, evidence } = promoted;
    let from: Vec<&str> = from.iter().map(Name::as_str).collect();
    let title = format!("{} {version} was promoted from {} to {stage}", short(release), from.join(", "));
    Event { kind: Kind::Promoted, title, detail: evidence.join("\n"), tag: Some(version.clone()), ..template.clone() }
}

/// Returns what people should know of.
fn concerns(report: &StageReport) -> Vec<Concern> {
    let mut concerns = Vec::new();
    for (cell, next) in report.board.iter().filter_map(|cell| Some((cell, cell.next.as_ref()?))) {
        let release = format!("{} {}", short(&cell.release), next.short());
        let (stage, id) = (&cell.stage, next.id.as_deref().unwrap_or_default());
        let key = format!("{stage} {} {id}", cell.release);
        let of = |is_own: &dyn Fn(&str, bool) -> bool| {
            let own = next.waits.iter().filter(|wait| is_own(&wait.gate, wait.has_failed));
            own.map(|wait| wait.detail.as_str()).collect::<Vec<_>>().join("\n")
        };
        let failed = of(&|_, has_failed| has_failed);
        if !failed.is_empty() {
            let title = format!("{release} does not enter {stage}, because a check failed");
            let over = Some(format!("no check keeps {release} out of {stage} any more"));
            concerns.push(Concern { kind: Kind::CheckFailed, key: key.clone(), title, detail: failed, over });
        }
        // Approvals are asked for once they are all that is missing, apart from windows.
        let approval = of(&|gate, _| gate == "approval");
        if !approval.is_empty() && of(&|gate, _| !matches!(gate, "approval" | "window")).is_empty() {
            let title = format!("{release} waits for approval to enter {stage}");
            concerns.push(Concern { kind: Kind::WaitingApproval, key, title, detail: approval, over: None });
        }
    }
    for glass in &report.concerns.broken_glass {
        let (stage, who) = (&glass.stage, &glass.who);
        let key = format!("{stage} {}", glass.commit);
        let title = format!("{who} broke the glass of {stage}: {} skipped", glass.skipped.join(", "));
        let over = Some(format!("somebody else has acknowledged that {who} broke the glass of {stage}"));
        concerns.push(Concern { kind: Kind::BreakGlass, key, title, detail: glass.to_string(), over });
    }
    for detail in &report.concerns.incomplete {
        let (key, title) = (detail.clone(), "a release is incomplete".to_owned());
        let over = Some(format!("no longer the case: {detail}"));
        concerns.push(Concern { kind: Kind::Incomplete, key, title, detail: detail.clone(), over });
    }
    concerns
}

/// Returns the name of a release, without the registry if it is an image.
fn short(release: &str) -> &str {
    release.rsplit('/').next().unwrap_or(release)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use crate::cycle::stages::report::Concerns;
    use crate::cycle::stages::status::WaitStatus;
    use crate::plan::broken_glass::BrokenGlass;

    use super::*;

    fn wait(gate: &str, has_failed: bool) -> WaitStatus {
        WaitStatus { gate: gate.to_owned(), detail: format!("{gate} is missing"), until: None, has_failed }
    }

    /// A release that waits to enter live.
    fn waiting(waits: Vec<WaitStatus>) -> StageReport {
        let tag = Some("1a2b3c4".parse().expect("a tag"));
        let next = NextStatus { tag, id: Some("f00".to_owned()), waits, evidence: Vec::new() };
        let cell = CellStatus::example("live".parse().expect("a name"), "ghcr.io/org/app", Some(next));
        StageReport { board: vec![cell], ..StageReport::default() }
    }

    fn told(tracker: &mut StageTracker, report: &StageReport) -> Vec<String> {
        let commit = (!report.promoted.is_empty()).then(|| ("c0ffee".to_owned(), None));
        let events = tracker.events(report, commit, Instant::now(), &Event::example(Kind::Updated));
        events.into_iter().map(|event| format!("{}: {}", event.kind.name(), event.title)).collect()
    }

    #[test]
    fn an_approval_is_asked_for_once_it_is_all_that_is_missing() {
        let mut tracker = StageTracker::default();
        let soaking = waiting(vec![wait("soak", false)]);
        assert!(told(&mut tracker, &soaking).is_empty());
        let unchecked = waiting(vec![wait("check", false), wait("approval", false)]);
        assert!(told(&mut tracker, &unchecked).is_empty());
        let unapproved = waiting(vec![wait("approval", false), wait("window", false)]);
        assert_eq!(told(&mut tracker, &unapproved), ["waiting-approval: app 1a2b3c4 waits for approval to enter live"]);
        assert!(told(&mut tracker, &unapproved).is_empty());
        let mut other = unapproved.clone();
        other.board[0].next.as_mut().expect("next").id = Some("f01".to_owned());
        assert_eq!(told(&mut tracker, &other).len(), 1, "another release needs its own approval");
    }

    #[test]
    fn windows_open_for_the_releases_that_waited() {
        let mut tracker = StageTracker::default();
        let closed = waiting(vec![wait("window", false)]);
        assert!(told(&mut tracker, &closed).is_empty());
        assert!(told(&mut tracker, &closed).is_empty());
        let open = waiting(Vec::new());
        assert_eq!(told(&mut tracker, &open), ["window-opened: the windows of live are open for app 1a2b3c4"]);
        assert!(told(&mut tracker, &open).is_empty());
        // Something else came next before the window opened.
        assert!(told(&mut tracker, &closed).is_empty());
        let mut other = open;
        other.board[0].next.as_mut().expect("next").id = Some("f01".to_owned());
        assert!(told(&mut tracker, &other).is_empty());
    }

    #[test]
    fn failed_checks_and_broken_glass_are_reported_once_with_their_end() {
        let mut tracker = StageTracker::default();
        let failed = waiting(vec![wait("check", true)]);
        let expected = ["check-failed: app 1a2b3c4 does not enter live, because a check failed"];
        assert_eq!(told(&mut tracker, &failed), expected);
        assert!(told(&mut tracker, &failed).is_empty());
        let over = ["recovered: no check keeps app 1a2b3c4 out of live any more"];
        assert_eq!(told(&mut tracker, &waiting(Vec::new())), over);
        let glass = BrokenGlass {
            stage: "live".parse().expect("a name"),
            who: "carl".to_owned(),
            skipped: vec!["windows".to_owned(), "soak".to_owned()],
            reason: "outage".to_owned(),
            commit: "c0ffee".to_owned(),
            when: Timestamp::UNIX_EPOCH,
        };
        let concerns = Concerns { broken_glass: vec![glass], ..Concerns::default() };
        let broken = StageReport { concerns, ..StageReport::default() };
        assert_eq!(told(&mut tracker, &broken), ["break-glass: carl broke the glass of live: windows, soak skipped"]);
        assert!(told(&mut tracker, &broken).is_empty());
        let over = ["recovered: somebody else has acknowledged that carl broke the glass of live"];
        assert_eq!(told(&mut tracker, &StageReport::default()), over);
    }
}
