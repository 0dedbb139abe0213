//! The reasons why material does not count, and what is missing without it.

use std::fmt;

use jiff::Timestamp;

use crate::image::Digest;

use super::requirement::Severity;

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

/// The reasons why material does not count. Texts from outside are on one line and cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum Cause {
    /// It is not in a form that is known.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It is larger, or has more parts, than is looked at.
    #[error("it is too large: {0}")]
    TooLarge(&'static str),
    /// It was stored for a manifest that nobody asked about.
    #[error("it belongs to a manifest that is not part of this image")]
    Unrelated,
    /// Certificates do not count.
    #[error("it was signed with a certificate ({claimed}), but only keys are accepted; add the identity to keyless")]
    NotByKey { claimed: String },
    /// Keys do not count.
    #[error("it was signed with a key, but only identities are accepted; add the public key to keys")]
    NotByIdentity,
    /// None of the keys made the signature.
    #[error(
        "none of the accepted keys made the signature; sign with one of them, or add the public key that belongs to it"
    )]
    WrongKey,
    /// The signer is somebody else.
    #[error("it was signed by {subject} (issuer {issuer}), who is not accepted; add the identity if it should be")]
    OtherIdentity { subject: String, issuer: String },
    /// The certificate does not match the signature.
    #[error("the signature does not belong to its certificate, or the content was changed after it was signed")]
    BadSignature,
    /// It is about another image.
    #[error("it is about {named}, not about {digest}: it was copied from another image; sign this one")]
    OtherDigest { named: String, digest: Digest },
    /// The certificate was not valid at the proven time.
    #[error("the certificate was not valid when it was used: {0}; sign while the certificate is valid")]
    ExpiredIdentity(String),
    /// Nobody who is trusted proves the time.
    #[error("nothing proves when the signature was made; sign with a transparency log or a timestamp authority")]
    NoTime,
    /// The timestamp of an authority is not valid.
    #[error("the timestamp does not count: {0}")]
    BadTimestamp(String),
    /// The certificate is not from a trusted authority.
    #[error(
        "the certificate does not count: {0}; check that the trusted root is the one of the signer's Sigstore instance"
    )]
    UntrustedCertificate(String),
    /// There is nothing to verify it with.
    #[error("it needs a trusted root, and none is configured; set trustedRoot")]
    NoTrustedRoot,
    /// No log has it.
    #[error("it has no proof of a transparency log; sign with --tlog-upload=true, or set transparency to ignore")]
    NotLogged,
    /// The log's proof is missing.
    #[error("its log entry has no inclusion proof; sign again, or set transparency to ignore")]
    NoInclusionProof,
    /// The log's proof is not valid.
    #[error("the proof of the transparency log does not count: {0}")]
    BadLogProof(String),
    /// The log's proof is about something else.
    #[error("its log entry is that of another signature: {0}")]
    OtherEntry(String),
    /// The statement is not one.
    #[error("the statement is of the unknown type {0}")]
    StatementType(String),
    /// The commit is not that of the tag.
    #[error("it names the commit {found}, but the tag names {wanted}: the image was not built from what its tag says")]
    OtherCommit { found: String, wanted: String },
    /// The tag's commit says too little.
    #[error("the tag has only {0} digits of a commit, of which at least 7 are needed to compare it")]
    ShortCommit(usize),
    /// The provenance names no source.
    #[error("it names neither a source repository nor a commit that could be compared")]
    NoSource,
    /// The provenance names several sources.
    #[error("it names several source repositories and does not say which one the image was built from: {0}")]
    SeveralSources(String),
    /// The source is another one.
    #[error("it names the source repository {found}, but {wanted} is accepted")]
    OtherSource { found: String, wanted: String },
    /// The builder is another one.
    #[error("it names the builder {found}, but {wanted} is accepted")]
    OtherBuilder { found: String, wanted: String },
    /// A condition does not hold.
    #[error("its {path} is {found}, but it has to be {wanted}")]
    Condition { path: String, found: String, wanted: String },
    /// The scan cannot be judged.
    #[error(
        "the result of the scan cannot be read ({0}), so it proves nothing; use the JSON of Grype or Trivy, or SARIF"
    )]
    UnreadableScan(String),
    /// The scan found too much.
    #[error("the scan found {count} above {limit}: {examples}; fix them, or list them under allow")]
    Vulnerable { count: String, limit: Severity, examples: String },
    /// A rule asks for what its type does not have.
    #[error("the rule asks for {0}, which attestations of this type do not have")]
    Misplaced(&'static str),
    /// Another attestation replaced it.
    #[error("a newer attestation of the same type replaced it ({0})")]
    Replaced(Timestamp),
}

impl Cause {
    /// Returns a short lowercase name, for JSON and tests.
    pub fn label(&self) -> &'static str {
        match self {
            Cause::Unreadable(_) => "unreadable",
            Cause::TooLarge(_) => "too-large",
            Cause::Unrelated => "unrelated",
            Cause::NotByKey { .. } => "not-by-key",
            Cause::NotByIdentity => "not-by-identity",
            Cause::WrongKey => "wrong-key",
            Cause::OtherIdentity { .. } => "other-identity",
            Cause::BadSignature => "bad-signature",
            Cause::OtherDigest { .. } => "other-digest",
            Cause::ExpiredIdentity(_) => "expired-identity",
            Cause::NoTime => "no-time",
            Cause::BadTimestamp(_) => "bad-timestamp",
            Cause::UntrustedCertificate(_) => "untrusted-certificate",
            Cause::NoTrustedRoot => "no-trusted-root",
            Cause::NotLogged => "not-logged",
            Cause::NoInclusionProof => "no-inclusion-proof",
            Cause::BadLogProof(_) => "bad-log-proof",
            Cause::OtherEntry(_) => "other-entry",
            Cause::StatementType(_) => "statement-type",
            Cause::OtherCommit { .. } => "other-commit",
            Cause::ShortCommit(_) => "short-commit",
            Cause::NoSource => "no-source",
            Cause::SeveralSources(_) => "several-sources",
            Cause::OtherSource { .. } => "other-source",
            Cause::OtherBuilder { .. } => "other-builder",
            Cause::Condition { .. } => "condition",
            Cause::UnreadableScan(_) => "unreadable-scan",
            Cause::Vulnerable { .. } => "vulnerable",
            Cause::Misplaced(_) => "misplaced",
            Cause::Replaced(_) => "replaced",
        }
    }
}

/// What is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum Shortfall {
    /// There is nothing to accept a signature from.
    #[error("no signer is configured whose signature could count")]
    NoSigners,
    /// There are no signatures at all.
    #[error("{digest} is not signed")]
    Unsigned { digest: Digest },
    /// There are too few signatures that count.
    #[error("{digest} is signed by {found} of the accepted signers, but {need} are needed")]
    TooFew { digest: Digest, found: usize, need: usize },
    /// An attestation is missing.
    #[error("{digest} has no attestation of type {predicate}")]
    NoAttestation { digest: Digest, predicate: String },
    /// There are attestations, none of which counts.
    #[error("{digest} has no attestation of type {predicate} that counts")]
    Attestation { digest: Digest, predicate: String },
}
