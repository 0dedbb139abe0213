//! The terminal: its width, and what is said on it besides results.

use std::io::{IsTerminal, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::text;

/// Whether only results and errors are printed.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// Chooses whether only results and errors are printed from now on.
pub fn set_quiet(is_quiet: bool) {
    IS_QUIET.store(is_quiet, Ordering::Relaxed);
}

/// Returns whether only results and errors are printed.
pub fn is_quiet() -> bool {
    IS_QUIET.load(Ordering::Relaxed)
}

/// Tells people what was done, on stderr, so that stdout holds the result alone. The text may be foreign.
pub fn tell(text: &str) {
    if !is_quiet() {
        anstream::eprintln!("{}", text::lines(text));
    }
}

/// Returns the number of columns that stdout has; in a pipe, lines may be as long as they are.
pub fn width() -> usize {
    let size = || terminal_size::terminal_size_of(stdout());
    let columns = stdout().is_terminal().then(size).flatten().map(|(width, _)| usize::from(width.0));
    columns.filter(|columns| *columns > 0).unwrap_or(usize::MAX)
}
