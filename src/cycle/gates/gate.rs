//! The trait of gates, and their verdicts.

use futures_util::future::LocalBoxFuture;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::operations::terms::Terms;
use crate::plan::decide::Update;
use crate::plan::skip::Reason;
use crate::plan::trailer::Hold;

/// A check that updates have to pass before they are written. A gate keeps back only the updates it objects to.
pub trait Gate: Sync {
    /// Returns its name in logs and in the documentation.
    fn name(&self) -> &'static str;

    /// Returns whether it applies to operations with these terms.
    fn applies_to(&self, _terms: Terms) -> bool {
        true
    }

    /// Judges updates that passed the previous gates. Returns a verdict for each, in the same order.
    fn judge<'g>(&'g self, updates: &'g [Update], context: &'g mut Context<'_>) -> Verdicts<'g>;

    /// Returns the error that ends an operation requested by a person, if the operation cannot do without this update.
    fn error(&self, _update: &Update, _refusal: &Refusal) -> Option<CycleError> {
        None
    }
}

/// The verdicts on updates, in the same order.
pub type Verdicts<'g> = LocalBoxFuture<'g, Result<Vec<Verdict>, CycleError>>;

/// The verdict of a gate on an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on to the next gate.
    Pass,
    /// The field stays.
    Keep(Refusal),
    /// The tag is broken and its policy falls back to the next best one: the plan has to be made again.
    ChooseAgain,
}

/// The reason why a field stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason as a machine-readable name.
    pub reason: Reason,
    /// The reason in plain text.
    pub detail: String,
    /// The hold that keeps the update back, if one does.
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

    /// Returns the hold that keeps the update back, if one does.
    pub fn hold(&self) -> Option<&Hold> {
        match self {
            Verdict::Keep(refusal) => refusal.hold.as_deref(),
            Verdict::Pass | Verdict::ChooseAgain => None,
        }
    }
}
