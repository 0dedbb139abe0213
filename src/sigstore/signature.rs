//! One signature: is it genuine, and whose is it?

use jiff::Timestamp;
use sigstore_verify::crypto::{KeyAlgorithm, SigningScheme, VerificationKey};
use sigstore_verify::types::{Artifact, SignatureContent};
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult};

use crate::image::Digest;

use super::evidence::{Evidence, Role};
use super::failure;
use super::flaw::Cause;
use super::foreign::{shown, typed};
use super::key::PublicKey;
use super::provider;
use super::requirement::{Signer, Transparency};
use super::simple_signing;
use super::statement::Statement;
use super::trusted_root::TrustedRoot;
use super::verdict::{Format, LogProof, SignedBy};

/// The conditions under which a signature counts.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub signers: &'a [Signer],
    pub transparency: Transparency,
    pub root: Option<&'a TrustedRoot>,
}

/// A genuine signature, and the place of its signer in the list.
pub(super) struct Genuine {
    pub signer: usize,
    pub by: SignedBy,
}

/// What the verification of a signature proved.
struct Proof {
    signer: usize,
    key: Option<String>,
    issuer: Option<String>,
    subject: Option<String>,
    time: Option<Timestamp>,
    transparency: LogProof,
}

/// Verifies the signature of evidence that was stored for a manifest.
///
/// # Errors
/// It does not count.
pub(super) fn verify(terms: Terms<'_>, digest: &Digest, place: &str, evidence: &Evidence) -> Result<Genuine, Cause> {
    provider::install();
    let proof = match evidence.has_certificate() {
        true => by_identity(terms, digest, evidence)?,
        false => by_key(terms, digest, evidence)?,
    };
    // Only now is it known that the payload is the signer's.
    if let Role::Payload(payload) = &evidence.role {
        simple_signing::check(payload, digest)?;
    }
    let by = SignedBy {
        digest: digest.clone(),
        place: place.to_owned(),
        key: proof.key,
        issuer: proof.issuer,
        subject: proof.subject,
        time: proof.time,
        format: evidence.format,
        transparency: proof.transparency,
    };
    Ok(Genuine { signer: proof.signer, by })
}

fn by_key(terms: Terms<'_>, digest: &Digest, evidence: &Evidence) -> Result<Proof, Cause> {
    let mut keys = terms.signers.iter().enumerate().filter_map(|(place, signer)| match signer {
        Signer::Key { file, key } => Some((place, file, key)),
        Signer::Keyless { .. } => None,
    });
    if keys.clone().next().is_none() {
        return Err(Cause::NotByIdentity);
    }
    check_message_digest(digest, evidence)?;
    // Which key it is decides what is wrong, so it is found before logs are consulted.
    let made = |key: &PublicKey| made(key, digest, evidence);
    let (signer, file, key) = keys.find(|(_, _, key)| made(key)).ok_or(Cause::WrongKey)?;
    check_statement(digest, evidence)?;
    let (time, transparency) = match terms.transparency {
        // A log that nobody asked for could only do harm: its key may be unknown.
        Transparency::Ignore => (None, LogProof::Ignored),
        Transparency::Require => {
            let root = terms.root.ok_or(Cause::NoTrustedRoot)?;
            let transparency = logged(evidence)?;
            let policy = PublicKeyVerificationPolicy::new(key.der());
            let result = root.verifier().verify(evidence.artifact(digest)?, &evidence.bundle, &policy);
            (earliest(&result.map_err(|error| failure::cause(error, evidence, digest))?), transparency)
        }
    };
    Ok(Proof { signer, key: Some(file.clone()), issuer: None, subject: None, time, transparency })
}

fn by_identity(terms: Terms<'_>, digest: &Digest, evidence: &Evidence) -> Result<Proof, Cause> {
    if !terms.signers.iter().any(|signer| matches!(signer, Signer::Keyless { .. })) {
        return Err(Cause::NotByKey { claimed: failure::claimed(evidence) });
    }
    let root = terms.root.ok_or(Cause::NoTrustedRoot)?;
    let mut policy = VerificationPolicy::any_identity();
    if !root.has_certificate_logs() {
        policy = policy.skip_sct();
    }
    let transparency = match terms.transparency {
        Transparency::Require => logged(evidence)?,
        Transparency::Ignore => {
            policy = policy.skip_tlog_unsafe();
            LogProof::Ignored
        }
    };
    let result = root.verifier().verify(evidence.artifact(digest)?, &evidence.bundle, &policy);
    let result = result.map_err(|error| failure::cause(error, evidence, digest))?;
    check_statement(digest, evidence)?;
    let subject = result.identity().map(|identity| identity.as_str()).unwrap_or_default();
    let issuer = result.issuer().unwrap_or_default();
    let is_accepted = |signer: &Signer| match signer {
        Signer::Keyless { issuer: wanted, subject: expected } => {
            !subject.is_empty() && !issuer.is_empty() && wanted.matches(issuer) && expected.matches(subject)
        }
        Signer::Key { .. } => false,
    };
    let signer = terms.signers.iter().position(is_accepted);
    let (subject, issuer) = (shown(subject), shown(issuer));
    match signer {
        Some(signer) => {
            let time = earliest(&result);
            Ok(Proof { signer, key: None, issuer: Some(issuer), subject: Some(subject), time, transparency })
        }
        None => Err(Cause::OtherIdentity { subject, issuer }),
    }
}

/// Checks that a log claims to have the signature; whether it does is verified together with the signature.
fn logged(evidence: &Evidence) -> Result<LogProof, Cause> {
    let entries = &evidence.bundle.verification_material.tlog_entries;
    match evidence.format {
        _ if entries.is_empty() => Err(Cause::NotLogged),
        Format::Cosign2 => Ok(LogProof::Promise),
        Format::Bundle if entries.iter().all(|entry| entry.inclusion_proof.is_some()) => Ok(LogProof::Inclusion),
        Format::Bundle => Err(Cause::NoInclusionProof),
    }
}

/// Returns whether a key made a signature, which it may have hashed in more than one way.
fn made(key: &PublicKey, digest: &Digest, evidence: &Evidence) -> bool {
    let der = key.der();
    let Ok(parsed) = VerificationKey::from_spki(&der) else { return false };
    let schemes: &[SigningScheme] = match parsed.scheme().key_algorithm() {
        KeyAlgorithm::EcdsaP384 => &[SigningScheme::EcdsaP384Sha384, SigningScheme::EcdsaP384Sha256],
        _ => &[parsed.scheme()],
    };
    let is_valid = |data: &[u8], signature: &[u8]| {
        schemes.iter().any(|scheme| provider::is_valid(parsed.as_bytes(), *scheme, data, signature))
    };
    match (&evidence.bundle.content, evidence.artifact(digest)) {
        (SignatureContent::DsseEnvelope(envelope), _) => is_valid(&envelope.pae(), envelope.signature.sig.as_bytes()),
        (SignatureContent::MessageSignature(message), Ok(Artifact::Blob(blob))) => {
            is_valid(blob, message.signature.as_bytes())
        }
        (SignatureContent::MessageSignature(message), Ok(Artifact::Digest(digest))) => {
            let fitting = schemes.iter().filter(|scheme| scheme.hash_algorithm() == Some(digest.algorithm()));
            let verifies = |scheme: &SigningScheme| {
                let key = VerificationKey::from_spki_with_scheme(&der, *scheme);
                key.is_ok_and(|key| key.verify_prehashed(digest.as_bytes(), &message.signature).is_ok())
            };
            fitting.into_iter().any(verifies)
        }
        _ => false,
    }
}

/// Checks that the digest beside a signature over a whole manifest is that of the manifest. Only for the message: the
/// signature says the same, but not which manifest it is about.
fn check_message_digest(digest: &Digest, evidence: &Evidence) -> Result<(), Cause> {
    match (&evidence.role, &evidence.bundle.content) {
        (Role::Signature, SignatureContent::MessageSignature(message)) => match &message.message_digest {
            Some(named) if named.digest.as_bytes() != typed(digest)?.as_bytes() => {
                Err(failure::other_digest(evidence, digest))
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Checks that a signed statement is about the manifest.
fn check_statement(digest: &Digest, evidence: &Evidence) -> Result<(), Cause> {
    match &evidence.bundle.content {
        SignatureContent::DsseEnvelope(envelope) => Statement::read(envelope)?.check(digest),
        _ => Ok(()),
    }
}

/// The earliest proven time.
fn earliest(result: &VerificationResult) -> Option<Timestamp> {
    result.verified_timestamps().iter().copied().chain(result.integrated_time()).min()
}
