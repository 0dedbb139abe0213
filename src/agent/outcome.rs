//! The outcome of a cycle, which every observer is notified of.

use std::time::Duration;

use jiff::Timestamp;

use crate::cycle::error::CycleError;
use crate::cycle::report::Report;
use crate::fault::{Explain, Fault};

/// The outcome of a cycle.
#[derive(Debug)]
pub struct Outcome {
    /// The number of the cycle, from 1.
    pub number: u64,
    /// The time at which it ended.
    pub ended: Timestamp,
    /// Its duration.
    pub took: Duration,
    /// Its report, or the reason why it did not finish.
    pub result: Result<Report, Failure>,
}

/// The reason why a cycle did not finish.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It failed.
    #[error(transparent)]
    Cycle(Box<CycleError>),
    /// It took too long.
    #[error("the cycle was aborted after {} s", after.as_secs_f64())]
    Overdue {
        /// Its deadline.
        after: Duration,
    },
    /// It panicked. The message of the panic is left out: it may contain anything.
    #[error("internal error in the cycle")]
    Panicked,
    /// The agent is stopping.
    #[error("the cycle was aborted because the agent is stopping")]
    Stopped,
    /// This replica lost the lead, or can no longer be sure of it.
    #[error("the cycle was aborted because this replica no longer leads")]
    Deposed,
}

impl Failure {
    /// The labels of failures that are not errors of the cycle.
    pub const LABELS: [&'static str; 4] = ["deadline", "panic", "stopped", "deposed"];

    /// Returns all labels.
    pub fn labels() -> impl Iterator<Item = &'static str> {
        Fault::ALL.into_iter().map(Fault::label).chain(Failure::LABELS)
    }

    /// Returns a short lowercase name for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Failure::Cycle(error) => error.fault().label(),
            Failure::Overdue { .. } => "deadline",
            Failure::Panicked => "panic",
            Failure::Stopped => "stopped",
            Failure::Deposed => "deposed",
        }
    }
}

impl Explain for Failure {
    fn fault(&self) -> Fault {
        match self {
            Failure::Cycle(error) => error.fault(),
            Failure::Overdue { .. } | Failure::Stopped | Failure::Deposed => Fault::Transient,
            Failure::Panicked => Fault::Bug,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Failure::Cycle(error) => error.help(),
            Failure::Overdue { .. } => {
                Some("check for a slow registry or git server, or raise agent.deadline".to_owned())
            }
            Failure::Panicked => {
                Some("this is a bug in tagalong; please report it with the log line that names the location".to_owned())
            }
            Failure::Stopped | Failure::Deposed => None,
        }
    }
}
