//! X25519 (RFC 7748) with keys of one's own, for the kinds of recipients that are built on it.

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
    /// Any 32 bytes are a private key.
    pub fn new(bytes: Secret<[u8; 32]>) -> SecretKey {
        SecretKey(bytes)
    }

    /// A private key from its bytes.
    pub fn of_bytes(bytes: &[u8]) -> Option<SecretKey> {
        Some(SecretKey(Secret::new(bytes.try_into().ok()?)))
    }

    /// A key that is used once.
    pub fn ephemeral() -> SecretKey {
        let mut bytes = [0; 32];
        UnwrapErr(SysRng).fill_bytes(&mut bytes);
        SecretKey(Secret::new(bytes))
    }

    /// Its public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(MontgomeryPoint::mul_base_clamped(*self.0.expose()).to_bytes())
    }

    /// The secret shared with the holder of a public key; `None` for a key that gives the same to everyone.
    pub fn shared(&self, other: &PublicKey) -> Option<Secret<[u8; 32]>> {
        let shared = MontgomeryPoint(other.0).mul_clamped(*self.0.expose()).to_bytes();
        (shared != [0; 32]).then(|| Secret::new(shared))
    }
}

impl PublicKey {
    /// Whether someone can hold it.
    pub fn is_usable(&self) -> bool {
        SecretKey::new(Secret::new([1; 32])).shared(self).is_some()
    }
}

/// HKDF-SHA-256 to 32 bytes.
pub fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Secret<[u8; 32]> {
    Secret::new(hkdf(salt, info, secret))
}
