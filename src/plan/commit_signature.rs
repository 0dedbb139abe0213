//! The signature of a commit and what `trust.signers` made of it, for people and scripts.

use std::fmt;

use serde::Serialize;

/// The signature of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitSignature {
    /// What `trust.signers` made of it.
    pub verdict: SignatureVerdict,
    /// The ID of the commit. For a merge, that may be the commit that it brought.
    pub commit: String,
    /// The person whose key it is, if a single one is known.
    pub signer: Option<String>,
    /// The fingerprint of the key.
    pub key: Option<String>,
    /// The reason why it was refused.
    pub reason: Option<String>,
}

/// What `trust.signers` make of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureVerdict {
    /// One of their keys made it.
    Accepted,
    /// It does not count, for a reason of its own.
    Refused,
    /// Another key made it.
    UnknownKey,
    /// There is none.
    Unsigned,
}

impl fmt::Display for SignatureVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SignatureVerdict::Accepted => "accepted",
            SignatureVerdict::Refused => "refused",
            SignatureVerdict::UnknownKey => "unknown-key",
            SignatureVerdict::Unsigned => "unsigned",
        })
    }
}

/// Writes what follows "the commit is".
impl fmt::Display for CommitSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CommitSignature { verdict, signer, key, reason, .. } = self;
        match (verdict, signer, key) {
            (SignatureVerdict::Unsigned, ..) => return f.write_str("not signed"),
            (SignatureVerdict::UnknownKey, _, None) => return f.write_str("signed with an unknown key"),
            (SignatureVerdict::UnknownKey, _, Some(key)) => return write!(f, "signed with an unknown key ({key})"),
            (_, Some(signer), Some(key)) => write!(f, "signed by {signer} ({key})")?,
            (_, None, Some(key)) => write!(f, "signed with {key}")?,
            (_, _, None) => f.write_str("signed")?,
        }
        match reason {
            Some(reason) => write!(f, ", refused because {reason}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_described() {
        let text = |verdict, signer: Option<&str>, key: Option<&str>, reason: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let commit = "c0ffee5".to_owned();
            CommitSignature { verdict, commit, signer: owned(signer), key: owned(key), reason: owned(reason) }
                .to_string()
        };
        let (ada, key) = (Some("Ada"), Some("SHA256:x"));
        assert_eq!(text(SignatureVerdict::Accepted, ada, key, None), "signed by Ada (SHA256:x)");
        assert_eq!(text(SignatureVerdict::Accepted, None, key, None), "signed with SHA256:x");
        let refused = text(SignatureVerdict::Refused, ada, key, Some("it has expired"));
        assert_eq!(refused, "signed by Ada (SHA256:x), refused because it has expired");
        let invalid = text(SignatureVerdict::Refused, None, None, Some("it is not valid"));
        assert_eq!(invalid, "signed, refused because it is not valid");
        assert_eq!(text(SignatureVerdict::UnknownKey, None, key, None), "signed with an unknown key (SHA256:x)");
        assert_eq!(text(SignatureVerdict::Unsigned, None, None, None), "not signed");
    }
}
