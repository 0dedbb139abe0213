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

#[cfg(test)]
mod tests {
    use sigstore_verify::trust_root::{
        SIGSTORE_GITHUB_TRUSTED_ROOT, SIGSTORE_PRODUCTION_TRUSTED_ROOT, SIGSTORE_STAGING_TRUSTED_ROOT,
    };

    use super::*;
    use crate::sigstore::matcher::Matcher;
    use crate::sigstore::material::{Content, Material};

    const CONDA: &str = "sha256:54303491a8418fbed24344b513546182c29b43bf282ceb433af65e2299f9271f";
    const NPM: &str = "sha512:46d4e2f74c4877316640000a6fdf8a8b59f1e0847667973e9859f774dd31b8f1e0937813b777fb66a2ac67d50540fe34640966eee9fc2ccca387082b4c85cd3c";

    macro_rules! public {
        ($name:literal) => {
            include_str!(concat!("../../fixtures/signatures/public/", $name, ".json"))
        };
    }

    fn judged(bundle: &str, digest: &str, root: &str, transparency: Transparency) -> Result<SignedBy, Cause> {
        let any = Matcher::parse("/.+/").expect("a pattern");
        let signers = [Signer::Keyless { issuer: any.clone(), subject: any }];
        let root = TrustedRoot::parse(root).expect("a root");
        let terms = Terms { signers: &signers, transparency, root: Some(&root) };
        let content = Content::Bundle { bytes: bundle.as_bytes().to_vec() };
        let evidence = Evidence::read(&Material { place: String::new(), content })?;
        verify(terms, &digest.parse().expect("a digest"), "", &evidence).map(|genuine| genuine.by)
    }

    fn public(bundle: &str, digest: &str) -> Result<SignedBy, Cause> {
        judged(bundle, digest, SIGSTORE_PRODUCTION_TRUSTED_ROOT, Transparency::Require)
    }

    #[test]
    fn bundles_of_the_public_instance_count() {
        for (bundle, digest, subject, day) in [
            (
                public!("conda"),
                CONDA,
                "https://github.com/prefix-dev/sigstore-example/.github/workflows/action.yaml@refs/heads/main",
                "2025-",
            ),
            (
                public!("cosign3-blob"),
                "sha256:e194b99df6639501325c5f44da79fe3a8efae6f239bd79443a19787e06fb1764",
                "w.vollprecht@gmail.com",
                "2025-",
            ),
            (
                public!("npm-provenance"),
                NPM,
                "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main",
                "2023-",
            ),
        ] {
            let by = public(bundle, digest).unwrap_or_else(|cause| panic!("{subject}: {cause}"));
            assert_eq!((by.signer(), by.transparency, by.format), (subject, LogProof::Inclusion, Format::Bundle));
            let time = by.time.expect("a time").to_string();
            assert!(time.starts_with(day), "{time}");
        }
    }

    #[test]
    fn the_second_rekor_needs_a_timestamp_authority() {
        let staging = |digest| judged(public!("rekor2"), digest, SIGSTORE_STAGING_TRUSTED_ROOT, Transparency::Require);
        let by = staging(CONDA).unwrap_or_else(|cause| panic!("{cause}"));
        assert_eq!((by.signer(), by.transparency, by.time.is_some()), ("jku@goto.fi", LogProof::Inclusion, true));
        assert_eq!(staging(NPM).expect_err("another package").label(), "other-digest");
        assert_eq!(public(public!("rekor2"), CONDA).expect_err("another authority").label(), "bad-timestamp");
    }

    #[test]
    fn spoiled_bundles_of_the_public_instance_do_not() {
        for (bundle, digest, label) in [
            (public!("conda"), NPM, "other-digest"),
            (public!("cosign3-blob"), CONDA, "other-digest"),
            (
                public!("promise-only"),
                "sha512:bbfd372fc9beeb777fe35d05bb10c0c70a9733d366a75fed7dd18866c7391de3ee7e88ba74dd47abf3e15c845e547fcf0e5c3da80854c751554224d3a6d4e55f",
                "no-inclusion-proof",
            ),
            (public!("no-time"), "sha256:ca6de99a11d3d38056d838c7dc9a23a11a0c81bcace0d11eaa301a2ffb482c42", "no-time"),
            (
                public!("no-entry"),
                "sha256:9b469fc9761e8b933073b62725fbc98b549c3314199ded71cc8b286ef2c6fb9b",
                "not-logged",
            ),
            (
                public!("no-checkpoint"),
                "sha256:802dd60ff88333802f2585e73043bd21c341285e1992fe5b31755e1cadeae30e",
                "unreadable",
            ),
            (public!("other-version"), CONDA, "unreadable"),
            (public!("two-signatures"), CONDA, "unreadable"),
        ] {
            let cause = public(bundle, digest).expect_err(label);
            assert_eq!(cause.label(), label, "{cause}");
        }
        let borrowed = "sha256:c87b5b213ab08b32970c106d0c7e4423e67f5449c2fd2d1e9b4ea6cc43b6ee7c";
        let borrowed =
            judged(public!("cve-2022-36056"), borrowed, SIGSTORE_STAGING_TRUSTED_ROOT, Transparency::Require);
        assert_eq!(borrowed.expect_err("the entry of another signature").label(), "other-entry");
        let other = judged(public!("conda"), CONDA, SIGSTORE_GITHUB_TRUSTED_ROOT, Transparency::Require);
        assert_eq!(other.expect_err("another instance").label(), "bad-log-proof");
    }

    #[test]
    fn an_instance_without_logs_proves_the_time() {
        let digest = "sha256:76f1fe8593bf227cca2c089e3c16dc95014a8d3e89c5dd220530469ca043c428";
        let github = |transparency| judged(public!("github"), digest, SIGSTORE_GITHUB_TRUSTED_ROOT, transparency);
        assert_eq!(github(Transparency::Require).expect_err("no log").label(), "not-logged");
        // The certificate names no issuer, so there is nobody to accept; everything before that was verified.
        let cause = github(Transparency::Ignore).expect_err("no issuer");
        assert_eq!(cause.label(), "other-identity", "{cause}");
    }
}
