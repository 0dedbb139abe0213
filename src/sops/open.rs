//! Decrypts and verifies SOPS files as sops does: every selected value must decrypt under its own path, and the MAC
//! must be that of all values in order.
//!
//! ```
//! use getrandom::SysRng;
//! use rand_core::UnwrapErr;
//! use tagalong::secret::Secret;
//! use tagalong::sops::encrypt::{Recipe, encrypt};
//! use tagalong::sops::envelope;
//! use tagalong::sops::format::Format;
//! use tagalong::sops::keyring::Keyring;
//! use tagalong::sops::open;
//! use tagalong::sops::recipients::Recipients;
//! use tagalong::sops::selection::Selection;
//!
//! let identity = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
//! let mut keyring = Keyring::new();
//! keyring.add_file(&Secret::new(identity.to_owned()))?;
//! let group = keyring.recipients().map(str::to_owned).collect();
//! let recipe = Recipe {
//!     recipients: Recipients { groups: vec![group], threshold: None },
//!     selection: Selection::default(),
//!     mac_only_encrypted: false,
//! };
//! let now = "2026-04-01T12:00:00Z";
//! let file = encrypt(b"password: hunter2\n", Format::Yaml, &recipe, now, &mut UnwrapErr(SysRng))?;
//!
//! let envelope = envelope::detect(&file).ok_or("no metadata")?.into_envelope()?;
//! let key = keyring.open(&envelope.metadata)?;
//! let values = open::decrypt_values(&envelope, &key)?;
//! assert_eq!(values[0].place, "password");
//! assert_eq!(values[0].plain.expose(), b"hunter2");
//!
//! // A value that is moved to another key no longer decrypts.
//! let moved = String::from_utf8(file)?.replace("password:", "token:");
//! assert!(open::verify(&envelope::read(moved.as_bytes(), Format::Yaml)?, &key).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use sha2::{Digest, Sha512};

use super::cipher::{self, CipherError, DataKey};
use super::envelope::{self, Envelope};
use super::error::{SopsError, ValueProblem};
use super::format::Format;
use super::keyring::Keyring;
use super::metadata::Metadata;
use super::parse::file::parse;
use super::plaintext::{Plaintext, Type};
use super::selection::Selection;
use super::tree::{self, Visit};

/// The first bytes of a MAC that covers only encrypted values, so that it never equals one over all values.
const MAC_ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b, 0x97, 0x5b,
    0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// A decrypted value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decrypted {
    /// The document, from 0.
    pub document: usize,
    /// The path to the value, for display.
    pub place: String,
    /// The keys that lead to it.
    pub path: Vec<String>,
    /// The value.
    pub plain: Plaintext,
}

/// Verifies that a file decrypts and that its MAC matches. Each value is dropped at once.
pub fn verify(envelope: &Envelope, key: &DataKey) -> Result<(), SopsError> {
    decrypt(envelope, key, &mut |_, _, _| ())
}

/// Decrypts and verifies a file, and returns its values and comments in order.
pub fn decrypt_values(envelope: &Envelope, key: &DataKey) -> Result<Vec<Decrypted>, SopsError> {
    let mut values = Vec::new();
    decrypt(envelope, key, &mut |document, visit, plain| {
        values.push(Decrypted::of(document, visit, plain));
    })?;
    Ok(values)
}

/// Returns the values of a file, whether or not it is a SOPS file.
pub fn values(path: &str, bytes: &[u8], keyring: &Keyring) -> Result<Vec<Decrypted>, SopsError> {
    if let Some(detected) = envelope::detect(bytes) {
        let envelope = detected.into_envelope()?;
        return decrypt_values(&envelope, &keyring.open(&envelope.metadata)?);
    }
    let parsed = parse(bytes, Format::from_path(path))?;
    let mut values = Vec::new();
    for (document, items) in parsed.documents.iter().enumerate() {
        tree::walk(items, &Selection::default(), &mut |visit: Visit<'_, '_>| {
            values.push(Decrypted::of(document, &visit, &visit.leaf.plain));
            Ok::<(), SopsError>(())
        })?;
    }
    Ok(values)
}

impl Decrypted {
    fn of(document: usize, visit: &Visit<'_, '_>, plain: &Plaintext) -> Decrypted {
        Decrypted { document, place: visit.place(), path: visit.path.to_vec(), plain: plain.clone() }
    }
}

/// Decrypts value by value, then verifies the MAC.
pub(super) fn decrypt(
    envelope: &Envelope,
    key: &DataKey,
    see: &mut dyn FnMut(usize, &Visit<'_, '_>, &Plaintext),
) -> Result<(), SopsError> {
    let mut mac = MacWriter::new(envelope.metadata.mac_only_encrypted);
    let mut misplaced = None;
    for (document, items) in envelope.documents.iter().enumerate() {
        tree::walk(items, &envelope.metadata.selection, &mut |visit: Visit<'_, '_>| {
            let at = |problem| SopsError::Value { document, place: visit.place(), problem };
            let plain = decrypted(&visit, key).map_err(|error| at(explained(envelope, &visit, key, error)))?;
            if !visit.selected && !visit.is_comment && looks_encrypted(&plain) {
                misplaced.get_or_insert_with(|| at(ValueProblem::NotSelected));
            }
            mac.add_visited(&visit, &plain);
            see(document, &visit, &plain);
            Ok::<(), SopsError>(())
        })?;
    }
    match check_mac(&envelope.metadata, key, mac) {
        Err(SopsError::MacMismatch) => Err(misplaced.unwrap_or(SopsError::MacMismatch)),
        result => result,
    }
}

/// Computes a MAC value by value.
pub(super) struct MacWriter {
    hash: Sha512,
    only_encrypted: bool,
}

impl MacWriter {
    pub(super) fn new(only_encrypted: bool) -> MacWriter {
        let mut hash = Sha512::new();
        if only_encrypted {
            hash.update(MAC_ONLY_ENCRYPTED);
        }
        MacWriter { hash, only_encrypted }
    }

    /// Adds a value, encrypted or not.
    pub(super) fn add(&mut self, plain: &Plaintext, selected: bool) {
        if selected || !self.only_encrypted {
            self.hash.update(plain.expose());
        }
    }

    /// Adds a value that was decrypted on a walk, unless it is a comment.
    pub(super) fn add_visited(&mut self, visit: &Visit<'_, '_>, plain: &Plaintext) {
        if plain.kind != Type::Comment {
            self.add(plain, visit.selected);
        }
    }

    /// Returns the MAC as it is written before encryption.
    pub(super) fn written(self) -> Plaintext {
        let hash: String = self.hash.finalize().iter().map(|byte| format!("{byte:02X}")).collect();
        Plaintext::text(hash)
    }
}

fn check_mac(metadata: &Metadata, key: &DataKey, mac: MacWriter) -> Result<(), SopsError> {
    let stored = cipher::decrypt(&metadata.mac, key, &metadata.last_modified).map_err(SopsError::MacUnreadable)?;
    if stored == mac.written() { Ok(()) } else { Err(SopsError::MacMismatch) }
}

/// Decrypts the value at a path. A comment that does not decrypt was never encrypted.
fn decrypted(visit: &Visit<'_, '_>, key: &DataKey) -> Result<Plaintext, ValueProblem> {
    let plain = &visit.leaf.plain;
    if !visit.selected {
        return Ok(plain.clone());
    }
    if visit.is_comment && plain.is_empty() {
        return Ok(plain.clone());
    }
    let text = std::str::from_utf8(plain.expose()).ok().filter(|_| matches!(plain.kind, Type::Str | Type::Comment));
    let text = text.ok_or(ValueProblem::Plaintext)?;
    match cipher::decrypt(text, key, &cipher::additional_data(visit.path)) {
        Err(_) if visit.is_comment => Ok(plain.clone()),
        Err(CipherError::Form) if !text.starts_with("ENC[") => Err(ValueProblem::Plaintext),
        result => result.map_err(ValueProblem::Cipher),
    }
}

/// Finds out whether a value that does not decrypt belongs to another key of the file.
fn explained(envelope: &Envelope, visit: &Visit<'_, '_>, key: &DataKey, problem: ValueProblem) -> ValueProblem {
    if problem != ValueProblem::Cipher(CipherError::Refused) {
        return problem;
    }
    let text = String::from_utf8_lossy(visit.leaf.plain.expose());
    for items in &envelope.documents {
        let found = tree::walk(items, &envelope.metadata.selection, &mut |other: Visit<'_, '_>| match cipher::decrypt(
            &text,
            key,
            &cipher::additional_data(other.path),
        ) {
            Ok(_) => Err(other.place()),
            Err(_) => Ok(()),
        });
        if let Err(from) = found {
            return ValueProblem::Moved { from };
        }
    }
    problem
}

fn looks_encrypted(plain: &Plaintext) -> bool {
    plain.kind == Type::Str && plain.expose().starts_with(cipher::PREFIX.as_bytes())
}
