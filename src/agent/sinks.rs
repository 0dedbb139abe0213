//! Where outcomes go: the log, the metrics, the status. Sinks are told and never ask back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fault::Explain;
use crate::registry::traffic::Traffic;

use super::board::Board;
use super::journal::Journal;
use super::metrics::Metrics;
use super::outcome::Outcome;
use super::setup::Setup;
use super::webhook::endpoint::Senders;

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
}

impl Sinks {
    /// A configuration was put to work.
    pub fn configured(&self, setup: &Setup) {
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
    }

    /// The agent was told to stop.
    pub fn stopping(&self) {
        self.board.stopping();
    }
}
