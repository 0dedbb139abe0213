//! Updates the MAC of a file whose plaintext values were changed. Everything else stays as it is, byte for byte.

use rand_core::CryptoRng;

use super::cipher::{self, DataKey};
use super::envelope::{self, Envelope};
use super::error::SopsError;
use super::format::METADATA_KEY;
use super::keyring::Keyring;
use super::metadata_writer;
use super::open::{self, MacWriter};
use super::parse::file::parse;
use super::patch::{self, Patch};
use super::tree::{self, Visit};

/// Gives `edited`, which differs from the SOPS file `original` only in plaintext values, a valid MAC. `last_modified`
/// is the current time, in RFC 3339. The original must be valid, or tampering with it would be covered up; the result
/// is verified by decrypting it.
pub fn update_mac(
    original: &[u8],
    edited: &[u8],
    keyring: &Keyring,
    last_modified: &str,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SopsError> {
    let detected = envelope::detect(original).ok_or(SopsError::NotSops)?;
    let (format, metadata) = (detected.format, detected.parsed.metadata.clone());
    let before = detected.into_envelope()?;
    let key = keyring.open(&before.metadata)?;
    open::verify(&before, &key)?;
    let after = parse(edited, format)?;
    let same_metadata = after.metadata == metadata;
    let after = Envelope::of(format, after)?;
    if !same_metadata || before.spans.len() != after.spans.len() {
        return Err(SopsError::NotOnlyPlaintext { place: METADATA_KEY.to_owned() });
    }
    only_plaintext_changed(&before, &after)?;
    let last_modified = metadata_writer::checked_time(last_modified)?;
    let mac = cipher::encrypt(&mac_of(&after, &key)?.written(), &key, &last_modified, rng);
    let mut patches: Vec<Patch> = Vec::new();
    for spans in &after.spans {
        for (range, text) in [(&spans.mac, &mac), (&spans.last_modified, &last_modified)] {
            // Sops reads only the metadata of the first document; others may lack a field.
            if !range.is_empty() {
                patches.push((range.clone(), in_quotes_of(&edited[range.clone()], text)));
            }
        }
    }
    let written = patch::apply(edited, patches).ok_or(SopsError::Unverified)?;
    let verified = envelope::read(&written, format).and_then(|envelope| open::verify(&envelope, &key));
    verified.map(|()| written).map_err(|_| SopsError::Unverified)
}

/// Checks that the encrypted values and their paths are the same and in the same order.
fn only_plaintext_changed(before: &Envelope, after: &Envelope) -> Result<(), SopsError> {
    let encrypted = |envelope: &Envelope| {
        let mut found = Vec::new();
        for items in &envelope.documents {
            let _ = tree::walk(items, &envelope.metadata.selection, &mut |visit: Visit<'_, '_>| {
                if visit.selected && !visit.is_comment {
                    found.push((visit.place(), visit.leaf.plain.clone()));
                }
                Ok::<(), ()>(())
            });
            found.push(("end of a document".to_owned(), super::plaintext::Plaintext::text("")));
        }
        found
    };
    let (before, after) = (encrypted(before), encrypted(after));
    let differs = before.iter().zip(&after).find(|(one, other)| one != other);
    match differs {
        Some(((place, _), _)) => Err(SopsError::NotOnlyPlaintext { place: place.clone() }),
        None if before.len() != after.len() => Err(SopsError::NotOnlyPlaintext { place: "end of the file".to_owned() }),
        None => Ok(()),
    }
}

fn mac_of(envelope: &Envelope, key: &DataKey) -> Result<MacWriter, SopsError> {
    let mut mac = MacWriter::new(envelope.metadata.mac_only_encrypted);
    match open::decrypt(envelope, key, &mut |_, visit, plain| mac.add_visited(visit, plain)) {
        // The old MAC belongs to the old values.
        Ok(()) | Err(SopsError::MacMismatch) => Ok(mac),
        Err(error) => Err(error),
    }
}

/// Returns a text in the quotes of another one.
fn in_quotes_of(old: &[u8], text: &str) -> String {
    match old.first() {
        Some(quote @ (b'"' | b'\'' | b'`')) => format!("{0}{text}{0}", *quote as char),
        _ => text.to_owned(),
    }
}
