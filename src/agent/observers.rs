//! Where outcomes go: the log, the metrics, the status, and people. Observers are told and never ask back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::cluster::election::Leadership;
use crate::cluster::flux;
use crate::fault::Explain;
use crate::notify::dispatcher::Dispatcher;
use crate::registry::traffic::Traffic;

use super::events::EventTracker;
use super::log::Log;
use super::metrics::Metrics;
use super::outcome::Outcome;
use super::runtime::Runtime;
use super::snapshot::SnapshotStore;
use super::webhook::endpoint::Senders;

/// How long channels may take for the last news.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// All sinks.
#[derive(Debug, Default)]
pub struct Observers {
    /// What the server shows.
    pub snapshots: Arc<SnapshotStore>,
    /// What Prometheus collects.
    pub metrics: Arc<Metrics>,
    /// Who may tell of pushes.
    pub senders: Arc<Senders>,
    log: Log,
    events: EventTracker,
    dispatcher: Dispatcher,
}

impl Observers {
    /// A configuration was put to work.
    pub fn configured(&mut self, runtime: &Runtime) {
        self.events.configured(runtime);
        let before = std::mem::replace(&mut self.dispatcher, Dispatcher::start(runtime.notify.clone()));
        self.metrics.delivered(&before.take_deliveries());
        // What waits there is brought without anyone waiting for it.
        tokio::spawn(before.close(CLOSE_TIMEOUT));
        self.snapshots.configured(runtime);
        self.metrics.configured(&runtime.config);
        self.senders.set(&runtime.config.webhooks);
    }

    /// A configuration was kept out.
    pub fn config_rejected(&self, why: &dyn Explain) {
        self.snapshots.config_rejected(why);
        self.metrics.refused();
    }

    /// A cycle has begun.
    pub fn cycle_started(&self, at: Instant, deadline: Duration) {
        self.snapshots.cycle_started(at, deadline);
    }

    /// A cycle has ended.
    pub fn cycle_ended(&mut self, outcome: &Outcome, traffic: &[Traffic]) {
        self.log.cycle_ended(outcome);
        self.metrics.learn(outcome, traffic);
        self.snapshots.cycle_ended(outcome);
        self.events.cycle_ended(outcome, Instant::now()).iter().for_each(|event| self.dispatcher.dispatch(event));
        self.metrics.delivered(&self.dispatcher.take_deliveries());
    }

    /// Whether this replica leads, now or again.
    pub fn leadership_changed(&self, leadership: &Leadership) {
        self.snapshots.leadership_changed(leadership);
        self.metrics.stands(leadership);
    }

    /// Flux is watched from now on, or is not any more.
    pub fn flux_watched(&self, watches_flux: bool) {
        self.metrics.watched(watches_flux);
        self.snapshots.flux_watched(watches_flux);
    }

    /// There is news from Flux.
    pub fn rollout_event(&mut self, event: &flux::FluxEvent) {
        let at = Timestamp::now();
        self.log.rollout_event(event);
        self.snapshots.rollout_event(event, at);
        self.metrics.hear(event, at);
        self.events.rollout_event(event, at).iter().for_each(|event| self.dispatcher.dispatch(event));
        self.metrics.delivered(&self.dispatcher.take_deliveries());
    }

    /// The agent was told to stop.
    pub fn stopping(&self) {
        self.snapshots.stopping();
    }

    /// The agent is at its end: what people are still to be told is told now or not at all.
    pub async fn stopped(self) {
        self.snapshots.stopping();
        self.dispatcher.close(CLOSE_TIMEOUT).await;
    }
}
