//! `X25519` recipients: `age1…` and `AGE-SECRET-KEY-1…`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use curve25519_dalek::montgomery::MontgomeryPoint;
use rand_core::CryptoRng;

use crate::secret::Secret;

use super::file::{self, FileKey, Stanza};

const KIND: &str = "X25519";
const LABEL: &[u8] = b"age-encryption.org/v1/X25519";

/// A private key.
#[derive(Debug, Clone, PartialEq, Eq)]
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

    /// Its public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(MontgomeryPoint::mul_base_clamped(*self.0.expose()).to_bytes())
    }

    /// The secret shared with the holder of a public key; `None` for a key that gives the same to everyone.
    pub fn shared(&self, other: &PublicKey) -> Option<Secret<[u8; 32]>> {
        let shared = MontgomeryPoint(other.0).mul_clamped(*self.0.expose()).to_bytes();
        (shared != [0; 32]).then(|| Secret::new(shared))
    }

    /// The file key, if the stanza is for this key.
    pub fn unwrap(&self, stanza: &Stanza) -> Option<FileKey> {
        let [kind, share] = stanza.args.as_slice() else { return None };
        let share = PublicKey(STANDARD_NO_PAD.decode(share).ok()?.try_into().ok()?);
        let shared = self.shared(&share).filter(|_| kind == KIND)?;
        let key = file::derive(shared.expose(), &[share.0, self.public().0].concat(), LABEL);
        file::unwrap(key.expose(), &[0; 12], &stanza.body)
    }
}

impl PublicKey {
    /// Wraps a file key; `None` for a key that no one can hold.
    pub fn wrap(&self, file_key: &FileKey, rng: &mut impl CryptoRng) -> Option<Stanza> {
        let ephemeral = ephemeral(rng);
        let share = ephemeral.public();
        let key = file::derive(ephemeral.shared(self)?.expose(), &[share.0, self.0].concat(), LABEL);
        let args = vec![KIND.to_owned(), STANDARD_NO_PAD.encode(share.0)];
        Some(Stanza { args, body: file::wrap(key.expose(), &[0; 12], file_key) })
    }
}

/// A key that is used once.
pub fn ephemeral(rng: &mut impl CryptoRng) -> SecretKey {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    SecretKey(Secret::new(bytes))
}
