//! The private key of a GitHub App, and the JSON Web Tokens (RFC 7519) that it signs.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SigningKey;
use serde_json::json;

use crate::secret::Secret;

/// How far in the past a token is dated, in seconds: GitHub's clock may be behind ours.
const LEEWAY: i64 = 60;
/// How long a token is valid, in seconds. GitHub accepts ten minutes, and its clock may be behind ours.
const LIFETIME: i64 = 9 * 60;

/// An RSA private key.
pub struct AppKey(Arc<dyn SigningKey>);

impl AppKey {
    /// Reads a key in PEM format: PKCS#1, as GitHub generates it, or PKCS#8.
    ///
    /// # Errors
    /// The problem, in words. It does not repeat any part of the key.
    pub fn parse(pem: &[u8]) -> Result<AppKey, &'static str> {
        let der = PrivateKeyDer::from_pem_slice(pem);
        let der = der.map_err(|_| "it contains no unencrypted private key in PEM format")?;
        let key = rustls::crypto::ring::sign::any_supported_type(&der);
        let key = key.map_err(|_| "it is not an RSA key of 2048 to 4096 bits")?;
        let is_rsa = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).is_some();
        if is_rsa { Ok(AppKey(key)) } else { Err("it is not an RSA key") }
    }

    /// Returns a token by which the app proves its identity ("Generating a JSON Web Token (JWT) for a GitHub App").
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn token(&self, app: &str, now: Timestamp) -> Result<Secret<String>, &'static str> {
        let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let now = now.as_second();
        let claims = json!({ "iat": now - LEEWAY, "exp": now + LIFETIME, "iss": app });
        let signed = format!("{}.{}", encode(&json!({ "alg": "RS256", "typ": "JWT" })), encode(&claims));
        let signer = self.0.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or("it is not an RSA key")?;
        let signature = signer.sign(signed.as_bytes()).map_err(|_| "it cannot sign")?;
        Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_an_rsa_key_is_refused_without_repeating_it() {
        let reason = |pem: &str| AppKey::parse(pem.as_bytes()).err().expect("refused");
        for pem in ["", "hunter2", "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----\n"] {
            assert!(!reason(pem).contains("hunter2"), "{pem}");
        }
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(reason(encrypted), "it contains no unencrypted private key in PEM format");
        let curve = rcgen::KeyPair::generate().expect("a key").serialize_pem();
        assert_eq!(reason(&curve), "it is not an RSA key");
    }
}
