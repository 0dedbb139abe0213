//! What kind of failure an error is, whatever module it comes from.
//!
//! Inside, every module has its own precise error enum. At the edge only three things matter: how the process exits,
//! under which label the failure is counted, and what the person reading it should do.

use std::error::Error;
use std::fmt;

/// The kind of a failure. It decides the exit code and the metric label, nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The command line, the configuration or a file of the user's is wrong, or names nothing that exists.
    BadInput,
    /// A gate refused: a broken image, a broken secret, a hold, a downgrade, a closed window.
    Blocked,
    /// Everything was right, but someone else was always first.
    Stale,
    /// An outside system could not be reached or did not answer properly; trying again later may help.
    Transient,
    /// An outside system refused our credentials; trying again will not help.
    Denied,
    /// An outside system, reached and authenticated, said no in its own words (a hook, a protected branch).
    Refused,
    /// The local machine failed us: a disk that is full, a folder that cannot be written.
    Local,
    /// Tagalong itself is wrong.
    Bug,
}

impl Fault {
    /// The exit code of the process, as the command line promises it.
    pub fn exit_code(self) -> u8 {
        match self {
            Fault::BadInput => 2,
            Fault::Blocked => 3,
            Fault::Stale => 4,
            Fault::Transient | Fault::Denied => 5,
            Fault::Refused | Fault::Local | Fault::Bug => 1,
        }
    }

    /// A short lowercase name for logs and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Fault::BadInput => "bad-input",
            Fault::Blocked => "blocked",
            Fault::Stale => "stale",
            Fault::Transient => "transient",
            Fault::Denied => "denied",
            Fault::Refused => "refused",
            Fault::Local => "local",
            Fault::Bug => "bug",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// An error that knows its kind and its remedy. Every error enum of this crate implements it.
///
/// `Display` says what failed and on what; `source()` says why; `help()` says what to do.
pub trait Explain: Error {
    /// The kind of this failure.
    fn fault(&self) -> Fault;

    /// One line with the remedy, without a final full stop; `None` when the message already says it all.
    fn help(&self) -> Option<String> {
        None
    }
}
