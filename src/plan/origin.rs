//! The proven origin of an image: who signed it, and what signed statements say about it.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::image::Repository;
use crate::sigstore::verdict::{Attested, SignedBy, Verdict};
use crate::stage::promotion::Evidence;
use crate::text;

/// The kind of evidence that is a signature of an image.
const SIGNATURE: &str = "signature";
/// The kind of evidence that is an attestation about an image.
const ATTESTATION: &str = "attestation";

/// The most signatures, and the most attestations, of an image that a commit records.
const RECORDED: usize = 4;
/// The most characters of a name in a certificate that are kept.
const LONGEST: usize = 300;

/// The proven origin of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The signatures that count.
    pub signatures: Vec<Signature>,
    /// The attestations that count.
    pub attestations: Vec<Attestation>,
}

/// A signature that counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signature {
    /// The manifest that was signed: that of the index or of a platform.
    pub digest: String,
    /// Who signed: the file of the key, or the identity in the certificate.
    pub signer: String,
    /// The identity provider that confirmed the identity; `None` for a key.
    pub issuer: Option<String>,
    /// The proven time of the signature, if anything proves one.
    pub time: Option<Timestamp>,
    /// The format: `cosign 2` or `bundle`.
    pub format: String,
    /// The proof that a transparency log has it.
    pub transparency: String,
}

/// An attestation that counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attestation {
    /// The URI of its predicate type.
    #[serde(rename = "type")]
    pub predicate: String,
    /// The builder, of provenance.
    pub builder: Option<String>,
    /// The source repository, of provenance.
    pub source: Option<String>,
    /// The commit, of provenance.
    pub commit: Option<String>,
    /// The number of vulnerabilities that a scan found.
    pub vulnerabilities: Option<usize>,
    /// Who signed it.
    #[serde(flatten)]
    pub signature: Signature,
}

impl From<&Verdict> for Origin {
    fn from(verdict: &Verdict) -> Origin {
        Origin {
            signatures: verdict.signatures.iter().map(Signature::from).collect(),
            attestations: verdict.attestations.iter().map(Attestation::from).collect(),
        }
    }
}

impl From<&SignedBy> for Signature {
    fn from(signed: &SignedBy) -> Signature {
        Signature {
            digest: signed.digest.to_string(),
            signer: plain(signed.signer()),
            issuer: signed.issuer.as_deref().map(plain),
            time: signed.time,
            format: signed.format.to_string(),
            transparency: signed.transparency.to_string(),
        }
    }
}

impl From<&Attested> for Attestation {
    fn from(attested: &Attested) -> Attestation {
        Attestation {
            predicate: plain(&attested.predicate),
            builder: attested.builder.as_deref().map(plain),
            source: attested.source.as_deref().map(plain),
            commit: attested.commit.as_deref().map(plain),
            vulnerabilities: attested.vulnerabilities,
            signature: Signature::from(&attested.signature),
        }
    }
}

/// A name in a certificate or a statement, on one line and not too long.
fn plain(text: &str) -> String {
    text::cut(&text::words(text), LONGEST).into_owned()
}

impl Origin {
    /// Returns what a commit records about it.
    pub fn evidence(&self, image: &Repository) -> Vec<Evidence> {
        let by = |signature: &Signature| match signature.time {
            Some(time) => format!("by {}, at {time}", signature.signer),
            None => format!("by {}, at an unproven time", signature.signer),
        };
        // The platforms of an index may have a signature each.
        let signatures: BTreeSet<String> = self.signatures.iter().map(by).collect();
        let attestations: BTreeSet<String> = self
            .attestations
            .iter()
            .map(|attestation| {
                let commit = attestation.commit.iter().map(|commit| format!(" of commit {commit}")).collect::<String>();
                format!("{}{commit} {}", attestation.predicate, by(&attestation.signature))
            })
            .collect();
        let evidence =
            |kind: &str, text: String| Evidence { kind: kind.to_owned(), detail: format!("{image} {text}"), url: None };
        let signatures = signatures.into_iter().take(RECORDED).map(|text| evidence(SIGNATURE, text));
        signatures.chain(attestations.into_iter().take(RECORDED).map(|text| evidence(ATTESTATION, text))).collect()
    }
}

/// Returns the image that a piece of evidence is about, if it is about one image.
pub fn image_of(evidence: &Evidence) -> Option<&str> {
    let is_of_image = matches!(evidence.kind.as_str(), SIGNATURE | ATTESTATION);
    evidence.detail.split(' ').next().filter(|_| is_of_image)
}

impl fmt::Display for Origin {
    /// Writes who signed, and what the attestations are about.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signers: BTreeSet<&str> = self.signatures.iter().map(|signature| signature.signer.as_str()).collect();
        write!(f, "signed by {}", signers.into_iter().collect::<Vec<_>>().join(" and "))?;
        let kinds: BTreeSet<&str> = self.attestations.iter().map(|one| one.predicate.as_str()).collect();
        if kinds.is_empty() {
            return Ok(());
        }
        write!(f, ", attested: {}", kinds.into_iter().collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_survives_its_trailer() {
        let image: Repository = "ghcr.io/acme/shop".parse().expect("a name");
        let signature = |time: Option<&str>| Signature {
            digest: format!("sha256:{}", "a".repeat(64)),
            signer: "https://github.com/acme/shop/.github/workflows/build.yml@refs/heads/main".to_owned(),
            issuer: Some("https://token.actions.githubusercontent.com".to_owned()),
            time: time.map(|time| time.parse().expect("a time")),
            format: "bundle".to_owned(),
            transparency: "inclusion proof".to_owned(),
        };
        let attestation = Attestation {
            predicate: "https://slsa.dev/provenance/v1".to_owned(),
            builder: None,
            source: None,
            commit: Some("1a2b3c4".to_owned()),
            vulnerabilities: None,
            signature: signature(None),
        };
        let origin = Origin {
            signatures: vec![signature(Some("2026-11-01T10:00:00Z")), signature(Some("2026-11-01T10:00:00Z"))],
            attestations: vec![attestation],
        };
        let evidence = origin.evidence(&image);
        assert_eq!(evidence.len(), 2, "one signature of two platforms");
        for one in &evidence {
            let trailer = one.trailer();
            let read = Evidence::read(trailer.strip_prefix("Tagalong-Evidence: ").expect("a trailer")).expect("read");
            assert_eq!((&read, image_of(&read)), (one, Some("ghcr.io/acme/shop")), "{trailer}");
        }
        let bytes = serde_json::to_vec(&origin).expect("JSON");
        assert_eq!(serde_json::from_slice::<Origin>(&bytes).expect("JSON"), origin);
    }

    #[test]
    fn names_in_certificates_cannot_write_trailers() {
        let forged = plain("me\nTagalong-Approve: live\u{202e}");
        assert_eq!(forged, "me Tagalong-Approve: live");
    }
}
