//! `mlkem768x25519` recipients, which resist quantum computers: `age1pq1…` and `AGE-SECRET-KEY-PQ-1…`.
//!
//! HPKE (RFC 9180) with the KEM MLKEM768-X25519 of draft-ietf-hpke-pq, also known as X-Wing; HKDF-SHA-256;
//! ChaCha20-Poly1305.

use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::secrecy::ExposeSecret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce, Tag};
use getrandom::SysRng;
use hkdf::Hkdf;
use ml_kem::kem::{Decapsulate, Encapsulate, Key as Encoded};
use ml_kem::ml_kem_768::{DecapsulationKey, EncapsulationKey};
use ml_kem::{KeyExport, Seed};
use rand_core::UnwrapErr;
use sha2::Sha256;
use sha3::digest::{ExtendableOutput, Update, XofReader};
use sha3::{Digest, Sha3_256, Shake256};
use zeroize::Zeroize;

use crate::secret::Secret;

use super::{bech32, curve};

const KIND: &str = "mlkem768x25519";
const LABEL: &[u8] = b"age-encryption.org/mlkem768x25519";
const KEM_LABEL: &[u8] = br"\.//^\";
const KEM_ID: u16 = 0x647a;
const KDF_ID: u16 = 1;
const AEAD_ID: u16 = 3;
/// The length of the ML-KEM part of a public key.
const ENCAPSULATION_KEY: usize = 1184;
/// The length of the ML-KEM part of an encapsulated key.
const CIPHERTEXT: usize = 1088;

/// A private key: the seed of an ML-KEM and an X25519 key.
#[derive(Clone)]
pub struct SecretKey(Secret<[u8; 32]>);

/// A public key: an ML-KEM key, then an X25519 one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

impl SecretKey {
    /// Makes a private key from its bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<SecretKey> {
        Some(SecretKey(Secret::new(bytes.try_into().ok()?)))
    }

    /// Returns its public key.
    pub fn public(&self) -> PublicKey {
        let (lattice, curve) = self.parts();
        let mut bytes = lattice.encapsulation_key().to_bytes().to_vec();
        bytes.extend_from_slice(&curve.public().0);
        PublicKey(bytes)
    }

    /// Returns the file key, if the stanza is for this key.
    pub fn unwrap(&self, stanza: &Stanza) -> Option<FileKey> {
        let [share] = stanza.args.as_slice() else { return None };
        let share = (stanza.tag == KIND).then(|| STANDARD_NO_PAD.decode(share).ok()).flatten()?;
        let (ciphertext, point) = share.split_at_checked(CIPHERTEXT)?;
        let point = curve::PublicKey(point.try_into().ok()?);
        let (lattice, curve) = self.parts();
        let mut one = lattice.decapsulate_slice(ciphertext).ok()?;
        let secret = combine(&one, curve.shared(&point)?.expose(), &point, &curve.public());
        one.as_mut_slice().zeroize();
        let (key, nonce) = schedule(&secret);
        open(key.expose(), &nonce, &stanza.body)
    }

    fn parts(&self) -> (DecapsulationKey, curve::SecretKey) {
        let mut shake = Shake256::default();
        shake.update(self.0.expose());
        let mut bytes = [0; 96];
        shake.finalize_xof().read(&mut bytes);
        let mut seed = Seed::default();
        seed.copy_from_slice(&bytes[..64]);
        let mut scalar = [0; 32];
        scalar.copy_from_slice(&bytes[64..]);
        bytes.zeroize();
        let lattice = DecapsulationKey::from_seed(seed);
        seed.as_mut_slice().zeroize();
        (lattice, curve::SecretKey::new(Secret::new(scalar)))
    }
}

impl PublicKey {
    /// Makes a public key from its bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<PublicKey> {
        let key = PublicKey(bytes.to_vec());
        key.parts().map(|_| key.clone())
    }

    /// Returns the key as a recipient.
    pub fn written(&self) -> String {
        bech32::encode("age1pq", &self.0).unwrap_or_default()
    }

    /// Wraps a file key; `None` for a key without a possible private key.
    pub fn wrap(&self, file_key: &FileKey) -> Option<Stanza> {
        let (lattice, curve) = self.parts()?;
        let (ciphertext, mut one) = lattice.encapsulate_with_rng(&mut UnwrapErr(SysRng));
        let ephemeral = curve::SecretKey::ephemeral();
        let point = ephemeral.public();
        let secret = combine(&one, ephemeral.shared(&curve)?.expose(), &point, &curve);
        one.as_mut_slice().zeroize();
        let (key, nonce) = schedule(&secret);
        let mut share = ciphertext.to_vec();
        share.extend_from_slice(&point.0);
        let args = vec![STANDARD_NO_PAD.encode(share)];
        Some(Stanza { tag: KIND.to_owned(), args, body: seal(key.expose(), &nonce, file_key) })
    }

    fn parts(&self) -> Option<(EncapsulationKey, curve::PublicKey)> {
        let (lattice, curve) = self.0.split_at_checked(ENCAPSULATION_KEY)?;
        let encoded: &Encoded<EncapsulationKey> = lattice.try_into().ok()?;
        // Numbers beyond the modulus are refused (FIPS 203 section 7.2).
        let lattice = EncapsulationKey::new(encoded).ok()?;
        Some((lattice, curve::PublicKey(curve.try_into().ok()?)))
    }
}

/// Encrypts a file key with a single-use key.
fn seal(key: &[u8; 32], nonce: &[u8; 12], file_key: &FileKey) -> Vec<u8> {
    let mut body = file_key.expose_secret().to_vec();
    let cipher = ChaCha20Poly1305::new(&Key::from(*key));
    let tag = cipher.encrypt_inout_detached(&Nonce::from(*nonce), b"", body.as_mut_slice().into());
    body.extend_from_slice(&tag.unwrap_or_default());
    body
}

/// Decrypts a file key; `None` if the key does not fit.
fn open(key: &[u8; 32], nonce: &[u8; 12], body: &[u8]) -> Option<FileKey> {
    let (data, tag) = body.split_at_checked(FILE_KEY_BYTES)?;
    let tag = Tag::try_from(tag).ok()?;
    let cipher = ChaCha20Poly1305::new(&Key::from(*key));
    FileKey::try_init_with_mut(|file_key| {
        file_key.copy_from_slice(data);
        cipher.decrypt_inout_detached(&Nonce::from(*nonce), b"", file_key.as_mut_slice().into(), &tag)
    })
    .ok()
}

/// Returns the secret of the combined KEM.
fn combine(one: &[u8], other: &[u8; 32], point: &curve::PublicKey, public: &curve::PublicKey) -> Secret<[u8; 32]> {
    let mut hash = Sha3_256::new();
    for part in [one, other, &point.0, &public.0, KEM_LABEL] {
        Digest::update(&mut hash, part);
    }
    Secret::new(hash.finalize().into())
}

/// Runs the key schedule of HPKE in its base mode (RFC 9180 section 5.1): returns key and nonce of the only message.
fn schedule(secret: &Secret<[u8; 32]>) -> (Secret<[u8; 32]>, [u8; 12]) {
    let suite = [&b"HPKE"[..], &KEM_ID.to_be_bytes(), &KDF_ID.to_be_bytes(), &AEAD_ID.to_be_bytes()].concat();
    let labeled = |label: &[u8], input: &[u8]| [b"HPKE-v1", suite.as_slice(), label, input].concat();
    let extract = |salt: &[u8], label: &[u8], input: &[u8]| {
        Hkdf::<Sha256>::extract(Some(salt), Secret::new(labeled(label, input)).expose())
    };
    let (psk_hash, _) = extract(b"", b"psk_id_hash", b"");
    let (info_hash, _) = extract(b"", b"info_hash", LABEL);
    let context = [&[0][..], &psk_hash, &info_hash].concat();
    let (_, expander) = extract(secret.expose(), b"secret", b"");
    let mut key = [0; 32];
    let mut nonce = [0; 12];
    let expand = |label: &[u8], output: &mut [u8]| {
        let info = [&(output.len() as u16).to_be_bytes()[..], &labeled(label, &context)].concat();
        // This few bytes can always be derived.
        let _ = expander.expand(&info, output);
    };
    expand(b"key", &mut key);
    expand(b"base_nonce", &mut nonce);
    (Secret::new(key), nonce)
}
