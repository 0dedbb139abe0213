//! Public keys in PEM files.

use std::fmt;

use sigstore_verify::crypto::{KeyAlgorithm, SigningScheme, VerificationKey, validate_raw_public_key};
use sigstore_verify::types::DerPublicKey;

/// The largest file that can hold a public key, in bytes: RSA with 4096 bits takes 0.8 KiB.
const MAX_BYTES: usize = 16 << 10;

/// A public key: ECDSA on P-256 or P-384, Ed25519, or RSA with 2048 to 4096 bits.
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
    #[error("the key is not supported; use ECDSA P-256 or P-384, Ed25519, or RSA with 2048 to 4096 bits")]
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

#[cfg(test)]
mod tests {
    use super::*;

    const P256: &str = include_str!("../../fixtures/signatures/cosign.pub");
    const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDP/xjWZQOOU5jCK2evZ2JoUDR+\n+CspuzSrLh0lpGoIkgfFrGHGRF+xOwSh9qIa51YqLRSoRp78xgqrHUmrJT8X8x70\nTTtoRsl/x2l/UTRo+jY48Bsxu95BMG4uptZBEiRzWeThSPZlu8RwXyz4T20Id/1a\nSakmSMxZZ/jqoEsCkQIDAQAB\n-----END PUBLIC KEY-----";
    const P521: &str = "-----BEGIN PUBLIC KEY-----\nMIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAxCDRhRgFEu3pxA5Jx/REshO1T9kD\nditb5mx6uK2Epw1zsysaxBNCI+QdnrOVvkeKJedYrj9trYhkX5/dMKa95F4AiEcr\nEl+LAcHJ2IHgIEFV0OWaIP9MioA2VQTHSX1g89iVgIOKj242/oo250araxAiD2W8\nlje26t6uxUJaAz/MQMc=\n-----END PUBLIC KEY-----";

    #[test]
    fn keys_of_all_kinds_are_read() {
        let algorithm = |pem: &str| PublicKey::parse(pem).map(|key| key.algorithm());
        assert_eq!(algorithm(P256), Ok("ECDSA P-256"));
        assert_eq!(algorithm(include_str!("../../fixtures/signatures/p384.pub")), Ok("ECDSA P-384"));
        assert_eq!(algorithm(include_str!("../../fixtures/signatures/rsa.pub")), Ok("RSA"));
        assert_eq!(algorithm(include_str!("../../fixtures/signatures/ed25519.pub")), Ok("Ed25519"));
        let indented: String = P256.lines().map(|line| format!("  {line}\r\n")).collect();
        assert_eq!(PublicKey::parse(&indented), PublicKey::parse(P256));
    }

    #[test]
    fn what_is_not_a_public_key_is_refused_without_repeating_it() {
        let refused = |pem: &str| PublicKey::parse(pem).expect_err(pem);
        for label in ["PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY"] {
            let error = refused(&format!("-----BEGIN {label}-----\nc2VzYW1l\n-----END {label}-----\n"));
            assert!(error == KeyError::Private && !error.to_string().contains("c2VzYW1l"), "{error}");
        }
        assert_eq!(refused("-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n"), KeyError::Certificate);
        assert_eq!(refused(&P256.repeat(2)), KeyError::Several);
        for text in ["", "cosign.pub", "-----BEGIN PUBLIC KEY-----\n*\n-----END PUBLIC KEY-----\n", &" ".repeat(20_000)]
        {
            assert_eq!(refused(text), KeyError::NoPem, "{text}");
        }
        for weak in [RSA_1024, P521, "-----BEGIN PUBLIC KEY-----\nYQ==\n-----END PUBLIC KEY-----\n"] {
            assert_eq!(refused(weak), KeyError::Unsupported);
        }
    }
}
