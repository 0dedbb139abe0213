//! Metrics of stages: what releases wait for, for how long, and what was promoted.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::cycle::stages::report::StageReport;
use crate::cycle::stages::status::CellStatus;
use crate::stage::name::Name;

/// The most stages that have series of their own.
const STAGES: usize = 100;
/// The label of all others. No stage has such a name.
const OTHERS: &str = "(others)";

/// A stage, and a state or a gate.
type Labels = [(&'static str, String); 2];
/// A stage.
type StageLabel = [(&'static str, String); 1];
/// A release that waits: its stage, name and ID, and the gate.
type Waiting = (Name, String, Option<String>, String);

/// Metrics of stages in the last cycle, and of promotions.
#[derive(Debug, Default)]
pub struct StageMetrics {
    releases: Series<Labels>,
    waiting: Series<Labels>,
    promotions: Family<StageLabel, Counter>,
    unacknowledged: Series<StageLabel>,
    /// When each wait was first seen.
    since: Mutex<BTreeMap<Waiting, Timestamp>>,
}

/// A family of gauges whose series are replaced in each cycle.
#[derive(Debug)]
struct Series<L: Clone + std::hash::Hash + Eq> {
    family: Family<L, Gauge>,
    shown: Mutex<BTreeSet<L>>,
}

impl<L: Clone + std::hash::Hash + Ord> Default for Series<L> {
    fn default() -> Self {
        Series { family: Family::default(), shown: Mutex::default() }
    }
}

impl<L: Clone + std::hash::Hash + Ord> Series<L> {
    /// Replaces the series. One that stays is never removed in between.
    fn replace(&self, new: &BTreeMap<L, i64>) {
        let mut shown = self.shown.lock();
        for gone in shown.iter().filter(|labels| !new.contains_key(*labels)) {
            self.family.remove(gone);
        }
        for (labels, value) in new {
            self.family.get_or_create(labels).set(*value);
        }
        *shown = new.keys().cloned().collect();
    }
}

impl StageMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Releases by stage and by what comes next: up-to-date, entering, or the gate that keeps it waiting";
        registry.register("releases", help, self.releases.family.clone());
        let help = "How long the release that waits longest has waited, by stage and gate";
        registry.register_with_unit("release_waiting", help, Unit::Seconds, self.waiting.family.clone());
        registry.register("promotions", "Releases that were promoted, by stage", self.promotions.clone());
        let help = "Commits that broke the glass of a stage and that nobody else has acknowledged";
        registry.register("break_glass_unacknowledged", help, self.unacknowledged.family.clone());
    }

    /// Shows the result of a cycle. `is_deployed` is true if its promotions were pushed.
    pub(super) fn set(&self, report: &StageReport, is_deployed: bool, now: Timestamp) {
        let names: BTreeSet<&Name> = report.board.iter().map(|cell| &cell.stage).collect();
        let names: BTreeSet<&Name> = names.into_iter().take(STAGES).collect();
        let label = |stage: &Name| ("stage", if names.contains(stage) { stage.to_string() } else { OTHERS.to_owned() });
        let mut releases: BTreeMap<Labels, i64> = BTreeMap::new();
        for cell in &report.board {
            *releases.entry([label(&cell.stage), ("state", state(cell).to_owned())]).or_default() += 1;
        }
        self.releases.replace(&releases);
        let mut waiting: BTreeMap<Labels, i64> = BTreeMap::new();
        for ((stage, _, _, gate), since) in self.since(report, now) {
            let seconds = waiting.entry([label(&stage), ("gate", gate)]).or_default();
            *seconds = (*seconds).max(now.duration_since(since).as_secs());
        }
        self.waiting.replace(&waiting);
        let mut unacknowledged: BTreeMap<StageLabel, i64> = BTreeMap::new();
        for glass in &report.concerns.broken_glass {
            *unacknowledged.entry([label(&glass.stage)]).or_default() += 1;
        }
        self.unacknowledged.replace(&unacknowledged);
        for name in &names {
            drop(self.promotions.get_or_create(&[label(name)]));
        }
        for promoted in report.promoted.iter().filter(|_| is_deployed) {
            self.promotions.get_or_create(&[label(&promoted.stage)]).inc();
        }
    }

    pub(super) fn clear(&self) {
        self.releases.replace(&BTreeMap::new());
        self.waiting.replace(&BTreeMap::new());
        self.unacknowledged.replace(&BTreeMap::new());
        self.since.lock().clear();
    }

    /// Returns since when each release waits for each gate.
    fn since(&self, report: &StageReport, now: Timestamp) -> BTreeMap<Waiting, Timestamp> {
        let mut known = self.since.lock();
        let mut current = BTreeMap::new();
        for (cell, next) in report.board.iter().filter_map(|cell| Some((cell, cell.next.as_ref()?))) {
            for wait in &next.waits {
                let key = (cell.stage.clone(), cell.release.clone(), next.id.clone(), wait.gate.clone());
                let since = known.get(&key).copied().unwrap_or(now);
                current.insert(key, since);
            }
        }
        known.clone_from(&current);
        current
    }
}

/// Returns what comes next in a cell.
fn state(cell: &CellStatus) -> &str {
    match cell.next.as_ref().map(|next| next.waits.first()) {
        None => "up-to-date",
        Some(None) => "entering",
        Some(Some(wait)) => &wait.gate,
    }
}
