//! Counters and gauges in the form of OpenMetrics, which Prometheus reads. The number of series does not grow with the
//! number of images without a bound.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use jiff::Timestamp;

use crate::cluster::election::Leadership;
use crate::cluster::flux::{FluxEvent, FluxTask};
use crate::cluster::pending_rollouts::{RolloutEvent, RolloutOutcome as Rollout};
use crate::cycle::error::CycleError;
use crate::cycle::report::Report;
use crate::cycle::status::{ImageStatus, State};
use crate::image::Repository;
use crate::notify::dispatcher::Deliveries;
use crate::registry::traffic::Traffic;

use super::config::Config;
use super::listing::Counts;
use super::outcome::{Failure, Outcome};
use super::query::KEPT_BACK;

/// At most this many images that are kept back have a series of their own.
const KEPT_BACK_SERIES: usize = 100;
/// At most this many images have their updates counted on their own, for as long as the process runs.
const UPDATES_SERIES: usize = 500;
/// The label of all others. No image has such a name.
const OTHERS: &str = "(others)";

/// The media type of [`Metrics::encode`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One label with its value.
type Label = [(&'static str, String); 1];
/// Two labels with their values.
type Labels = [(&'static str, String); 2];

/// How long cycles take, in seconds.
const DURATIONS: [f64; 11] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0];
/// How long an image waits from its build to the commit that deploys it, in seconds: half a minute to a week.
const LAGS: [f64; 12] =
    [15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 43_200.0, 86_400.0, 604_800.0];

/// How long Flux takes for a commit, in seconds.
const RECONCILE_DURATIONS: [f64; 10] = [1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];

/// All metrics. Names and labels are part of what users rely on.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    cycles: Family<Label, Counter>,
    duration: Histogram,
    last_done: Gauge,
    updates: Family<Label, Counter>,
    /// The images that `updates` counts on their own.
    updated: Mutex<BTreeSet<Repository>>,
    lag: Histogram,
    pushes: Family<Label, Counter>,
    images: Family<Label, Gauge>,
    kept_back: Family<Labels, Gauge>,
    kept_back_omitted: Gauge,
    /// The labels that `kept_back` has now.
    kept_back_now: Mutex<BTreeSet<Labels>>,
    requests: Family<Labels, Counter>,
    reloads: Family<Label, Counter>,
    reload_succeeded: Gauge,
    suspended: Gauge,
    notifications: Family<Labels, Counter>,
    leader: Gauge,
    reconciled: Family<Label, Counter>,
    reconcile_duration: Histogram,
    rollout_lag: Histogram,
    flux_trouble: Family<Label, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tagalong");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program that runs", version);
        let metrics = Metrics {
            cycles: Family::default(),
            duration: Histogram::new(DURATIONS),
            last_done: Gauge::default(),
            updates: Family::default(),
            updated: Mutex::default(),
            lag: Histogram::new(LAGS),
            pushes: Family::default(),
            images: Family::default(),
            kept_back: Family::default(),
            kept_back_omitted: Gauge::default(),
            kept_back_now: Mutex::default(),
            requests: Family::default(),
            reloads: Family::default(),
            reload_succeeded: Gauge::default(),
            suspended: Gauge::default(),
            notifications: Family::default(),
            leader: Gauge::default(),
            reconciled: Family::default(),
            reconcile_duration: Histogram::new(RECONCILE_DURATIONS),
            rollout_lag: Histogram::new(LAGS),
            flux_trouble: Family::default(),
            registry: Registry::default(),
        };
        registry.register("cycles", "Cycles by how they ended: done, or why not", metrics.cycles.clone());
        let help = "How long cycles took";
        registry.register_with_unit("cycle_duration", help, Unit::Seconds, metrics.duration.clone());
        let help = "When a cycle last got to its end, in Unix time";
        registry.register_with_unit("cycle_last_done_timestamp", help, Unit::Seconds, metrics.last_done.clone());
        let help = "Fields that were moved, by image; (others) once many images have moved";
        registry.register("updates", help, metrics.updates.clone());
        let help = "From the build of an image to the push of the commit that deploys it";
        registry.register_with_unit("deploy_lag", help, Unit::Seconds, metrics.lag.clone());
        let help = "Pushes that were tried, by how they went: done, lost-race";
        registry.register("push_attempts", help, metrics.pushes.clone());
        let help = "Images by how they stood in the last cycle";
        registry.register("images", help, metrics.images.clone());
        let help = "1 for each image that something kept back in the last cycle, with the reason; the worst of many";
        registry.register("image_kept_back", help, metrics.kept_back.clone());
        let help = "Images that something kept back in the last cycle and that have no tagalong_image_kept_back";
        registry.register("image_kept_back_omitted", help, metrics.kept_back_omitted.clone());
        let help = "Requests to registries by host and status, which is none where no answer came";
        registry.register("registry_requests", help, metrics.requests.clone());
        let help = "Times that the configuration was read, by whether it was taken: done, refused";
        registry.register("config_reads", help, metrics.reloads.clone());
        let help = "Whether the configuration as it is now is the one in use";
        registry.register("config_last_read_successful", help, metrics.reload_succeeded.clone());
        registry.register("suspended", "Whether automation is suspended by configuration", metrics.suspended.clone());
        let help = "Events that channels were told of, by how it went: done, failed, lost";
        registry.register("notifications", help, metrics.notifications.clone());
        let help = "Whether this replica leads; it does where no election is configured";
        registry.register("leader", help, metrics.leader.clone());
        let help = "What became of commits at each Kustomization: applied, failed, overdue, superseded";
        registry.register("reconcile", help, metrics.reconciled.clone());
        let help = "From the push of a commit until Flux has applied it";
        let duration = metrics.reconcile_duration.clone();
        registry.register_with_unit("reconcile_duration", help, Unit::Seconds, duration);
        let help = "From the build of an image until Flux has applied the commit that deploys it";
        registry.register_with_unit("rollout_lag", help, Unit::Seconds, metrics.rollout_lag.clone());
        let help = "Whether Flux can not be asked to look, or not be watched";
        registry.register("flux_trouble", help, metrics.flux_trouble.clone());
        Metrics { registry, ..metrics }
    }
}

impl Metrics {
    /// All of them as text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }

    pub(super) fn configured(&self, config: &Config) {
        self.reloads.get_or_create(&[("result", "done".to_owned())]).inc();
        self.reload_succeeded.set(1);
        self.suspended.set(config.suspend.into());
    }

    pub(super) fn refused(&self) {
        self.reloads.get_or_create(&[("result", "refused".to_owned())]).inc();
        self.reload_succeeded.set(0);
    }

    pub(super) fn learn(&self, outcome: &Outcome, traffic: &[Traffic]) {
        self.duration.observe(outcome.took.as_secs_f64());
        let result = outcome.result.as_ref().map_or_else(Failure::label, |_| "done");
        self.cycles.get_or_create(&[("result", result.to_owned())]).inc();
        match &outcome.result {
            Ok(report) => self.done(report, outcome.ended),
            Err(Failure::Cycle(error)) => {
                if let CycleError::Exhausted { attempts, .. } = **error {
                    self.tried("lost-race", attempts);
                }
            }
            Err(_) => {}
        }
        for Traffic { host, status, requests } in traffic {
            let code = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
            self.requests.get_or_create(&[("host", host.clone()), ("code", code)]).inc_by(*requests);
        }
    }

    pub(super) fn stands(&self, leadership: &Leadership) {
        let leads = *leadership == Leadership::Leader;
        self.leader.set(leads.into());
        if !leads {
            // How images stand is the leader's to say.
            self.images.clear();
            self.keep_back(&[], 0);
        }
    }

    pub(super) fn watched(&self, is_watched: bool) {
        self.flux_trouble.clear();
        if is_watched {
            FluxTask::ALL.into_iter().for_each(|part| self.trouble(part, 0));
        }
    }

    pub(super) fn hear(&self, news: &FluxEvent, now: Timestamp) {
        match news {
            FluxEvent::Rollout(RolloutEvent { changes, outcome, took, .. }) => {
                self.reconciled.get_or_create(&[("outcome", outcome.label().to_owned())]).inc();
                if matches!(outcome, Rollout::Applied { .. }) {
                    self.reconcile_duration.observe(took.as_secs_f64());
                    let lag = |built| now.duration_since(built).as_secs_f64().max(0.0);
                    changes
                        .iter()
                        .filter_map(|change| change.built)
                        .for_each(|built| self.rollout_lag.observe(lag(built)));
                }
            }
            FluxEvent::Failing(part, _) => self.trouble(*part, 1),
            FluxEvent::Recovered(part) => self.trouble(*part, 0),
        }
    }

    fn trouble(&self, part: FluxTask, is_there: i64) {
        self.flux_trouble.get_or_create(&[("part", part.name().to_owned())]).set(is_there);
    }

    pub(super) fn delivered(&self, deliveries: &[Deliveries]) {
        for Deliveries { channel, result, events } in deliveries {
            let labels = [("channel", channel.clone()), ("result", (*result).to_owned())];
            self.notifications.get_or_create(&labels).inc_by(*events);
        }
    }

    fn done(&self, report: &Report, now: Timestamp) {
        self.last_done.set(now.as_second());
        if report.commit.is_some() {
            self.tried("done", 1);
            self.tried("lost-race", report.attempts.saturating_sub(1));
        }
        // What is proposed has not moved yet.
        let has_moved = report.commit.is_some() && !report.is_proposal;
        for moved in report.updates.iter().filter(|_| has_moved) {
            self.moved(&moved.image);
            if let Some(built) = moved.built {
                // Two machines' clocks: an image from the future was built just now.
                self.lag.observe(now.duration_since(built).as_secs_f64().max(0.0));
            }
        }
        let counts: Counts = report.images.iter().map(|standing| &standing.state).collect();
        for state in State::ALL {
            self.images.get_or_create(&[("state", state.name().to_owned())]).set(counts.of(state) as i64);
        }
        self.keep_back(&report.images, counts.sum(&KEPT_BACK));
    }

    fn moved(&self, image: &Repository) {
        let mut own = self.updated.lock().unwrap_or_else(PoisonError::into_inner);
        if own.len() < UPDATES_SERIES {
            own.insert(image.clone());
        }
        let name = if own.contains(image) { image.as_str() } else { OTHERS };
        self.updates.get_or_create(&[("image", name.to_owned())]).inc();
    }

    /// Shows the images that are kept back: the worst first and then by name, so that the same ones are left out in each
    /// cycle. A series that stays is never gone meanwhile.
    fn keep_back(&self, images: &[ImageStatus], count: usize) {
        let worst = KEPT_BACK.iter().flat_map(|state| images.iter().filter(move |standing| standing.state == *state));
        let labels = |standing: &ImageStatus| -> Labels {
            [("image", standing.image.to_string()), ("reason", standing.state.name().to_owned())]
        };
        let shown: BTreeSet<Labels> = worst.take(KEPT_BACK_SERIES).map(labels).collect();
        let mut before = self.kept_back_now.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in before.difference(&shown) {
            self.kept_back.remove(gone);
        }
        for new in shown.difference(&before) {
            self.kept_back.get_or_create(new).set(1);
        }
        self.kept_back_omitted.set((count - shown.len()) as i64);
        *before = shown;
    }

    fn tried(&self, result: &str, attempts: u32) {
        self.pushes.get_or_create(&[("result", result.to_owned())]).inc_by(attempts.into());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::plan::skip::Reason;

    use super::*;

    fn outcome(result: Result<Report, Failure>) -> Outcome {
        Outcome {
            number: 1,
            ended: Timestamp::from_second(1_800_000_000).expect("a time"),
            took: Duration::from_secs(2),
            result,
        }
    }

    #[test]
    fn outcomes_are_counted_and_an_image_from_the_future_has_no_negative_lag() {
        let metrics = Metrics::default();
        let image: Repository = "ghcr.io/acme/app".parse().expect("an image");
        let moved = |second: i64| crate::cycle::report::Moved {
            file: "a.yaml".to_owned(),
            path: "image".to_owned(),
            image: image.clone(),
            from: None,
            to: "v2".to_owned(),
            digest: None,
            built: Some(Timestamp::from_second(second).expect("a time")),
        };
        let report = Report {
            commit: Some("f00".to_owned()),
            updates: vec![moved(1_800_000_000 - 45), moved(1_900_000_000)],
            attempts: 3,
            ..report(vec![ImageStatus { image: image.clone(), ..standing("app", State::Kept(Reason::BlockedSecret)) }])
        };
        let traffic = [
            Traffic { host: "ghcr.io".to_owned(), status: Some(200), requests: 7 },
            Traffic { host: "ghcr.io".to_owned(), status: None, requests: 1 },
        ];
        metrics.learn(&outcome(Ok(report)), &traffic);
        metrics.learn(&outcome(Err(Failure::Panicked)), &[]);
        let branch = "main".parse().expect("a branch");
        metrics.learn(&outcome(Err(Failure::Cycle(Box::new(CycleError::Exhausted { branch, attempts: 10 })))), &[]);
        let text = metrics.encode();
        for line in [
            "tagalong_cycles_total{result=\"done\"} 1",
            "tagalong_cycles_total{result=\"panic\"} 1",
            "tagalong_cycles_total{result=\"stale\"} 1",
            "tagalong_cycle_duration_seconds_count 3",
            "tagalong_cycle_last_done_timestamp_seconds 1800000000",
            "tagalong_updates_total{image=\"ghcr.io/acme/app\"} 2",
            "tagalong_deploy_lag_seconds_bucket{le=\"15.0\"} 1",
            "tagalong_deploy_lag_seconds_bucket{le=\"60.0\"} 2",
            "tagalong_deploy_lag_seconds_sum 45.0",
            "tagalong_push_attempts_total{result=\"done\"} 1",
            "tagalong_push_attempts_total{result=\"lost-race\"} 12",
            "tagalong_images{state=\"blocked-secret\"} 1",
            "tagalong_images{state=\"up-to-date\"} 0",
            "tagalong_image_kept_back{image=\"ghcr.io/acme/app\",reason=\"blocked-secret\"} 1",
            "tagalong_image_kept_back_omitted 0",
            "tagalong_registry_requests_total{host=\"ghcr.io\",code=\"200\"} 7",
            "tagalong_registry_requests_total{host=\"ghcr.io\",code=\"none\"} 1",
        ] {
            assert!(text.lines().any(|is| is == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("# TYPE tagalong_cycles counter") && text.ends_with("# EOF\n"), "{text}");
    }
    /// An image of a state.
    fn standing(name: &str, state: State) -> ImageStatus {
        ImageStatus {
            image: format!("r.io/org/{name}").parse().expect("an image"),
            policy: "p".to_owned(),
            state,
            candidate: None,
            current: Vec::new(),
            reasons: Vec::new(),
            holds: Vec::new(),
        }
    }

    fn report(images: Vec<ImageStatus>) -> Report {
        Report {
            head: "f00".to_owned(),
            commit: None,
            updates: Vec::new(),
            skipped: Vec::new(),
            attempts: 0,
            is_proposal: false,
            duration_ms: 0,
            images,
            changes: [].into(),
            notes: Vec::new(),
        }
    }

    /// The series of a metric.
    fn series(metrics: &Metrics, name: &str) -> BTreeSet<String> {
        let text = metrics.encode();
        text.lines().filter(|line| line.starts_with(&format!("{name}{{"))).map(str::to_owned).collect()
    }

    #[test]
    fn of_many_images_the_worst_have_series_and_the_same_ones_in_each_cycle() {
        let metrics = Metrics::default();
        let images = |blocked: usize| {
            let state = |image| {
                if image < blocked { State::Kept(Reason::BlockedImage) } else { State::Kept(Reason::NoCandidate) }
            };
            // The worst have the last names.
            let images = (0..5000).map(|image| standing(&format!("app-{:04}", 9999 - image), state(image)));
            let mut images: Vec<ImageStatus> = images.collect();
            images.sort_by(|one, other| one.image.cmp(&other.image));
            images
        };
        metrics.learn(&outcome(Ok(report(images(3)))), &[]);
        let before = series(&metrics, "tagalong_image_kept_back");
        assert_eq!(before.len(), KEPT_BACK_SERIES);
        assert_eq!(before.iter().filter(|line| line.contains("reason=\"blocked-image\"")).count(), 3);
        let text = metrics.encode();
        assert!(text.contains("tagalong_image_kept_back_omitted 4900\n"), "{text}");
        assert!(text.contains("tagalong_images{state=\"no-candidate\"} 4997\n"), "{text}");
        metrics.learn(&outcome(Ok(report(images(3)))), &[]);
        assert_eq!(series(&metrics, "tagalong_image_kept_back"), before);
        // One more is blocked, and takes the place of the last.
        metrics.learn(&outcome(Ok(report(images(4)))), &[]);
        let after = series(&metrics, "tagalong_image_kept_back");
        assert_eq!((after.len(), after.difference(&before).count()), (KEPT_BACK_SERIES, 1));
        metrics.stands(&Leadership::Follower { leader: "other".to_owned() });
        assert!(series(&metrics, "tagalong_image_kept_back").is_empty());
        assert!(metrics.encode().contains("tagalong_image_kept_back_omitted 0\n"));
    }

    #[test]
    fn updates_of_many_images_are_counted_together() {
        let metrics = Metrics::default();
        for image in (0..UPDATES_SERIES + 7).chain(0..1) {
            metrics.moved(&standing(&format!("app-{image}"), State::UpToDate).image);
        }
        let all = series(&metrics, "tagalong_updates_total");
        assert_eq!(all.len(), UPDATES_SERIES + 1);
        assert!(all.contains("tagalong_updates_total{image=\"(others)\"} 7"), "{all:?}");
        assert!(all.contains("tagalong_updates_total{image=\"r.io/org/app-0\"} 2"), "{all:?}");
    }
}
