//! Signatures of images and attestations about them: reading them never panics, what counts for one image never counts
//! for another, and messages about them are safe to show.

use std::collections::BTreeMap;

use tagalong::image::Digest;
use tagalong::sigstore::key::PublicKey;
use tagalong::sigstore::matcher::Matcher;
use tagalong::sigstore::material::{Content, Material};
use tagalong::sigstore::requirement::{AttestationRule, PredicateType, Requirement, Severity, Signer, Transparency};
use tagalong::sigstore::subject::Subject;
use tagalong::sigstore::trusted_root::TrustedRoot;
use tagalong::sigstore::verdict::Verdict;
use tagalong::sigstore::verify::verify;
use tagalong::text;

const KEY: &str = include_str!("../../fixtures/signatures/cosign.pub");
const ROOT: &str = include_str!("../../fixtures/signatures/trusted_root.json");
/// The digest that the kept inputs are about, and another one.
const DIGESTS: [&str; 2] = [
    "sha256:558e25e92630680aa04963661bc235e7ea5046db207ecd93e48118fff21679e8",
    "sha256:0000000000000000000000000000000000000000000000000000000000000000",
];

pub fn bundles(bytes: &[u8]) {
    check(Content::Bundle { bytes: bytes.to_vec() });
}

pub fn envelopes(bytes: &[u8]) {
    let (annotations, envelope) = parts(bytes);
    check(Content::Envelope { envelope, annotations });
}

pub fn simple_signing(bytes: &[u8]) {
    let (annotations, payload) = parts(bytes);
    check(Content::SimpleSigning { payload, annotations });
}

/// Annotations as a line of JSON, and the layer below it.
fn parts(bytes: &[u8]) -> (BTreeMap<String, String>, Vec<u8>) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let annotations = serde_json::from_slice(&bytes[..end]).unwrap_or_default();
    (annotations, bytes.get(end + 1..).unwrap_or_default().to_vec())
}

fn check(content: Content) {
    let root = TrustedRoot::parse(ROOT).expect("a trusted root");
    let key = Signer::Key { file: "cosign.pub".to_owned(), key: PublicKey::parse(KEY).expect("a key") };
    let any = Matcher::parse("/.*/").expect("a pattern");
    let keyless = Signer::Keyless { issuer: any.clone(), subject: any };
    let rule = |predicate, max_severity| AttestationRule {
        predicate,
        signers: Vec::new(),
        builder: None,
        source: None,
        conditions: Vec::new(),
        max_severity,
        allowed: Vec::new(),
    };
    for transparency in [Transparency::Require, Transparency::Ignore] {
        let requirement = Requirement {
            signers: vec![key.clone(), keyless.clone()],
            transparency,
            need: 1,
            attestations: vec![
                rule(PredicateType::SlsaProvenance1, None),
                rule(PredicateType::Vuln, Some(Severity::Low)),
            ],
        };
        let verdicts = DIGESTS.map(|digest| {
            let digest: Digest = digest.parse().expect("a digest");
            let subject = Subject {
                image: "registry.example/acme/shop".parse().expect("a name"),
                digest: digest.clone(),
                platforms: Vec::new(),
                commit: Some("1a2b3c4".to_owned()),
                sources: Vec::new(),
            };
            let material = Material { place: "a layer".to_owned(), content: content.clone() };
            verify(&requirement, Some(&root), &subject, &[(digest, material)])
        });
        let counts = |verdict: &Verdict| !verdict.signatures.is_empty() || !verdict.attestations.is_empty();
        assert!(!verdicts.iter().all(counts), "it counts for two images");
        for verdict in &verdicts {
            assert!(!verdict.is_met(), "one piece of material is never a signature and two attestations");
            for flaw in &verdict.flaws {
                let message = flaw.to_string();
                assert!(!message.contains(text::is_active) && message.len() < 4_000, "{message:?}");
            }
        }
    }
}
