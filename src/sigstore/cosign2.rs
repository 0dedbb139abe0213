//! The formats of cosign 2: a payload or an envelope as a layer, with the rest in annotations. They are turned into
//! bundles, so that there is one verification.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use sigstore_verify::types::{
    Bundle, DerCertificate, DigestBytes, DsseEnvelope, HashAlgorithm, MediaType, MessageDigest, MessageSignature,
    PublicKeyIdentifier, Rfc3161Timestamp, SignatureBytes, SignatureContent, TimestampToken, TimestampVerificationData,
    TransparencyLogEntry, VerificationMaterial, VerificationMaterialContent, X509Certificate,
};

use super::flaw::Cause;
use super::foreign::{unhex, unreadable};
use super::material::MAX_ANNOTATION;

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const LOG: &str = "dev.sigstore.cosign/bundle";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

type Annotations = BTreeMap<String, String>;

/// Reads a signature over a payload.
pub(super) fn signature(payload: &[u8], annotations: &Annotations) -> Result<Bundle, Cause> {
    let signature = annotation(annotations, SIGNATURE)?.ok_or_else(|| missing(SIGNATURE))?;
    let digest = MessageDigest::new(HashAlgorithm::Sha2256, DigestBytes::new(Sha256::digest(payload).to_vec()));
    let signature = MessageSignature::new(SignatureBytes::new(decoded(signature)?)).with_message_digest(digest);
    bundle(SignatureContent::MessageSignature(signature), annotations)
}

/// Reads an attestation in its envelope.
pub(super) fn attestation(envelope: &[u8], annotations: &Annotations) -> Result<Bundle, Cause> {
    let envelope: DsseEnvelope = serde_json::from_slice(envelope).map_err(|error| unreadable(&error))?;
    bundle(SignatureContent::DsseEnvelope(envelope), annotations)
}

fn bundle(content: SignatureContent, annotations: &Annotations) -> Result<Bundle, Cause> {
    let entry = annotation(annotations, LOG)?.map(log_entry).transpose()?;
    // The oldest version of bundles is the one whose log entries may have a promise alone, but it has to have one.
    let media_type = if entry.is_some() { MediaType::Bundle0_1 } else { MediaType::Bundle0_2 };
    let material = VerificationMaterial::new(signer(annotations)?)
        .with_tlog_entries(entry.into_iter().collect())
        .with_timestamp_verification_data(timestamps(annotations)?);
    Ok(Bundle::new(media_type, material, content))
}

fn signer(annotations: &Annotations) -> Result<VerificationMaterialContent, Cause> {
    let Some(leaf) = annotation(annotations, CERTIFICATE)? else {
        return Ok(VerificationMaterialContent::PublicKey(PublicKeyIdentifier::new("")));
    };
    let mut certificates = certificates(leaf)?;
    certificates.truncate(1);
    if let Some(chain) = annotation(annotations, CHAIN)? {
        certificates.extend(self::certificates(chain)?);
    }
    Ok(VerificationMaterialContent::X509CertificateChain { certificates })
}

fn certificates(pem: &str) -> Result<Vec<X509Certificate>, Cause> {
    const END: &str = "-----END CERTIFICATE-----";
    let blocks = pem.split_inclusive(END).filter(|block| !block.trim().is_empty());
    let read =
        |block: &str| DerCertificate::from_pem(block).map(X509Certificate::new).map_err(|error| unreadable(&error));
    blocks.map(read).collect()
}

/// The log's answer as cosign stores it.
#[derive(Deserialize)]
struct LogBundle {
    #[serde(rename = "SignedEntryTimestamp")]
    promise: String,
    #[serde(rename = "Payload")]
    payload: LogPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogPayload {
    body: String,
    integrated_time: i64,
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

/// The kind of the entry, which the bundle names beside its body.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    kind: String,
    api_version: String,
}

fn log_entry(text: &str) -> Result<TransparencyLogEntry, Cause> {
    let log: LogBundle = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    let body = decoded(&log.payload.body)?;
    let kind: Kind = serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
    let id: Option<Vec<u8>> = unhex(&log.payload.log_id);
    let id = id.ok_or_else(|| Cause::Unreadable("the id of the log is not hexadecimal".to_owned()))?;
    let entry = json!({
        "logIndex": log.payload.log_index.to_string(),
        "logId": { "keyId": STANDARD.encode(id) },
        "kindVersion": { "kind": kind.kind, "version": kind.api_version },
        "integratedTime": log.payload.integrated_time.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": log.promise },
        "canonicalizedBody": log.payload.body,
    });
    serde_json::from_value(entry).map_err(|error| unreadable(&error))
}

fn timestamps(annotations: &Annotations) -> Result<TimestampVerificationData, Cause> {
    #[derive(Deserialize)]
    struct Stamp {
        #[serde(rename = "SignedRFC3161Timestamp")]
        token: String,
    }
    let Some(text) = annotation(annotations, TIMESTAMP)? else { return Ok(TimestampVerificationData::default()) };
    let stamp: Stamp = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    let token = TimestampToken::new(decoded(&stamp.token)?);
    Ok(TimestampVerificationData::new(vec![Rfc3161Timestamp::new(token)]))
}

/// Returns an annotation; cosign leaves some that are empty.
fn annotation<'a>(annotations: &'a Annotations, name: &str) -> Result<Option<&'a str>, Cause> {
    match annotations.get(name).map(|value| value.trim()) {
        Some(value) if value.len() > MAX_ANNOTATION => Err(Cause::TooLarge("annotations are read up to 128 KiB")),
        value => Ok(value.filter(|value| !value.is_empty())),
    }
}

fn missing(name: &str) -> Cause {
    Cause::Unreadable(format!("the annotation {name} is missing"))
}

fn decoded(text: &str) -> Result<Vec<u8>, Cause> {
    STANDARD.decode(text.trim()).map_err(|_| Cause::Unreadable("an annotation is not valid base64".to_owned()))
}
