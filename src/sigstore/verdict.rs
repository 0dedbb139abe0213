//! The result of a verification.

use std::fmt;

use crate::image::Digest;

use super::flaw::{Flaw, Shortfall};

/// The result of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// The signatures of the image that count.
    pub signatures: Vec<SignedBy>,
    /// The attestations that count.
    pub attestations: Vec<Attested>,
    /// The material that does not count. It does no harm if enough other material does.
    pub flaws: Vec<Flaw>,
    /// What is missing. If there is nothing, the requirement is met.
    pub shortfalls: Vec<Shortfall>,
}

impl Verdict {
    /// Returns whether the requirement is met.
    pub fn is_met(&self) -> bool {
        self.shortfalls.is_empty()
    }
}

/// A signature that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBy {
    /// The manifest that was signed: that of the index or of a platform.
    pub digest: Digest,
    /// Where the signature was found.
    pub place: String,
    /// The file of the key; `None` for a signature without one.
    pub key: Option<String>,
    /// The identity provider that a certificate names; `None` for a key.
    pub issuer: Option<String>,
    /// The identity that a certificate names; `None` for a key.
    pub subject: Option<String>,
    /// The proven time of the signature; `None` if nothing proves one, as for keys without a log.
    pub time: Option<jiff::Timestamp>,
    /// The format of the signature.
    pub format: Format,
    /// The proof that a log has the signature.
    pub transparency: LogProof,
}

impl SignedBy {
    /// Returns who signed: the identity, or the file of the key.
    pub fn signer(&self) -> &str {
        self.subject.as_deref().or(self.key.as_deref()).unwrap_or_default()
    }
}

/// The format of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// cosign 2: simple signing, or an envelope with annotations.
    Cosign2,
    /// cosign 3: a Sigstore bundle.
    Bundle,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Cosign2 => "cosign 2",
            Format::Bundle => "bundle",
        })
    }
}

/// The proof that a transparency log has a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogProof {
    /// An inclusion proof, up to a tree head that the log signed.
    Inclusion,
    /// The log's signed promise, which is all that cosign 2 stores.
    Promise,
    /// None was asked for.
    Ignored,
}

impl fmt::Display for LogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogProof::Inclusion => "inclusion proof",
            LogProof::Promise => "signed promise",
            LogProof::Ignored => "ignored",
        })
    }
}

/// An attestation that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// Who signed it, of which manifest, when.
    pub signature: SignedBy,
    /// The URI of its predicate type.
    pub predicate: String,
    /// The builder's id, of provenance.
    pub builder: Option<String>,
    /// The source repository, of provenance.
    pub source: Option<String>,
    /// The commit, of provenance.
    pub commit: Option<String>,
    /// The number of vulnerabilities that a scan found, of `vuln`.
    pub vulnerabilities: Option<usize>,
}
