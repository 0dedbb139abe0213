//! Kinds of failure, across all modules.
//!
//! Each module has its own precise error enum. At the edge only three things matter: how the process exits, under which
//! label the failure is counted, and what the person who reads it should do.

use std::error::Error;
use std::fmt;

/// The kind of a failure. It decides the exit code and the metric label, nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The command line, the configuration or a file of the user's is wrong, or refers to something that does not
    /// exist.
    BadInput,
    /// A gate refused: a broken image, a broken secret, a hold, a downgrade, a closed window.
    Blocked,
    /// Nothing was wrong, but another writer won every race.
    Stale,
    /// An outside system could not be reached or did not answer properly; retrying later may help.
    Transient,
    /// An outside system refused our credentials; retrying will not help.
    Denied,
    /// An outside system accepted our credentials but rejected the request (a hook, a protected branch).
    Refused,
    /// A failure of the local machine: a full disk, a folder that cannot be written.
    Local,
    /// A bug in tagalong.
    Bug,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Fault; 8] = [
        Fault::BadInput,
        Fault::Blocked,
        Fault::Stale,
        Fault::Transient,
        Fault::Denied,
        Fault::Refused,
        Fault::Local,
        Fault::Bug,
    ];

    /// Returns the exit code of the process, which the command line promises.
    pub fn exit_code(self) -> u8 {
        match self {
            Fault::BadInput => 2,
            Fault::Blocked => 3,
            Fault::Stale => 4,
            Fault::Transient | Fault::Denied => 5,
            Fault::Refused | Fault::Local | Fault::Bug => 1,
        }
    }

    /// The exit codes of the process with their meanings, as the documentation lists them.
    pub const EXIT_CODES: [(u8, &str); 6] = [
        (0, "done, or nothing to do"),
        (1, "any other error"),
        (2, "the command line or the configuration is invalid, or names something that does not exist"),
        (
            3,
            "refused by a gate: a secret, an incomplete or unsigned image, a hold, a downgrade, a stage; or an audit found something",
        ),
        (4, "the push lost every race"),
        (5, "a registry, the git server or the cluster could not be reached, or refused the credentials"),
    ];

    /// Returns the failure that decides the exit code if there are several: the smallest code from 2 on wins, because
    /// what the user can correct may be the cause of the rest, and 1 counts only if nothing else does.
    pub fn decisive(faults: impl IntoIterator<Item = Fault>) -> Option<Fault> {
        let rank = |fault: &Fault| match fault.exit_code() {
            1 => u8::MAX,
            code => code,
        };
        faults.into_iter().min_by_key(rank)
    }

    /// Returns a short lowercase name for logs and metrics.
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

/// Returns the URL of a page of the documentation, for example `configuration.md#stages`.
pub fn documentation(page: &str) -> String {
    format!("{}/src/branch/main/docs/{page}", env!("CARGO_PKG_REPOSITORY"))
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// An error with a kind and a remedy. Every error enum of this crate implements it.
///
/// `Display` says what failed, `source()` why, and `help()` what to do about it.
pub trait Explain: Error {
    /// Returns the kind of this failure.
    fn fault(&self) -> Fault;

    /// Returns one line with the remedy, without a final full stop; `None` if the message needs none.
    fn help(&self) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_failures_the_one_that_the_user_can_correct_decides() {
        let decisive = |faults: &[Fault]| Fault::decisive(faults.iter().copied());
        assert_eq!(decisive(&[Fault::Transient, Fault::Blocked]), Some(Fault::Blocked));
        assert_eq!(decisive(&[Fault::Denied, Fault::BadInput, Fault::Stale]), Some(Fault::BadInput));
        assert_eq!(decisive(&[Fault::Local, Fault::Transient]), Some(Fault::Transient));
        assert_eq!(decisive(&[Fault::Bug]), Some(Fault::Bug));
        assert_eq!(decisive(&[]), None);
    }
}
