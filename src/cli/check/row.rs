//! The result of a check.

use serde::Serialize;

use crate::fault::{Explain, Fault};

/// The result of a check.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The kind of check.
    pub check: &'static str,
    /// What was checked.
    pub target: String,
    /// Whether it works.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub help: Option<String>,
    /// What it is needed to do.
    pub purpose: Option<String>,
    /// The kind of failure.
    #[serde(skip)]
    pub fault: Option<Fault>,
    /// True if it is not an error, but probably a mistake.
    #[serde(skip)]
    pub warns: bool,
}

impl Row {
    /// Makes a row of a result.
    pub fn new(check: &'static str, target: impl Into<String>, result: Result<String, &dyn Explain>) -> Row {
        let (ok, detail, help, fault) = match result {
            Ok(detail) => (true, detail, None, None),
            Err(error) => {
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                (false, format!("{error}{cause}"), error.help(), Some(error.fault()))
            }
        };
        Row { check, target: target.into(), ok, detail, help, purpose: None, fault, warns: false }
    }

    /// Makes a row of a result, with what to say if all is well.
    pub fn of<T, E: Explain>(
        check: &'static str,
        target: impl Into<String>,
        result: Result<T, E>,
        detail: impl Into<String>,
    ) -> Row {
        let result = result.as_ref().map(|_| detail.into());
        Row::new(check, target, result.map_err(|error| error as &dyn Explain))
    }

    /// Adds what it is needed to do, such as `commit updates`.
    pub fn needed_to(self, purpose: impl Into<String>) -> Row {
        Row { purpose: Some(purpose.into()), ..self }
    }

    /// Turns it into a warning, which keeps its help and does not fail the command.
    pub fn warning(self) -> Row {
        Row { ok: true, warns: true, fault: None, ..self }
    }
}
