//! What a gate is.

use futures_util::future::LocalBoxFuture;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::operations::terms::Terms;
use crate::plan::decide::Update;
use crate::plan::skip::Reason;
use crate::plan::trailer::Hold;

/// Judges updates before they are written. A gate keeps back only the updates that it has something against.
pub trait Gate: Sync {
    /// Returns its name, as logs and the documentation have it.
    fn name(&self) -> &'static str;

    /// Returns whether it judges operations on these terms.
    fn applies_to(&self, _terms: Terms) -> bool {
        true
    }

    /// Judges updates that passed the gates before it. Returns a verdict for each, in their order.
    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g>;

    /// Returns the error of an operation that a person asked for by name, where it cannot do the rest without this update.
    fn error(&self, _update: &Update, _refusal: &Refusal) -> Option<CycleError> {
        None
    }
}

/// The verdicts on updates, in their order.
pub type Verdicts<'g> = LocalBoxFuture<'g, Result<Vec<Verdict>, CycleError>>;

/// What a gate decides about an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on to the next gate.
    Pass,
    /// The field stays.
    Keep(Refusal),
    /// Its tag is out of the question, and its policy takes the next best one: the plan has to be made again.
    ChooseAgain,
}

/// Why a field stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For machines.
    pub reason: Reason,
    /// For people.
    pub detail: String,
    /// The hold that keeps it, if it is one.
    pub hold: Option<Box<Hold>>,
}

impl Verdict {
    /// Keeps a field for a reason.
    pub fn keep(reason: Reason, detail: String) -> Verdict {
        Verdict::Keep(Refusal { reason, detail, hold: None })
    }

    /// Keeps a field because of a hold.
    pub fn held(hold: Hold, detail: String) -> Verdict {
        Verdict::Keep(Refusal { reason: Reason::Held, detail, hold: Some(Box::new(hold)) })
    }
}
