//! How a cycle ended: what every sink is told.

use std::time::Duration;

use jiff::Timestamp;

use crate::cycle::error::CycleError;
use crate::cycle::report::Report;
use crate::fault::{Explain, Fault};

/// How a cycle ended.
#[derive(Debug)]
pub struct Outcome {
    /// Which cycle it was, from 1.
    pub number: u64,
    /// When it ended.
    pub ended: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What it did, or why it did not get to its end.
    pub result: Result<Report, Failure>,
}

/// Why a cycle did not get to its end.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something went wrong in it.
    #[error(transparent)]
    Cycle(Box<CycleError>),
    /// It took too long.
    #[error("the cycle was given up after {} s", after.as_secs_f64())]
    Overdue {
        /// Its deadline.
        after: Duration,
    },
    /// It panicked. What the panic said stays out of here: it may hold anything.
    #[error("the cycle met an internal error")]
    Panicked,
    /// The agent was told to stop.
    #[error("the cycle was given up because the agent was told to stop")]
    Stopped,
    /// Another replica leads, or it is not known any more that this one does.
    #[error("the cycle was given up because this replica does not lead any more")]
    Deposed,
}

impl Failure {
    /// A short lowercase name for metrics.
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
                Some("look for a slow registry or git server, or raise agent.deadline".to_owned())
            }
            Failure::Panicked => Some(
                "this is a bug in tagalong; please report it with the line in the log that names the place".to_owned(),
            ),
            Failure::Stopped | Failure::Deposed => None,
        }
    }
}
