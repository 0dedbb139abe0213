//! The observers of outcomes: the log, the metrics, the status page and the notifications. Information flows to them,
//! never back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock;
use crate::cluster::election::Leadership;
use crate::cluster::rollout::Product;
use crate::cluster::watch::WatchEvent;
use crate::fault::Explain;
use crate::notify::dispatcher::Dispatcher;

use super::deployed_checks::log::CheckLog;
use super::deployed_checks::result::CheckResult;
use super::events::EventTracker;
use super::log::Log;
use super::metrics::Metrics;
use super::outcome::Outcome;
use super::runtime::Runtime;
use super::snapshot::SnapshotStore;
use super::webhook::endpoint::Senders;

/// The time that channels have for the last events.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// All observers.
#[derive(Debug, Default)]
pub struct Observers {
    /// The state that the server shows.
    pub snapshots: Arc<SnapshotStore>,
    /// The metrics for Prometheus.
    pub metrics: Arc<Metrics>,
    /// The accepted senders of webhooks.
    pub senders: Arc<Senders>,
    log: Log,
    check_log: CheckLog,
    events: EventTracker,
    dispatcher: Dispatcher,
}

impl Observers {
    /// A configuration was loaded.
    pub fn configured(&mut self, runtime: &Runtime) {
        self.events.configured(runtime);
        let dispatcher = Dispatcher::start(runtime.notify.clone(), self.metrics.notify.clone());
        let before = std::mem::replace(&mut self.dispatcher, dispatcher);
        // Queued events are delivered in the background.
        tokio::spawn(before.close(CLOSE_TIMEOUT));
        self.snapshots.configured(runtime);
        self.metrics.configured(&runtime.config);
        self.metrics.deployed.configured(runtime);
        self.senders.set(&runtime.config.webhooks);
    }

    /// A configuration was rejected.
    pub fn config_rejected(&self, why: &dyn Explain) {
        self.snapshots.config_rejected(why);
        self.metrics.config_rejected();
    }

    /// A cycle has started.
    pub fn cycle_started(&self, at: Instant, deadline: Duration) {
        self.snapshots.cycle_started(at, deadline);
    }

    /// A cycle has ended.
    pub fn cycle_ended(&mut self, outcome: &Outcome) {
        self.log.cycle_ended(outcome);
        self.metrics.cycle_ended(outcome);
        self.snapshots.cycle_ended(outcome);
        self.events.cycle_ended(outcome, Instant::now()).iter().for_each(|event| self.dispatcher.dispatch(event));
    }

    /// An automatic rollback has ended. It says nothing about the state of images, which the next cycle finds out.
    pub fn rollback_ended(&mut self, outcome: &Outcome) {
        self.log.rollback_ended(outcome);
        self.metrics.rollback_ended(outcome);
        self.snapshots.rollback_ended(outcome);
        self.events.rollback_ended(outcome).iter().for_each(|event| self.dispatcher.dispatch(event));
    }

    /// The leadership of this replica may have changed.
    pub fn leadership_changed(&self, leadership: &Leadership) {
        self.snapshots.leadership_changed(leadership);
        self.metrics.leadership_changed(leadership);
    }

    /// These products are watched from now on, and no others.
    pub fn watched(&self, products: &BTreeSet<Product>) {
        self.metrics.watched(products);
        self.snapshots.watched(products);
    }

    /// There is an event from the watch over the cluster.
    pub fn rollout_event(&mut self, event: &WatchEvent) {
        let at = clock::now();
        self.log.rollout_event(event);
        self.snapshots.rollout_event(event, at);
        self.metrics.rollout_event(event, at);
        self.events.rollout_event(event, at).iter().for_each(|event| self.dispatcher.dispatch(event));
    }

    /// A check of what is deployed has ended.
    pub fn checked(&mut self, result: &CheckResult) {
        self.check_log.checked(result);
        self.metrics.deployed.checked(result);
        self.snapshots.checked(result);
        let events = self.events.checked(result, clock::now(), Instant::now());
        events.iter().for_each(|event| self.dispatcher.dispatch(event));
    }

    /// The agent is stopping.
    pub fn stopping(&self) {
        self.snapshots.stopping();
    }

    /// The agent has stopped: remaining events are delivered now or never.
    pub async fn stopped(self) {
        self.snapshots.stopping();
        self.dispatcher.close(CLOSE_TIMEOUT).await;
    }
}
