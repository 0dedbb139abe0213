//! Signatures of images as cosign 2 and 3 store them, by keys alone: no log, no certificate. What cosign itself wrote is in
//! `fixtures/signatures`.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, SigningKey};
use serde_json::{Value, json};

use super::registry::Registry;

pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const IN_TOTO: &str = "application/vnd.in-toto+json";
/// The predicate types of a signature in a bundle, and of provenance.
const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";
pub const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// A key that signs images.
pub struct Key(KeyPair);

impl Key {
    /// Makes a key and writes its public half to a file.
    pub fn make(file: &Path) -> Key {
        let key = KeyPair::generate().expect("a key");
        std::fs::write(file, key.public_key_pem()).expect("written");
        Key(key)
    }

    fn sign(&self, bytes: &[u8]) -> String {
        STANDARD.encode(self.0.sign(bytes).expect("a signature"))
    }

    /// Signs an image like cosign 2: simple signing below the tag `sha256-….sig`.
    pub fn sign_below_tag(&self, registry: &Registry, repository: &str, signed: &str) {
        self.put_signature(registry, repository, signed, signed);
    }

    /// The same with the signature of another image.
    pub fn replay_below_tag(&self, registry: &Registry, repository: &str, signed: &str, image: &str) {
        self.put_signature(registry, repository, signed, image);
    }

    fn put_signature(&self, registry: &Registry, repository: &str, signed: &str, stored_for: &str) {
        let payload = json!({
            "critical": {
                "identity": { "docker-reference": format!("{}/{repository}", registry.host()) },
                "image": { "docker-manifest-digest": signed },
                "type": "cosign container image signature",
            },
            "optional": null,
        });
        let payload = payload.to_string().into_bytes();
        let annotations = json!({ "dev.cosignproject.cosign/signature": self.sign(&payload) });
        let tag = format!("{}.sig", stored_for.replace(':', "-"));
        registry.put_artifact(repository, Some(&tag), &[(SIMPLE_SIGNING, &payload, annotations)], json!({}));
    }

    /// Attests provenance of an image like cosign 2: an envelope below the tag `sha256-….att`.
    pub fn attest_below_tag(&self, registry: &Registry, repository: &str, image: &str, predicate: &Value) {
        let envelope = self.envelope(image, PROVENANCE, predicate).to_string().into_bytes();
        let annotations = json!({ "dev.cosignproject.cosign/signature": "", "predicateType": PROVENANCE });
        let tag = format!("{}.att", image.replace(':', "-"));
        registry.put_artifact(repository, Some(&tag), &[(ENVELOPE, &envelope, annotations)], json!({}));
    }

    /// Signs an image like cosign 3: a bundle that refers to it. Returns its descriptor, for a list of referrers.
    pub fn sign_with_bundle(&self, registry: &Registry, repository: &str, image: &str) -> Value {
        self.put_bundle(registry, repository, image, SIGNATURE, &json!({}))
    }

    /// Attests provenance of an image like cosign 3. Returns the descriptor, for a list of referrers.
    pub fn attest_with_bundle(&self, registry: &Registry, repository: &str, image: &str, predicate: &Value) -> Value {
        self.put_bundle(registry, repository, image, PROVENANCE, predicate)
    }

    fn put_bundle(&self, registry: &Registry, repository: &str, image: &str, kind: &str, predicate: &Value) -> Value {
        let bundle = json!({
            "mediaType": BUNDLE,
            "verificationMaterial": { "publicKey": { "hint": "" } },
            "dsseEnvelope": self.envelope(image, kind, predicate),
        });
        let bundle = bundle.to_string().into_bytes();
        let annotations =
            json!({ "dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": kind });
        let more = json!({
            "artifactType": BUNDLE, "annotations": annotations,
            "subject": { "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image, "size": 1 },
        });
        let pushed = registry.put_artifact(repository, None, &[(BUNDLE, &bundle, json!({}))], more);
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": pushed, "size": 1,
            "artifactType": BUNDLE, "annotations": annotations,
        })
    }

    fn envelope(&self, image: &str, kind: &str, predicate: &Value) -> Value {
        let hex = image.strip_prefix("sha256:").expect("sha256");
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1", "subject": [{ "name": "", "digest": { "sha256": hex } }],
            "predicateType": kind, "predicate": predicate,
        });
        let statement = statement.to_string().into_bytes();
        // Pre-authentication encoding of DSSE.
        let head = format!("DSSEv1 {} {IN_TOTO} {} ", IN_TOTO.len(), statement.len());
        let signature = self.sign(&[head.as_bytes(), &statement].concat());
        json!({
            "payload": STANDARD.encode(&statement), "payloadType": IN_TOTO, "signatures": [{ "keyid": "", "sig": signature }],
        })
    }
}

/// Lists referrers of an image below its tag, as clients do for a registry without the referrers API.
pub fn list_below_tag(registry: &Registry, repository: &str, image: &str, referrers: &[Value]) {
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": kind, "manifests": referrers });
    registry.put_manifest(repository, &image.replace(':', "-"), &index);
}

/// SLSA provenance 1 of a commit.
pub fn provenance(source: &str, commit: &str) -> Value {
    json!({
        "buildDefinition": {
            "buildType": "https://example.com/build", "externalParameters": {},
            "resolvedDependencies": [{ "uri": format!("git+{source}@refs/heads/main"), "digest": { "gitCommit": commit } }],
        },
        "runDetails": { "builder": { "id": "https://ci.example.com/runner" } },
    })
}
