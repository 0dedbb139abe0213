//! Signed statements in their envelopes (in-toto attestation framework, "Statement"; DSSE 1.0).

use serde_json::Value;
use sigstore_verify::types::{DsseEnvelope, Statement as Parsed, Subject};

use crate::image::Digest;

use super::flaw::Cause;
use super::foreign::{shown, typed, unreadable};

const PAYLOAD: &str = "application/vnd.in-toto+json";
const TYPES: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];

/// A statement about some subjects.
pub(super) struct Statement(Parsed);

impl Statement {
    /// Reads the statement of an envelope.
    ///
    /// # Errors
    /// There is none, or its type is unknown.
    pub fn read(envelope: &DsseEnvelope) -> Result<Statement, Cause> {
        if envelope.payload_type != PAYLOAD {
            return Err(Cause::StatementType(shown(&envelope.payload_type)));
        }
        let parsed: Parsed = serde_json::from_slice(envelope.payload.as_bytes()).map_err(|error| unreadable(&error))?;
        if TYPES.contains(&parsed.type_.as_str()) {
            Ok(Statement(parsed))
        } else {
            Err(Cause::StatementType(shown(&parsed.type_)))
        }
    }

    /// Checks that a manifest is one of the subjects.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self, digest: &Digest) -> Result<(), Cause> {
        let wanted = typed(digest)?;
        let is_it = |subject: &Subject| {
            let sha256 = subject.digest.sha256.as_ref().map(|hash| &hash.as_bytes()[..]);
            let sha512 = subject.digest.sha512.as_ref().map(|hash| &hash.as_bytes()[..]);
            [sha256, sha512].contains(&Some(wanted.as_bytes()))
        };
        if self.0.subject.iter().any(is_it) {
            return Ok(());
        }
        let first = self.0.subject.first().and_then(|subject| subject.digest.sha256);
        let named = first.map_or_else(|| "no digest".to_owned(), |hash| format!("sha256:{}", hash.to_hex()));
        Err(Cause::OtherDigest { named, digest: digest.clone() })
    }

    /// Returns what the statement says.
    pub fn predicate(&self) -> &Value {
        &self.0.predicate
    }
}
