//! Material, read into one form: a bundle and the thing that it signs.

use serde::Deserialize;
use serde::de::IgnoredAny;
use sigstore_verify::types::{Artifact, Bundle, SignatureContent, VerificationMaterialContent};

use crate::image::Digest;

use super::cosign2;
use super::flaw::Cause;
use super::foreign::{typed, unreadable};
use super::material::{Content, MAX_BYTES, Material};
use super::verdict::Format;

/// The most entries of logs, timestamps and certificates that are looked at in one bundle, each.
const MAX_PARTS: usize = 16;
/// The most values that are read in one JSON text.
const MAX_VALUES: usize = 400_000;
/// The predicate type of cosign 3's signatures.
const COSIGN_SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// Material that was read but not verified.
pub(super) struct Evidence {
    pub bundle: Bundle,
    pub format: Format,
    pub role: Role,
}

/// What material claims to be.
pub(super) enum Role {
    /// A signature over a payload of cosign 2, which names the digest.
    Payload(Vec<u8>),
    /// A signature of the manifest.
    Signature,
    /// An attestation, with its predicate type.
    Attestation(String),
}

impl Evidence {
    /// Reads material.
    ///
    /// # Errors
    /// It is too large, or not in its form.
    pub fn read(material: &Material) -> Result<Evidence, Cause> {
        let (bytes, format) = match &material.content {
            Content::SimpleSigning { payload, .. } => (payload, Format::Cosign2),
            Content::Envelope { envelope, .. } => (envelope, Format::Cosign2),
            Content::Bundle { bytes } => (bytes, Format::Bundle),
        };
        check_size(bytes)?;
        let bundle = match &material.content {
            Content::SimpleSigning { annotations, .. } => cosign2::signature(bytes, annotations)?,
            Content::Envelope { annotations, .. } => cosign2::attestation(bytes, annotations)?,
            Content::Bundle { .. } => serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?,
        };
        limit(&bundle)?;
        let role = match (&material.content, &bundle.content) {
            (Content::SimpleSigning { payload, .. }, _) => Role::Payload(payload.clone()),
            (_, SignatureContent::DsseEnvelope(envelope)) => role(envelope.payload.as_bytes())?,
            (_, SignatureContent::MessageSignature(_)) => Role::Signature,
            _ => return Err(Cause::Unreadable("the bundle has neither a signature nor an envelope".to_owned())),
        };
        Ok(Evidence { bundle, format, role })
    }

    /// Returns the thing that the signature has to be about: the payload, or the manifest by its digest.
    pub fn artifact(&self, digest: &Digest) -> Result<Artifact<'_>, Cause> {
        match &self.role {
            Role::Payload(payload) => Ok(Artifact::from_blob(payload)),
            Role::Signature | Role::Attestation(_) => Ok(Artifact::from_digest(typed(digest)?)),
        }
    }

    /// Returns whether a certificate vouches for it, rather than a key.
    pub fn has_certificate(&self) -> bool {
        !matches!(self.bundle.verification_material.content, VerificationMaterialContent::PublicKey(_))
    }
}

/// Refuses what would take much more memory than its bytes: a list of small numbers takes sixteen times as much.
fn check_size(json: &[u8]) -> Result<(), Cause> {
    let values = json.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    match values {
        _ if json.len() > MAX_BYTES => Err(Cause::TooLarge("at most 8 MiB are read")),
        count if count > MAX_VALUES => Err(Cause::TooLarge("at most 400,000 values are read")),
        _ => Ok(()),
    }
}

fn limit(bundle: &Bundle) -> Result<(), Cause> {
    let material = &bundle.verification_material;
    let certificates = match &material.content {
        VerificationMaterialContent::X509CertificateChain { certificates } => certificates.len(),
        _ => 1,
    };
    let timestamps = material.timestamp_verification_data.rfc3161_timestamps.len();
    let hashes = material.tlog_entries.iter().filter_map(|entry| entry.inclusion_proof.as_ref());
    let deepest = hashes.map(|proof| proof.hashes.len()).max().unwrap_or_default();
    match (certificates, timestamps, material.tlog_entries.len()) {
        (0, _, _) => Err(Cause::Unreadable("its certificate chain is empty".to_owned())),
        (count, _, _) if count > MAX_PARTS => Err(Cause::TooLarge("at most 16 certificates are read")),
        (_, count, _) if count > MAX_PARTS => Err(Cause::TooLarge("at most 16 timestamps are read")),
        (_, _, count) if count > MAX_PARTS => Err(Cause::TooLarge("at most 16 log entries are read")),
        // A tree with more levels has more entries than a number of 64 bits can count.
        _ if deepest > 64 => Err(Cause::TooLarge("inclusion proofs have at most 64 hashes")),
        _ => Ok(()),
    }
}

fn role(payload: &[u8]) -> Result<Role, Cause> {
    /// The predicate itself may be large, and most kinds of attestations are not asked for.
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "predicateType")]
        predicate_type: String,
        #[serde(rename = "predicate")]
        _predicate: Option<IgnoredAny>,
    }
    check_size(payload)?;
    let head: Head = serde_json::from_slice(payload).map_err(|error| unreadable(&error))?;
    Ok(match head.predicate_type.as_str() {
        COSIGN_SIGNATURE => Role::Signature,
        _ => Role::Attestation(head.predicate_type),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refused(content: Content) -> Cause {
        Evidence::read(&Material { place: "a layer".to_owned(), content }).err().expect("it is refused")
    }

    fn bundle(change: impl Fn(&mut Value)) -> Result<Evidence, Cause> {
        let entry = json!({ "logId": { "keyId": "YQ==" }, "kindVersion": { "kind": "dsse", "version": "0.0.1" }, "canonicalizedBody": "e30=" });
        let payload = "eyJwcmVkaWNhdGVUeXBlIjoieCJ9";
        let mut bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": { "publicKey": { "hint": "" }, "tlogEntries": [entry] },
            "dsseEnvelope": { "payload": payload, "payloadType": "application/vnd.in-toto+json", "signatures": [{ "sig": "YQ==" }] },
        });
        change(&mut bundle);
        Evidence::read(&Material {
            place: "a layer".to_owned(),
            content: Content::Bundle { bytes: bundle.to_string().into_bytes() },
        })
    }

    fn label(change: impl Fn(&mut Value)) -> &'static str {
        bundle(change).map_or_else(|cause| cause.label(), |_| "fine")
    }

    #[test]
    fn bundles_are_read_within_limits() {
        let read = bundle(|_| {}).expect("a bundle");
        assert!(!read.has_certificate() && matches!(read.role, Role::Attestation(kind) if kind == "x"));
        let times = |count: usize| {
            label(|bundle| {
                let entry = bundle["verificationMaterial"]["tlogEntries"][0].take();
                bundle["verificationMaterial"]["tlogEntries"] = vec![entry; count].into();
            })
        };
        assert_eq!((times(16), times(17)), ("fine", "too-large"));
        let chain = |count: usize| {
            label(|bundle| {
                let certificates = vec![json!({ "rawBytes": "YQ==" }); count];
                bundle["verificationMaterial"] = json!({ "x509CertificateChain": { "certificates": certificates } });
            })
        };
        assert_eq!((chain(0), chain(16), chain(17)), ("unreadable", "fine", "too-large"));
        let stamps = vec![json!({ "signedTimestamp": "YQ==" }); 17];
        let data = json!({ "rfc3161Timestamps": stamps });
        assert_eq!(
            label(|bundle| bundle["verificationMaterial"]["timestampVerificationData"] = data.clone()),
            "too-large"
        );
    }

    #[test]
    fn what_would_take_much_memory_is_refused() {
        let many = format!("{{\"a\":[{}]}}", "1,".repeat(MAX_VALUES));
        assert_eq!(refused(Content::Bundle { bytes: many.into_bytes() }).label(), "too-large");
        assert_eq!(refused(Content::Bundle { bytes: vec![b' '; MAX_BYTES + 1] }).label(), "too-large");
        assert_eq!(refused(Content::Bundle { bytes: "[".repeat(100_000).into_bytes() }).label(), "unreadable");
        let annotations = [("dev.cosignproject.cosign/signature".to_owned(), "a".repeat(1 << 20))].into();
        assert_eq!(refused(Content::SimpleSigning { payload: b"{}".to_vec(), annotations }).label(), "too-large");
    }

    #[test]
    fn other_forms_are_refused() {
        assert_eq!(label(|bundle| bundle["mediaType"] = "x".into()), "unreadable");
        assert_eq!(label(|bundle| bundle["dsseEnvelope"]["signatures"] = json!([])), "unreadable");
        assert_eq!(label(|bundle| bundle["dsseEnvelope"]["payload"] = "e30=".into()), "unreadable");
        assert_eq!(label(|bundle| bundle["dsseEnvelope"] = Value::Null), "unreadable");
        let without = Content::SimpleSigning { payload: b"{}".to_vec(), annotations: [].into() };
        assert_eq!(
            refused(without).to_string(),
            "it cannot be read: the annotation dev.cosignproject.cosign/signature is missing"
        );
    }
}
