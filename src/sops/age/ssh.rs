//! `ssh-ed25519` recipients: Ed25519 SSH keys, used as X25519 keys. RSA keys are not supported: the only implementation
//! of RSA in Rust leaks them through its timing (RUSTSEC-2023-0071).

use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{aead_decrypt, aead_encrypt};
use age_core::secrecy::ExposeSecret;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use curve25519_dalek::edwards::CompressedEdwardsY;
use sha2::{Digest, Sha256, Sha512};

use crate::secret::Secret;

use super::curve::{self, derive};

const KIND: &str = "ssh-ed25519";
const LABEL: &[u8] = b"age-encryption.org/v1/ssh-ed25519";
const MAGIC: &[u8] = b"openssh-key-v1\0";

/// A private key.
#[derive(Clone)]
pub struct SecretKey {
    key: curve::SecretKey,
    public: PublicKey,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The key in SSH's wire format.
    wire: Vec<u8>,
    point: curve::PublicKey,
}

/// The reason why a private key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SshKeyError {
    /// It is not in OpenSSH's format, or is truncated.
    #[error("it is not a complete OpenSSH private key")]
    Form,
    /// It has a passphrase.
    #[error("it is protected by a passphrase")]
    Passphrase,
    /// It is not an Ed25519 key.
    #[error("only Ed25519 SSH keys are supported")]
    Kind,
}

impl PublicKey {
    /// Parses a line of `authorized_keys`: kind, key, comment.
    pub fn parse(line: &str) -> Option<PublicKey> {
        let mut words = line.split_ascii_whitespace();
        let (kind, body) = (words.next()?, words.next()?);
        let wire = STANDARD.decode(body).ok().filter(|_| kind == KIND)?;
        let mut reader = Wire(&wire);
        let key: [u8; 32] = (reader.string()? == KIND.as_bytes()).then(|| reader.string())??.try_into().ok()?;
        if !reader.0.is_empty() {
            return None;
        }
        Some(PublicKey { point: montgomery(key)?, wire })
    }

    /// Wraps a file key; `None` for a key without a possible private key.
    pub fn wrap(&self, file_key: &FileKey) -> Option<Stanza> {
        let ephemeral = curve::SecretKey::ephemeral();
        let share = ephemeral.public();
        let shared = self.tweak(ephemeral.shared(&self.point)?)?;
        let key = derive(shared.expose(), &[share.0, self.point.0].concat(), LABEL);
        let args = vec![self.tag(), STANDARD_NO_PAD.encode(share.0)];
        Some(Stanza { tag: KIND.to_owned(), args, body: aead_encrypt(key.expose(), file_key.expose_secret()) })
    }

    /// Returns the key as a recipient.
    pub fn written(&self) -> String {
        format!("{KIND} {}", STANDARD.encode(&self.wire))
    }

    fn tag(&self) -> String {
        STANDARD_NO_PAD.encode(&Sha256::digest(&self.wire)[..4])
    }

    /// Binds a shared secret to the SSH key.
    fn tweak(&self, shared: Secret<[u8; 32]>) -> Option<Secret<[u8; 32]>> {
        let tweak = derive(b"", &self.wire, LABEL);
        curve::SecretKey::from_bytes(tweak.expose())?.shared(&curve::PublicKey(*shared.expose()))
    }
}

impl SecretKey {
    /// Parses a private key file of OpenSSH (PROTOCOL.key).
    pub fn parse(text: &str) -> Result<SecretKey, SshKeyError> {
        let body = text.trim().strip_prefix("-----BEGIN OPENSSH PRIVATE KEY-----").ok_or(SshKeyError::Form)?;
        let body = body.strip_suffix("-----END OPENSSH PRIVATE KEY-----").ok_or(SshKeyError::Form)?;
        let body = Secret::new(body.split_ascii_whitespace().collect::<String>());
        let bytes = Secret::new(STANDARD.decode(body.expose()).map_err(|_| SshKeyError::Form)?);
        let mut reader = Wire(bytes.expose().strip_prefix(MAGIC).ok_or(SshKeyError::Form)?);
        let cipher = reader.string().ok_or(SshKeyError::Form)?;
        let is_clear = cipher == b"none";
        let private = reader.private().ok_or(SshKeyError::Form)?;
        if !is_clear {
            return Err(SshKeyError::Passphrase);
        }
        let mut reader = Wire(private);
        let kind = reader.key_kind().ok_or(SshKeyError::Form)?;
        if kind != KIND.as_bytes() {
            return Err(SshKeyError::Kind);
        }
        reader.ed25519().ok_or(SshKeyError::Form)
    }

    /// Returns its public key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Returns the file key, if the stanza is for this key.
    pub fn unwrap(&self, stanza: &Stanza) -> Option<FileKey> {
        let [tag, share] = stanza.args.as_slice() else { return None };
        if stanza.tag != KIND || *tag != self.public.tag() {
            return None;
        }
        let share = curve::PublicKey(STANDARD_NO_PAD.decode(share).ok()?.try_into().ok()?);
        let shared = self.public.tweak(self.key.shared(&share)?)?;
        let key = derive(shared.expose(), &[share.0, self.public.point.0].concat(), LABEL);
        let opened = Secret::new(aead_decrypt(key.expose(), FILE_KEY_BYTES, &stanza.body).ok()?);
        Some(FileKey::init_with_mut(|key| key.copy_from_slice(opened.expose())))
    }
}

/// Converts an Ed25519 point to an X25519 one.
fn montgomery(key: [u8; 32]) -> Option<curve::PublicKey> {
    Some(curve::PublicKey(CompressedEdwardsY(key).decompress()?.to_montgomery().to_bytes()))
}

/// A reader of SSH's numbers and strings (RFC 4251 section 5).
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.number()? as usize;
        let (string, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(string)
    }

    /// Skips the key derivation and the public key, and returns the private part of the only key.
    fn private(&mut self) -> Option<&'a [u8]> {
        self.string()?;
        self.string()?;
        (self.number()? == 1).then_some(())?;
        self.string()?;
        self.string()
    }

    /// Skips the two numbers that verify a passphrase.
    fn key_kind(&mut self) -> Option<&'a [u8]> {
        (self.number()? == self.number()?).then_some(())?;
        self.string()
    }

    fn ed25519(&mut self) -> Option<SecretKey> {
        let public: [u8; 32] = self.string()?.try_into().ok()?;
        let seed = self.string()?.first_chunk::<32>()?;
        let hash = Secret::new(<[u8; 64]>::from(Sha512::digest(seed)));
        let key = curve::SecretKey::from_bytes(&hash.expose()[..32])?;
        let mut wire = Vec::new();
        for part in [KIND.as_bytes(), &public] {
            wire.extend_from_slice(&(part.len() as u32).to_be_bytes());
            wire.extend_from_slice(part);
        }
        let point = montgomery(public).filter(|point| *point == key.public())?;
        Some(SecretKey { key, public: PublicKey { wire, point } })
    }
}
