//! Logs what cycles did. What lasts is logged when it begins and when it ends, not in every cycle in between.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use tracing::field::display;

use crate::cluster::rollout::{Product, RolloutEvent, RolloutOutcome as Rollout};
use crate::cluster::watch::{WatchEvent, WatchPart, WatchTask};
use crate::cycle::report::{Moved, Report};
use crate::fault::Explain;
use crate::image::{Repository, Tag};
use crate::plan::skip::{Address, Reason, Skipped};
use crate::stage::name::Name;

use super::outcome::{Failure, Outcome};

/// The maximum number of lines of one kind that are logged per cycle.
const MAX_LINES: usize = 100;
/// The maximum number of images of a commit that are named.
const MAX_IMAGES: usize = 20;

/// Logs what cycles did, and remembers what it has logged for as long as that lasts.
#[derive(Debug, Default)]
pub struct Log {
    kept_back: Lasting<KeptBack>,
    /// File, path, image and new version of the fields that the pull request moves.
    proposed: Lasting<[String; 4]>,
    notes: Lasting<String>,
    /// Those of the notes that have been there for more than one cycle.
    lasting_notes: BTreeSet<String>,
}

/// What lasts over several cycles.
#[derive(Debug)]
struct Lasting<T>(BTreeSet<T>);

/// A field that is kept back, or all fields of an image. The detail is not part of it, because it may change from cycle to
/// cycle, as the text of a registry's error does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct KeptBack {
    of: Kept,
    field: Option<Address>,
}

/// What the fields that are kept back in the same way have in common, the most severe first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    reason: Reverse<Reason>,
    image: Repository,
    tag: Option<Tag>,
    stage: Option<Name>,
}

impl Log {
    /// Logs the outcome of a cycle.
    pub fn cycle_ended(&mut self, outcome: &Outcome) {
        match &outcome.result {
            Ok(report) => self.log_report(report),
            Err(failure) => log_failure(failure),
        }
    }

    /// Logs an event from the watch over the cluster.
    pub fn rollout_event(&self, event: &WatchEvent) {
        match event {
            WatchEvent::Rollout(event) => log_rollout(event),
            WatchEvent::Limited(error) => {
                tracing::warn!(%error, help = error.help(), "less is known about commits in the cluster");
            }
            WatchEvent::Failing(task, error) => {
                let (cause, help) = (std::error::Error::source(error).map(display), error.help());
                tracing::error!(%error, cause, help, "{}", describe(*task));
            }
            WatchEvent::Recovered(WatchTask { product, part }) => {
                tracing::info!(task = part.name(), "{product} can be reached again");
            }
        }
    }

    /// Logs the outcome of an automatic rollback.
    pub fn rollback_ended(&self, outcome: &Outcome) {
        let report = match &outcome.result {
            Ok(report) => report,
            Err(failure) => {
                let (cause, help) = (std::error::Error::source(failure).map(display), failure.help());
                tracing::error!(kind = failure.label(), error = %failure, cause, help, "automatic rollback failed");
                return;
            }
        };
        for moved in &report.updates {
            let from = moved.from_text();
            tracing::warn!(file = %moved.file, path = %moved.path, image = %moved.image, from, to = %moved.to, "rolled back");
        }
    }

    fn log_report(&mut self, report: &Report) {
        let is_deployed = report.deployed().is_some();
        // A pull request that stays as it is has the same updates in every cycle, without a new commit.
        let (deployed, proposed) = report.updates.split_at(if is_deployed { report.updates.len() } else { 0 });
        for moved in deployed {
            let from = moved.from_text();
            tracing::info!(file = %moved.file, path = %moved.path, image = %moved.image, from, to = %moved.to, "updated");
        }
        self.log_proposed(proposed);
        self.log_kept_back(&report.skipped);
        self.log_notes(&report.notes);
        tracing::info!(
            head = %report.head.map(|id| id.to_string()).unwrap_or_default(),
            commit = %report.commit.map_or_else(|| "none".to_owned(), |id| id.to_string()),
            updates = report.updates.len(),
            attempts = report.attempts,
            duration_ms = report.duration_ms,
            "cycle finished"
        );
    }

    /// Logs which updates the pull request has begun to propose, and which it no longer does.
    fn log_proposed(&mut self, updates: &[Moved]) {
        let key =
            |moved: &Moved| [moved.file.clone(), moved.path.clone(), moved.image.to_string(), moved.to.to_string()];
        let (begun, ended) = self.proposed.replace(updates.iter().map(key).collect());
        for [file, path, image, to] in begun.iter().take(MAX_LINES) {
            tracing::info!(file, path, image, to, "proposed");
        }
        for [file, path, image, to] in ended.iter().take(MAX_LINES) {
            tracing::info!(file, path, image, to, "no longer proposed");
        }
        let omitted = excess(begun.len(), MAX_LINES).unwrap_or(0) + excess(ended.len(), MAX_LINES).unwrap_or(0);
        if omitted > 0 {
            tracing::info!("{omitted} more changes to what is proposed; see the pull request");
        }
    }

    /// Logs what is kept back since this cycle, most severe first, so that the least severe is left out, and what no
    /// longer is. Fields that differ only in their location share a line.
    fn log_kept_back(&mut self, skipped: &[Skipped]) {
        for Skipped { image, tag, reason, detail, .. } in skipped {
            tracing::debug!(%image, tag = tag.as_ref().map(display), reason = reason.name(), %detail, "stays");
        }
        let details: BTreeMap<KeptBack, &str> =
            skipped.iter().filter_map(|skipped| Some((KeptBack::of(skipped)?, &*skipped.detail))).collect();
        let (begun, ended) = self.kept_back.replace(details.keys().cloned().collect());

        let mut lines: BTreeMap<(&Kept, &str), Vec<Option<&Address>>> = BTreeMap::new();
        for kept in &begun {
            lines.entry((&kept.of, details[kept])).or_default().push(kept.field.as_ref());
        }
        for ((kept, detail), fields) in lines.iter().take(MAX_LINES) {
            let Kept { reason: Reverse(reason), image, tag, stage } = kept;
            let (tag, stage, count) = (tag.as_ref().map(display), stage.as_ref().map(display), count(fields));
            let first = fields.first().copied().flatten();
            let (file, path) = (first.map(|field| &*field.file), first.map(|field| &*field.path));
            let reason = reason.name();
            tracing::warn!(%image, tag, file, path, fields = count, stage, reason, %detail, "kept back");
        }
        if let Some(more) = excess(lines.len(), MAX_LINES) {
            tracing::warn!("{more} more images are kept back; see the status page or `tagalong status`");
        }

        let mut lines: BTreeMap<&Kept, Vec<Option<&Address>>> = BTreeMap::new();
        ended.iter().for_each(|kept| lines.entry(&kept.of).or_default().push(kept.field.as_ref()));
        for (Kept { reason: Reverse(reason), image, tag, stage }, fields) in lines.iter().take(MAX_LINES) {
            let (tag, stage, count) = (tag.as_ref().map(display), stage.as_ref().map(display), count(fields));
            tracing::info!(%image, tag, fields = count, stage, reason = reason.name(), "no longer kept back");
        }
        if let Some(more) = excess(lines.len(), MAX_LINES) {
            tracing::info!("{more} more images are no longer kept back");
        }
    }

    fn log_notes(&mut self, notes: &[String]) {
        let (begun, ended) = self.notes.replace(notes.iter().cloned().collect());
        begun.iter().take(MAX_LINES).for_each(|note| tracing::warn!("{note}"));
        if let Some(more) = excess(begun.len(), MAX_LINES) {
            tracing::warn!("{more} more notes; run `tagalong sync --dry-run` to see all of them");
        }
        // Some notes are only about one cycle, such as the progress of a scan. Their end is no news.
        let ended: Vec<&String> = ended.iter().filter(|note| self.lasting_notes.contains(*note)).collect();
        ended.iter().take(MAX_LINES).for_each(|note| tracing::info!("no longer the case: {note}"));
        if let Some(more) = excess(ended.len(), MAX_LINES) {
            tracing::info!("{more} more notes no longer apply");
        }
        let begun: BTreeSet<String> = begun.into_iter().collect();
        self.lasting_notes = self.notes.0.difference(&begun).cloned().collect();
    }
}

impl<T> Default for Lasting<T> {
    fn default() -> Lasting<T> {
        Lasting(BTreeSet::new())
    }
}

impl<T: Ord + Clone> Lasting<T> {
    /// Replaces what lasts. Returns what has begun and what has ended.
    fn replace(&mut self, now: BTreeSet<T>) -> (Vec<T>, Vec<T>) {
        let before = std::mem::replace(&mut self.0, now);
        let begun = self.0.difference(&before).cloned().collect();
        (begun, before.difference(&self.0).cloned().collect())
    }
}

impl KeptBack {
    /// Returns what is kept back and needs attention, if anything.
    fn of(skipped: &Skipped) -> Option<KeptBack> {
        let Skipped { image, tag, reason, field, stage, .. } = skipped.clone();
        let needs_attention = reason != Reason::UpToDate && !reason.only_waits();
        needs_attention.then_some(KeptBack { of: Kept { reason: Reverse(reason), image, tag, stage }, field })
    }
}

/// Returns the number of fields that share a line, if there is more than one.
fn count(fields: &[Option<&Address>]) -> Option<usize> {
    Some(fields.len()).filter(|count| *count > 1)
}

/// Returns by how much a list exceeds its limit, if it does.
fn excess(count: usize, most: usize) -> Option<usize> {
    count.checked_sub(most).filter(|more| *more > 0)
}

fn describe(task: WatchTask) -> &'static str {
    match (task.product, task.part) {
        (Product::Flux, WatchPart::Asking) => "cannot notify Flux; it will look by itself after its interval",
        (Product::Flux, WatchPart::Watching) => "cannot watch Flux apply commits",
        (Product::ArgoCd, WatchPart::Asking) => "cannot refresh applications; Argo CD will look by itself",
        (Product::ArgoCd, WatchPart::Watching) => "cannot watch Argo CD apply commits",
    }
}

fn log_rollout(event: &RolloutEvent) {
    let RolloutEvent { commit, deployer, outcome, .. } = event;
    let named = event.changes.iter().take(MAX_IMAGES).map(|change| format!("{}:{}", change.image, change.to));
    let more = excess(event.changes.len(), MAX_IMAGES).map(|more| format!("and {more} more"));
    let images = named.chain(more).collect::<Vec<_>>().join(" ");
    let by = |product| deployer.as_ref().filter(|deployer| deployer.product == product).map(display);
    let (kustomization, application) = (by(Product::Flux), by(Product::ArgoCd));
    let took_s = event.took.as_secs_f64();
    match outcome {
        Rollout::Applied { revision } => {
            tracing::info!(%commit, %images, kustomization, application, %revision, took_s, "commit applied");
        }
        Rollout::Failed { reason, message } => {
            tracing::error!(%commit, %images, kustomization, application, %reason, %message, took_s, "commit could not be applied");
        }
        Rollout::Overdue { state } => {
            tracing::error!(%commit, %images, kustomization, application, %state, took_s, "commit not applied in time");
        }
        Rollout::Suspended { state } => {
            tracing::warn!(%commit, %images, kustomization, application, %state, took_s, "commit not applied while suspended");
        }
        Rollout::Unclaimed { state } => {
            tracing::error!(%commit, %images, %state, took_s, "commit deployed by nothing in the cluster");
        }
        Rollout::Superseded => {
            tracing::info!(%commit, %images, took_s, "commit superseded by a newer one for the same images")
        }
    }
}

fn log_failure(failure: &Failure) {
    let (cause, help) = (std::error::Error::source(failure).map(display), failure.help());
    tracing::error!(kind = failure.label(), error = %failure, cause, help, "cycle failed");
}
