//! X25519 (RFC 7748) with given keys, for the kinds of recipients that build on it.

use age_core::primitives::hkdf;
use curve25519_dalek::montgomery::MontgomeryPoint;
use getrandom::SysRng;
use rand_core::{Rng, UnwrapErr};

use crate::secret::Secret;

/// A private key.
#[derive(Clone)]
pub struct SecretKey(Secret<[u8; 32]>);

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

impl SecretKey {
    /// Makes a private key. Any 32 bytes are valid.
    pub fn new(bytes: Secret<[u8; 32]>) -> SecretKey {
        SecretKey(bytes)
    }

    /// Makes a private key from its bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<SecretKey> {
        Some(SecretKey(Secret::new(bytes.try_into().ok()?)))
    }

    /// Generates a key for a single use.
    pub fn ephemeral() -> SecretKey {
        let mut bytes = [0; 32];
        UnwrapErr(SysRng).fill_bytes(&mut bytes);
        SecretKey(Secret::new(bytes))
    }

    /// Returns its public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(MontgomeryPoint::mul_base_clamped(*self.0.expose()).to_bytes())
    }

    /// Returns the secret shared with the holder of a public key; `None` for a key that yields the same secret for
    /// everyone.
    pub fn shared(&self, other: &PublicKey) -> Option<Secret<[u8; 32]>> {
        let shared = MontgomeryPoint(other.0).mul_clamped(*self.0.expose()).to_bytes();
        (shared != [0; 32]).then(|| Secret::new(shared))
    }
}

impl PublicKey {
    /// Returns whether there can be a private key for it.
    pub fn is_usable(&self) -> bool {
        SecretKey::new(Secret::new([1; 32])).shared(self).is_some()
    }
}

/// Derives 32 bytes with HKDF-SHA-256.
pub fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Secret<[u8; 32]> {
    Secret::new(hkdf(salt, info, secret))
}
