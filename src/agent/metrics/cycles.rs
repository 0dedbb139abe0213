//! Metrics of cycles, and of the updates and pushes that they make.

use std::collections::BTreeSet;

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::agent::outcome::{Failure, Outcome};
use crate::cycle::error::CycleError;
use crate::cycle::report::Report;
use crate::image::Repository;

/// The most images whose updates have a series of their own, for as long as the process runs.
pub(super) const UPDATES_SERIES: usize = 500;
/// The label of all others. No image has such a name.
const OTHERS: &str = "(others)";

/// The label of what succeeded.
const DONE: &str = "done";
/// The label of an attempt to push that lost a race.
const LOST_RACE: &str = "lost-race";

/// The buckets of cycle durations, in seconds.
const DURATIONS: [f64; 11] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0];
/// The buckets of the time from an image's build to its deployment, in seconds: up to a week.
pub(super) const LAGS: [f64; 12] =
    [15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 43_200.0, 86_400.0, 604_800.0];

/// One label with its value.
type Label = [(&'static str, String); 1];

/// Metrics of cycles.
#[derive(Debug)]
pub struct CycleMetrics {
    cycles: Family<Label, Counter>,
    duration: Histogram,
    last_done: Gauge,
    updates: Family<Label, Counter>,
    /// The images that have a series of `updates`.
    counted: Mutex<BTreeSet<Repository>>,
    lag: Histogram,
    pushes: Family<Label, Counter>,
}

impl Default for CycleMetrics {
    fn default() -> Self {
        CycleMetrics {
            cycles: Family::default(),
            duration: Histogram::new(DURATIONS),
            last_done: Gauge::default(),
            updates: Family::default(),
            counted: Mutex::default(),
            lag: Histogram::new(LAGS),
            pushes: Family::default(),
        }
    }
}

impl CycleMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("cycles", "Cycles by result: done, or the kind of failure", self.cycles.clone());
        for result in std::iter::once(DONE).chain(Failure::labels()) {
            drop(self.cycles.get_or_create(&[("result", result.to_owned())]));
        }
        let help = "How long cycles took";
        registry.register_with_unit("cycle_duration", help, Unit::Seconds, self.duration.clone());
        let help = "When a cycle last got to its end, in Unix time";
        registry.register_with_unit("cycle_last_done_timestamp", help, Unit::Seconds, self.last_done.clone());
        let help = "Fields that were moved, by image; (others) once many images have moved";
        registry.register("updates", help, self.updates.clone());
        let help = "From the build of an image to the push of the commit that deploys it";
        registry.register_with_unit("deploy_lag", help, Unit::Seconds, self.lag.clone());
        let help = "Attempts to push by result: done, lost-race";
        registry.register("push_attempts", help, self.pushes.clone());
        [DONE, LOST_RACE].into_iter().for_each(|result| self.pushed(result, 0));
    }

    pub(super) fn ended(&self, outcome: &Outcome) {
        self.duration.observe(outcome.took.as_secs_f64());
        let result = outcome.result.as_ref().map_or_else(Failure::label, |_| DONE);
        self.cycles.get_or_create(&[("result", result.to_owned())]).inc();
        match &outcome.result {
            Ok(report) => self.done(report, outcome.ended),
            Err(Failure::Cycle(error)) => {
                if let CycleError::Exhausted { attempts, .. } = **error {
                    self.pushed(LOST_RACE, attempts);
                }
            }
            Err(_) => {}
        }
    }

    fn done(&self, report: &Report, now: Timestamp) {
        self.last_done.set(now.as_second());
        self.governed(report.images.iter().map(|status| &status.image));
        if report.commit.is_some() {
            self.pushed(DONE, 1);
            self.pushed(LOST_RACE, report.attempts.saturating_sub(1));
        }
        // Proposed updates are not deployed yet.
        let is_deployed = report.deployed().is_some();
        for moved in report.updates.iter().filter(|_| is_deployed) {
            self.updated(&moved.image);
            if let Some(built) = moved.built {
                // The clocks of two machines differ: an image from the future was built just now.
                self.lag.observe(now.duration_since(built).as_secs_f64().max(0.0));
            }
        }
    }

    /// Starts to count the updates of images, from 0, if there is room for all of them. If not, only those that move get
    /// a series.
    pub(super) fn governed<'i>(&self, images: impl Iterator<Item = &'i Repository>) {
        let mut counted = self.counted.lock();
        let new: BTreeSet<&Repository> = images.filter(|image| !counted.contains(*image)).collect();
        if counted.len() + new.len() > UPDATES_SERIES {
            drop(self.updates.get_or_create(&[("image", OTHERS.to_owned())]));
            return;
        }
        for image in &new {
            drop(self.updates.get_or_create(&[("image", image.to_string())]));
        }
        counted.extend(new.into_iter().cloned());
    }

    pub(super) fn updated(&self, image: &Repository) {
        let mut counted = self.counted.lock();
        if counted.len() < UPDATES_SERIES {
            counted.insert(image.clone());
        }
        let name = if counted.contains(image) { image.as_str() } else { OTHERS };
        self.updates.get_or_create(&[("image", name.to_owned())]).inc();
    }

    fn pushed(&self, result: &str, attempts: u32) {
        self.pushes.get_or_create(&[("result", result.to_owned())]).inc_by(attempts.into());
    }
}
