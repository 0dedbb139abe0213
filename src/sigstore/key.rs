//! Public keys in PEM files.

use std::fmt;

use sigstore_verify::crypto::{KeyAlgorithm, SigningScheme, VerificationKey, validate_raw_public_key};
use sigstore_verify::types::DerPublicKey;

/// The largest file that can hold a public key, in bytes: RSA with 8192 bits takes 1.5 KiB.
const MAX_BYTES: usize = 16 << 10;

/// A public key: ECDSA on P-256 or P-384, Ed25519, or RSA with 2048 bits or more.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    der: Vec<u8>,
    /// The kind of key, for messages.
    algorithm: &'static str,
}

/// The reason why a text is not a public key. It never repeats the text, which may be a private key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A private key was given.
    #[error("this is a private key; give the public key (cosign.pub) instead, and keep the private key elsewhere")]
    Private,
    /// A certificate was given.
    #[error("this is a certificate; give the public key in PEM form (-----BEGIN PUBLIC KEY-----)")]
    Certificate,
    /// There is no PEM.
    #[error("this is not a public key in PEM form (-----BEGIN PUBLIC KEY-----)")]
    NoPem,
    /// There are several.
    #[error("there is more than one key; put each key in a file of its own")]
    Several,
    /// The key is of a kind that is not supported, or too short.
    #[error("the key is not supported; use ECDSA P-256 or P-384, Ed25519, or RSA with 2048 to 8192 bits")]
    Unsupported,
}

impl PublicKey {
    /// Reads a public key from the text of a PEM file (RFC 7468, section 13).
    ///
    /// # Errors
    /// There is not exactly one public key of a supported kind.
    pub fn parse(pem: &str) -> Result<PublicKey, KeyError> {
        if pem.contains("PRIVATE KEY-----") || pem.contains("AGE-SECRET-KEY-") {
            return Err(KeyError::Private);
        }
        match pem.matches("-----BEGIN ").count() {
            _ if pem.contains("-----BEGIN CERTIFICATE-----") => return Err(KeyError::Certificate),
            _ if pem.len() > MAX_BYTES => return Err(KeyError::NoPem),
            0 | 1 => {}
            _ => return Err(KeyError::Several),
        }
        // Spaces around the lines do no harm, and indented blocks of YAML leave them.
        let lines: Vec<&str> = pem.lines().map(str::trim).collect();
        let key = DerPublicKey::from_pem(&lines.join("\n")).map_err(|_| KeyError::NoPem)?;
        let algorithm = match KeyAlgorithm::from_spki(&key).map_err(|_| KeyError::Unsupported)? {
            KeyAlgorithm::EcdsaP256 => "ECDSA P-256",
            KeyAlgorithm::EcdsaP384 => "ECDSA P-384",
            KeyAlgorithm::Ed25519 => "Ed25519",
            KeyAlgorithm::Rsa => "RSA",
            _ => return Err(KeyError::Unsupported),
        };
        let parsed = VerificationKey::from_spki(&key).map_err(|_| KeyError::Unsupported)?;
        let is_short = parsed.scheme() == SigningScheme::Ed25519 && parsed.as_bytes().len() != 32;
        if is_short || validate_raw_public_key(parsed.scheme(), parsed.as_bytes()).is_err() {
            return Err(KeyError::Unsupported);
        }
        Ok(PublicKey { der: key.as_bytes().to_vec(), algorithm })
    }

    /// Returns the kind of key.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// Returns the key as its library takes it.
    pub(super) fn der(&self) -> DerPublicKey {
        DerPublicKey::new(self.der.clone())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.algorithm)
    }
}
