//! The errors in a configuration file, collected so that all of them can be fixed in one go.

use std::cell::RefCell;
use std::fmt;

use serde_saphyr::Location;

use super::key::{Key, Kind};

/// One error in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// `file:line:column: key: what is wrong`.
    pub text: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The errors in one configuration file.
#[derive(Debug)]
pub struct Diagnostics {
    file: String,
    /// The errors, each with its line and column.
    found: RefCell<Vec<(u64, u64, Diagnostic)>>,
    recorded: Option<RefCell<Vec<Key>>>,
}

impl Diagnostics {
    /// Starts with no errors.
    pub fn of(file: &str) -> Diagnostics {
        Diagnostics { file: file.to_owned(), found: RefCell::default(), recorded: None }
    }

    /// Records the keys that are read, with every section read as if it were present. The values read this way are
    /// meaningless.
    pub fn recording_keys() -> Diagnostics {
        Diagnostics { recorded: Some(RefCell::default()), ..Diagnostics::of("") }
    }

    /// The recorded keys, in the order in which they were read.
    pub fn into_keys(self) -> Vec<Key> {
        self.recorded.map(RefCell::into_inner).unwrap_or_default()
    }

    /// Whether keys are recorded.
    pub fn records_keys(&self) -> bool {
        self.recorded.is_some()
    }

    /// Records a key, if keys are recorded.
    pub fn record(&self, path: String, kind: Kind) {
        if let Some(recorded) = &self.recorded {
            recorded.borrow_mut().push(Key { path, kind });
        }
    }

    /// Adds an error at a place in the file.
    pub fn add(&self, at: &Location, path: &str, what: impl fmt::Display) {
        let colon = if path.is_empty() { "" } else { ": " };
        let text = format!("{}:{}:{}: {path}{colon}{what}", self.file, at.line(), at.column());
        self.found.borrow_mut().push((at.line(), at.column(), Diagnostic { text }));
    }

    /// Returns the errors, if there are any, in the order of their places.
    pub fn into_result(self) -> Result<(), Vec<Diagnostic>> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|(line, column, _)| (*line, *column));
        if found.is_empty() { Ok(()) } else { Err(found.into_iter().map(|(.., error)| error).collect()) }
    }
}
