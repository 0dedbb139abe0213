//! The agent's metrics. Each part registers the families that it counts. Counters start at 0 where their labels are known
//! in advance, because Prometheus only sees an increase between two values.
//!
//! - [`cycles`]: cycles, updates and pushes
//! - [`images`]: the states of images, with a bounded number of series
//! - [`stages`]: what releases wait for, and promotions
//! - [`config`]: the configuration in use
//! - [`rollouts`]: the outcome of commits in the cluster
//! - [`deployed`]: images that are broken, and pods that run something else
//! - `process`: the resources of the process
//! - [`exposition`]: the formats in which they are served

pub mod config;
pub mod cycles;
pub mod deployed;
pub mod exposition;
pub mod images;
mod process;
pub mod rollouts;
pub mod stages;

use std::collections::BTreeSet;

use jiff::Timestamp;
use prometheus_client::encoding::text;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::cluster::election::Leadership;
use crate::cluster::rollout::Product;
use crate::cluster::watch::WatchEvent;
use crate::cycle::metrics::ClientMetrics;
use crate::notify::metrics::NotifyMetrics;

use super::config::Config;
use super::outcome::Outcome;

use config::ConfigMetrics;
use cycles::CycleMetrics;
use deployed::DeployedMetrics;
use images::ImageMetrics;
use process::ProcessMetrics;
use rollouts::RolloutMetrics;
use stages::StageMetrics;

/// All metrics. Their names and labels are a promise to users.
#[derive(Debug)]
pub struct Metrics {
    all: Registry,
    /// Counted by the clients that cycles use.
    pub clients: ClientMetrics,
    /// Counted by dispatchers of notifications.
    pub notify: NotifyMetrics,
    cycles: CycleMetrics,
    images: ImageMetrics,
    stages: StageMetrics,
    config: ConfigMetrics,
    leader: Gauge,
    rollouts: RolloutMetrics,
    /// Counted by checks of what is deployed.
    pub deployed: DeployedMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Metrics {
            all: Registry::default(),
            clients: ClientMetrics::default(),
            notify: NotifyMetrics::default(),
            cycles: CycleMetrics::default(),
            images: ImageMetrics::default(),
            stages: StageMetrics::default(),
            config: ConfigMetrics::default(),
            leader: Gauge::default(),
            rollouts: RolloutMetrics::default(),
            deployed: DeployedMetrics::default(),
        };
        metrics.all.register_collector(Box::new(ProcessMetrics));
        let all = metrics.all.sub_registry_with_prefix("tagalong");
        all.register("build", "The program that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        metrics.cycles.register(all);
        metrics.images.register(all);
        metrics.stages.register(all);
        metrics.clients.register(all);
        metrics.config.register(all);
        metrics.notify.register(all);
        let help = "Whether this replica leads, as it always does without leader election";
        all.register("leader", help, metrics.leader.clone());
        metrics.rollouts.register(all);
        metrics.deployed.register(all);
        metrics
    }
}

impl Metrics {
    /// Encodes all metrics in the OpenMetrics format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = text::encode(&mut text, &self.all);
        text
    }

    pub(super) fn configured(&self, config: &Config) {
        self.config.accepted(config);
    }

    pub(super) fn config_rejected(&self) {
        self.config.rejected();
    }

    pub(super) fn cycle_ended(&self, outcome: &Outcome) {
        self.cycles.ended(outcome);
        if let Ok(report) = &outcome.result {
            self.images.set(&report.images);
            self.stages.set(&report.stages, report.deployed().is_some(), outcome.ended);
        }
    }

    pub(super) fn rollback_ended(&self, outcome: &Outcome) {
        self.cycles.ended(outcome);
    }

    pub(super) fn leadership_changed(&self, leadership: &Leadership) {
        let leads = *leadership == Leadership::Leader;
        self.leader.set(leads.into());
        if !leads {
            // Only the leader reports the states of images.
            self.images.clear();
            self.stages.clear();
            self.deployed.clear();
        }
    }

    pub(super) fn watched(&self, products: &BTreeSet<Product>) {
        self.rollouts.watched(products);
    }

    pub(super) fn rollout_event(&self, event: &WatchEvent, now: Timestamp) {
        self.rollouts.observe(event, now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::agent::outcome::Failure;
    use crate::cycle::error::CycleError;
    use crate::cycle::report::Report;
    use crate::cycle::status::{ImageStatus, State};
    use crate::image::{Repository, Version};
    use crate::notify::metrics::Delivery;
    use crate::plan::skip::Reason;

    use super::cycles::UPDATES_SERIES;
    use super::images::KEPT_BACK_SERIES;

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
            from: Version::default(),
            to: Version::parse_tag("v2").expect("a tag"),
            digest: None,
            built: Some(Timestamp::from_second(second).expect("a time")),
        };
        let report = Report {
            commit: "f00".parse().ok(),
            updates: vec![moved(1_800_000_000 - 45), moved(1_900_000_000)],
            attempts: 3,
            ..report(vec![ImageStatus { image: image.clone(), ..status("app", State::Kept(Reason::BlockedSecret)) }])
        };
        metrics.cycle_ended(&outcome(Ok(report)));
        metrics.cycle_ended(&outcome(Err(Failure::Panicked)));
        let branch = "main".parse().expect("a branch");
        metrics.cycle_ended(&outcome(Err(Failure::Cycle(Box::new(CycleError::Exhausted { branch, attempts: 10 })))));
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
        ] {
            assert!(text.lines().any(|is| is == line), "{line} is missing from\n{text}");
        }
        assert!(text.contains("# TYPE tagalong_cycles counter") && text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn parts_count_into_the_same_families_for_as_long_as_the_process_runs() {
        let metrics = Metrics::default();
        for _reload in 0..2 {
            let (registry, notify) = (metrics.clients.registry.clone(), metrics.notify.clone());
            registry.count("ghcr.io", Some(200));
            registry.count("ghcr.io", None);
            notify.count("chat", Delivery::Done, 3);
            notify.count("chat", Delivery::Lost, 1);
        }
        let text = metrics.encode();
        for line in [
            "tagalong_registry_requests_total{host=\"ghcr.io\",code=\"200\"} 2",
            "tagalong_registry_requests_total{host=\"ghcr.io\",code=\"none\"} 2",
            "tagalong_notifications_total{channel=\"chat\",result=\"done\"} 6",
            "tagalong_notifications_total{channel=\"chat\",result=\"lost\"} 2",
        ] {
            assert!(text.lines().any(|is| is == line), "{line} is missing from\n{text}");
        }
    }

    /// An image of a state.
    fn status(name: &str, state: State) -> ImageStatus {
        ImageStatus {
            image: format!("r.io/org/{name}").parse().expect("an image"),
            policy: "p".to_owned(),
            state,
            candidate: None,
            current: Vec::new(),
            reasons: Vec::new(),
            holds: Vec::new(),
            source: None,
        }
    }

    fn report(images: Vec<ImageStatus>) -> Report {
        Report { images, ..Report::default() }
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
            let images = (0..5000).map(|image| status(&format!("app-{:04}", 9999 - image), state(image)));
            let mut images: Vec<ImageStatus> = images.collect();
            images.sort_by(|one, other| one.image.cmp(&other.image));
            images
        };
        metrics.cycle_ended(&outcome(Ok(report(images(3)))));
        let before = series(&metrics, "tagalong_image_kept_back");
        assert_eq!(before.len(), KEPT_BACK_SERIES);
        assert_eq!(before.iter().filter(|line| line.contains("reason=\"blocked-image\"")).count(), 3);
        let text = metrics.encode();
        assert!(text.contains("tagalong_image_kept_back_omitted 4900\n"), "{text}");
        assert!(text.contains("tagalong_images{state=\"no-candidate\"} 4997\n"), "{text}");
        // They are too many for counters of their own before they move.
        let updates = "tagalong_updates_total{image=\"(others)\"} 0".to_owned();
        assert_eq!(series(&metrics, "tagalong_updates_total"), BTreeSet::from([updates]));
        metrics.cycle_ended(&outcome(Ok(report(images(3)))));
        assert_eq!(series(&metrics, "tagalong_image_kept_back"), before);
        // One more is blocked, and takes the place of the last.
        metrics.cycle_ended(&outcome(Ok(report(images(4)))));
        let after = series(&metrics, "tagalong_image_kept_back");
        assert_eq!((after.len(), after.difference(&before).count()), (KEPT_BACK_SERIES, 1));
        metrics.leadership_changed(&Leadership::Follower { leader: "other".to_owned() });
        assert!(series(&metrics, "tagalong_image_kept_back").is_empty());
        assert!(metrics.encode().contains("tagalong_image_kept_back_omitted 0\n"));
    }

    #[test]
    fn updates_of_many_images_are_counted_together() {
        let metrics = Metrics::default();
        for image in (0..UPDATES_SERIES + 7).chain(0..1) {
            metrics.cycles.updated(&status(&format!("app-{image}"), State::UpToDate).image);
        }
        let all = series(&metrics, "tagalong_updates_total");
        assert_eq!(all.len(), UPDATES_SERIES + 1);
        assert!(all.contains("tagalong_updates_total{image=\"(others)\"} 7"), "{all:?}");
        assert!(all.contains("tagalong_updates_total{image=\"r.io/org/app-0\"} 2"), "{all:?}");
    }
}
