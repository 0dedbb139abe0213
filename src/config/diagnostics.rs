//! The errors in a configuration file, collected so that all of them can be fixed in one go.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde_saphyr::Location;

use crate::text;

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

/// The number of errors that are reported: the first ones in the file. Others are only counted, because anybody who can push
/// writes the file of the repository.
const MOST: usize = 20;
/// The longest key and the longest explanation that are reported, in characters.
const LONGEST_KEY: usize = 200;
const LONGEST: usize = 1_000;

/// The errors in one configuration file.
#[derive(Debug)]
pub struct Diagnostics {
    file: String,
    /// The errors, each with its line and column.
    found: RefCell<Vec<(u64, u64, Diagnostic)>>,
    /// The number of errors that are not among them any more.
    omitted: Cell<usize>,
    recorded: Option<RefCell<Vec<Key>>>,
}

impl Diagnostics {
    /// Starts with no errors.
    pub fn of(file: &str) -> Diagnostics {
        Diagnostics { file: file.to_owned(), found: RefCell::default(), omitted: Cell::new(0), recorded: None }
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
        let (path, what) = (text::cut(path, LONGEST_KEY), what.to_string());
        let place = format!("{}:{}:{}", self.file, at.line(), at.column());
        let text = format!("{place}: {path}{colon}{}", text::cut(&what, LONGEST));
        let mut found = self.found.borrow_mut();
        found.push((at.line(), at.column(), Diagnostic { text }));
        // Sorting many at a time costs little per error.
        if found.len() > 10 * MOST {
            self.keep_first(&mut found);
        }
    }

    /// Returns the first errors, if there are any, in the order of their places. The last one says how many more there are.
    pub fn into_result(self) -> Result<(), Vec<Diagnostic>> {
        self.keep_first(&mut self.found.borrow_mut());
        let mut errors: Vec<Diagnostic> = self.found.into_inner().into_iter().map(|(.., error)| error).collect();
        match self.omitted.get() {
            0 => {}
            1 => errors.push(Diagnostic { text: format!("{}: 1 more error", self.file) }),
            more => errors.push(Diagnostic { text: format!("{}: {more} more errors", self.file) }),
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn keep_first(&self, found: &mut Vec<(u64, u64, Diagnostic)>) {
        found.sort_by_key(|(line, column, _)| (*line, *column));
        self.omitted.set(self.omitted.get() + found.len().saturating_sub(MOST));
        found.truncate(MOST);
    }
}
