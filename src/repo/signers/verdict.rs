//! The verdict on the signature of a commit.

/// The verdict of some keys on the signature of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// One of the keys made it.
    Accepted(SignedWith),
    /// It does not count.
    Refused {
        /// The key, if it is one of them.
        with: Option<SignedWith>,
        /// The reason.
        reason: String,
    },
    /// It names a key that is not one of them: the fingerprint, or the ID of an OpenPGP key, or nothing if it has neither.
    UnknownKey(Option<String>),
    /// There is none.
    Unsigned,
}

/// A key that made a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedWith {
    /// The fingerprint, as git shows it.
    pub key: String,
    /// The person: a principal of an SSH key that is a single one, or the user ID of an OpenPGP key.
    pub who: Option<String>,
}

impl Verdict {
    /// The verdict on a signature by nobody known.
    pub fn refused(reason: &str) -> Verdict {
        Verdict::Refused { with: None, reason: reason.to_owned() }
    }

    /// Returns whether the signature counts.
    pub fn is_accepted(&self) -> bool {
        matches!(self, Verdict::Accepted(_))
    }
}

impl SignedWith {
    /// Returns the person, or else the key.
    pub fn name(&self) -> &str {
        self.who.as_deref().unwrap_or(&self.key)
    }
}
