//! Where outcomes go: the log, the metrics, the status, and people. Sinks are told and never ask back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::cluster::election::Leadership;
use crate::cluster::flux;
use crate::fault::Explain;
use crate::notify::dispatcher::Dispatcher;
use crate::registry::traffic::Traffic;

use super::board::Board;
use super::journal::Journal;
use super::metrics::Metrics;
use super::news::News;
use super::outcome::Outcome;
use super::setup::Setup;
use super::webhook::endpoint::Senders;

/// How long channels may take for the last news.
const LAST_NEWS: Duration = Duration::from_secs(3);

/// All sinks.
#[derive(Debug, Default)]
pub struct Sinks {
    /// What the server shows.
    pub board: Arc<Board>,
    /// What Prometheus collects.
    pub metrics: Arc<Metrics>,
    /// Who may tell of pushes.
    pub senders: Arc<Senders>,
    journal: Journal,
    news: News,
    dispatcher: Dispatcher,
}

impl Sinks {
    /// A configuration was put to work.
    pub fn configured(&mut self, setup: &Setup) {
        self.news.configured(setup);
        let before = std::mem::replace(&mut self.dispatcher, Dispatcher::start(setup.notify.clone()));
        self.metrics.delivered(&before.take_deliveries());
        // What waits there is brought without anyone waiting for it.
        tokio::spawn(before.close(LAST_NEWS));
        self.board.configured(setup);
        self.metrics.configured(&setup.config);
        self.senders.set(&setup.config.webhooks);
    }

    /// A configuration was kept out.
    pub fn refused(&self, why: &dyn Explain) {
        self.board.refused(why);
        self.metrics.refused();
    }

    /// A cycle has begun.
    pub fn begun(&self, at: Instant, deadline: Duration) {
        self.board.begun(at, deadline);
    }

    /// A cycle has ended.
    pub fn tell(&mut self, outcome: &Outcome, traffic: &[Traffic]) {
        self.journal.write(outcome);
        self.metrics.learn(outcome, traffic);
        self.board.learn(outcome);
        self.news.learn(outcome, Instant::now()).iter().for_each(|event| self.dispatcher.dispatch(event));
        self.metrics.delivered(&self.dispatcher.take_deliveries());
    }

    /// Whether this replica leads, now or again.
    pub fn stands(&self, leadership: &Leadership) {
        self.board.stands(leadership);
        self.metrics.stands(leadership);
    }

    /// Flux is watched from now on, or is not any more.
    pub fn watched(&self, is_watched: bool) {
        self.metrics.watched(is_watched);
        self.board.watched(is_watched);
    }

    /// There is news from Flux.
    pub fn hear(&mut self, news: &flux::FluxEvent) {
        let at = Timestamp::now();
        self.journal.hear(news);
        self.board.hear(news, at);
        self.metrics.hear(news, at);
        self.news.hear(news, at).iter().for_each(|event| self.dispatcher.dispatch(event));
        self.metrics.delivered(&self.dispatcher.take_deliveries());
    }

    /// The agent was told to stop.
    pub fn stopping(&self) {
        self.board.stopping();
    }

    /// The agent is at its end: what people are still to be told is told now or not at all.
    pub async fn stopped(self) {
        self.board.stopping();
        self.dispatcher.close(LAST_NEWS).await;
    }
}
