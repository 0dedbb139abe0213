//! The reasons why material does not count, and what is missing without it.

use std::fmt;

use crate::image::Digest;

/// Material that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The manifest that it was found for.
    pub digest: Digest,
    /// Where it was found.
    pub place: String,
    /// Why it does not count.
    pub cause: Cause,
}

impl fmt::Display for Flaw {
    /// Writes what was found, why it does not count, and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.cause)
    }
}

/// The reasons why material does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum Cause {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// None of the keys made the signature.
    #[error("none of the configured keys made this signature; sign with one of them, or add the key that was used")]
    WrongKey,
}

/// What is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum Shortfall {
    /// There are no signatures at all.
    #[error("no signature of {digest} was found")]
    Unsigned { digest: Digest },
    /// There are too few signatures that count.
    #[error("{digest} has {found} of {need} required signatures")]
    TooFew { digest: Digest, found: usize, need: usize },
    /// An attestation is missing.
    #[error("{digest} has no valid attestation of type {predicate}")]
    Attestation { digest: Digest, predicate: String },
}
