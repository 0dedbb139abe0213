//! What the library says about a signature that it refuses, in the words of this module.

use jiff::Timestamp;
use sigstore_verify::crypto::{CertificateInfo, parse_certificate_info};
use sigstore_verify::types::SignatureContent;
use sigstore_verify::{CertificateError, Error, TimestampError, TransparencyLogError};

use crate::image::Digest;

use super::evidence::Evidence;
use super::flaw::Cause;
use super::foreign::{shown, unreadable};
use super::statement::Statement;

/// Returns the cause for an error of the library.
pub(super) fn cause(error: Error, evidence: &Evidence, digest: &Digest) -> Cause {
    let text = shown(&error.to_string());
    match error {
        Error::SignatureInvalid(_) => Cause::BadSignature,
        // The library has one error for a log entry and for a statement about another artifact.
        Error::ArtifactMismatch(detail) if detail.contains("hashedrekord") => Cause::OtherEntry(shown(&detail)),
        Error::ArtifactMismatch(_) => other_digest(evidence, digest),
        Error::Certificate(CertificateError::Expired { time, not_after }) => {
            Cause::ExpiredIdentity(format!("it was used at {time}, and expired at {not_after}"))
        }
        Error::Certificate(CertificateError::NotYetValid { time, not_before }) => {
            Cause::ExpiredIdentity(format!("it was used at {time}, before it became valid at {not_before}"))
        }
        Error::Certificate(CertificateError::Malformed(detail)) => Cause::Unreadable(shown(&detail)),
        Error::Certificate(_) => untimely(evidence).unwrap_or(Cause::UntrustedCertificate(text)),
        Error::TransparencyLog(TransparencyLogError::EntryMismatch(detail)) => Cause::OtherEntry(shown(&detail)),
        Error::TransparencyLog(TransparencyLogError::IntegratedTime(_)) => {
            untimely(evidence).unwrap_or(Cause::BadLogProof(text))
        }
        Error::TransparencyLog(_) => Cause::BadLogProof(text),
        Error::Timestamp(TimestampError::NoVerifiedTimestamp(_)) => Cause::NoTime,
        Error::Timestamp(_) => Cause::BadTimestamp(text),
        other => unreadable(&other),
    }
}

/// Returns the cause for a signature that is about another manifest.
pub(super) fn other_digest(evidence: &Evidence, digest: &Digest) -> Cause {
    match &evidence.bundle.content {
        SignatureContent::DsseEnvelope(envelope) => match Statement::read(envelope).and_then(|read| read.check(digest))
        {
            Err(cause) => cause,
            Ok(()) => Cause::BadSignature,
        },
        _ => Cause::OtherDigest { named: "another manifest".to_owned(), digest: digest.clone() },
    }
}

/// Returns whom a certificate names, which is not verified.
pub(super) fn claimed(evidence: &Evidence) -> String {
    let identity = certificate(evidence).and_then(|info| info.identity);
    identity.map_or_else(|| "naming nobody".to_owned(), |identity| format!("of {}", shown(identity.as_str())))
}

/// Returns the cause for a certificate that was not valid when its log entry was made. The library checks the chain
/// first, and its message does not say that it is the time which does not fit.
fn untimely(evidence: &Evidence) -> Option<Cause> {
    let info = certificate(evidence)?;
    let entries = &evidence.bundle.verification_material.tlog_entries;
    let is_outside = |time: &Timestamp| *time < info.not_before || *time > info.not_after;
    let time = entries.iter().filter_map(|entry| entry.integrated_time).find(is_outside)?;
    let (from, until) = (info.not_before, info.not_after);
    Some(Cause::ExpiredIdentity(format!("it was used at {time}, and is valid from {from} to {until}")))
}

fn certificate(evidence: &Evidence) -> Option<CertificateInfo> {
    parse_certificate_info(evidence.bundle.signing_certificate()?).ok()
}
