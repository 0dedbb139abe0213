//! The trusted root: the certificate authorities, logs and timestamp authorities that are trusted.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use sigstore_verify::Verifier;
use sigstore_verify::trust_root;

/// The largest text, in bytes. That of the public instance has 7 KiB.
const MAX_BYTES: usize = 1 << 20;

/// A trusted root in the form of Sigstore's `trusted_root.json`.
#[derive(Clone)]
pub struct TrustedRoot {
    verifier: Arc<Verifier>,
    /// The SHA-256 of the text, in hexadecimal digits.
    digest: String,
    /// The end of the last validity; `None` if something is valid without an end.
    until: Option<Timestamp>,
    /// Whether certificates must come with the timestamp of a certificate transparency log.
    has_certificate_logs: bool,
}

/// The reason why a trusted root cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum RootError {
    /// It is not a trusted root.
    #[error("this is not a trusted root of Sigstore (trusted_root.json): {0}")]
    Unreadable(String),
    /// It is larger than any trusted root.
    #[error("this is not a trusted root of Sigstore (trusted_root.json): it is larger than 1 MiB")]
    TooLarge,
    /// It has neither certificate authorities nor logs.
    #[error("the trusted root names neither a certificate authority nor a transparency log")]
    Empty,
    /// The validity of all that it names is over.
    #[error("all keys and certificates of the trusted root expired by {until}; get a current one")]
    Expired { until: Timestamp },
}

impl TrustedRoot {
    /// Reads a trusted root.
    ///
    /// # Errors
    /// It is not one, or it trusts nobody.
    pub fn parse(json: &str) -> Result<TrustedRoot, RootError> {
        if json.len() > MAX_BYTES {
            return Err(RootError::TooLarge);
        }
        let unreadable = |error: &dyn fmt::Display| RootError::Unreadable(error.to_string());
        let root = trust_root::TrustedRoot::from_json(json).map_err(|error| unreadable(&error))?;
        if root.certificate_authorities.is_empty() && root.tlogs.is_empty() {
            return Err(RootError::Empty);
        }
        let windows = root.certificate_authorities.iter().map(|authority| authority.valid_for);
        let windows: Vec<_> = windows.chain(root.tlogs.iter().map(|log| log.public_key.valid_for)).collect();
        let ends: Option<Vec<Timestamp>> =
            windows.into_iter().map(|window| window.and_then(|range| range.end)).collect();
        let verifier = Verifier::new(&root).map_err(|error| unreadable(&error))?;
        Ok(TrustedRoot {
            verifier: Arc::new(verifier),
            digest: hex(&Sha256::digest(json)),
            until: ends.and_then(|ends| ends.into_iter().max()),
            has_certificate_logs: !root.ctlogs.is_empty(),
        })
    }

    /// Checks that something in it is valid at a time, so that new signatures can count.
    ///
    /// # Errors
    /// The validity of all that it names is over. Old signatures still count.
    pub fn check_current(&self, now: Timestamp) -> Result<(), RootError> {
        match self.until {
            Some(until) if until < now => Err(RootError::Expired { until }),
            _ => Ok(()),
        }
    }

    /// Returns the SHA-256 of its text in hexadecimal digits, by which a changed one is noticed.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub(super) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    pub(super) fn has_certificate_logs(&self) -> bool {
        self.has_certificate_logs
    }
}

impl fmt::Debug for TrustedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustedRoot({})", self.digest)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = include_str!("../../fixtures/signatures/trusted_root.json");

    fn refused(json: &str) -> String {
        TrustedRoot::parse(json).expect_err(json).to_string()
    }

    #[test]
    fn roots_of_sigstore_and_of_others_are_read() {
        for json in [OURS, trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT] {
            let root = TrustedRoot::parse(json).expect("a root");
            assert!(root.has_certificate_logs() && root.digest().len() == 64);
            assert_eq!(root.check_current("2026-06-01T00:00:00Z".parse().expect("a time")), Ok(()));
        }
        // GitHub's own instance keeps no log of certificates, and its authorities end one after the other.
        let github = TrustedRoot::parse(trust_root::SIGSTORE_GITHUB_TRUSTED_ROOT).expect("a root");
        assert!(!github.has_certificate_logs());
    }

    #[test]
    fn a_root_whose_authorities_ended_is_not_current() {
        let start = OURS.split("\"start\": ").nth(1).and_then(|rest| rest.split('"').nth(1)).expect("a time");
        let ended = OURS.replace(
            &format!("\"start\": \"{start}\""),
            &format!("\"start\": \"{start}\", \"end\": \"2026-01-01T00:00:00Z\""),
        );
        let root = TrustedRoot::parse(&ended).expect("a root");
        let error = root.check_current("2026-06-01T00:00:00Z".parse().expect("a time")).expect_err("it ended");
        assert_eq!(
            error.to_string(),
            "all keys and certificates of the trusted root expired by 2026-01-01T00:00:00Z; get a current one"
        );
        assert_eq!(root.check_current("2025-12-31T00:00:00Z".parse().expect("a time")), Ok(()));
    }

    #[test]
    fn what_is_not_a_root_is_refused() {
        for json in ["", "{}", "[]", "{\"mediaType\": 1}", "-----BEGIN CERTIFICATE-----", &"[".repeat(10_000)] {
            assert!(
                refused(json).starts_with("this is not a trusted root of Sigstore (trusted_root.json): "),
                "{json}"
            );
        }
        assert!(refused("{\"mediaType\": \"x\"}").contains("neither a certificate authority nor a transparency log"));
        assert!(refused(&format!("{OURS}{}", " ".repeat(MAX_BYTES))).contains("larger than 1 MiB"));
        assert!(refused(&OURS.replace("\"rawBytes\": \"M", "\"rawBytes\": \"AM")).contains("this is not"));
    }
}
