//! A new MAC for a file whose clear values were changed. Everything else stays as it is, byte for byte.

use rand_core::CryptoRng;

use super::cipher::{self, DataKey};
use super::envelope::{self, Envelope};
use super::error::SopsError;
use super::format;
use super::keyring::Keyring;
use super::metadata_writer;
use super::open::{self, MacWriter};
use super::patch::{self, Patch};
use super::tree::{self, Visit};

/// Gives `edited`, which differs from the SOPS file `original` in values in clear alone, a MAC that holds.
/// `last_modified` is the time now, in RFC 3339. The original must verify, or what someone else did to it would be
/// covered up; the result is proved by opening it again.
pub fn update_mac(
    original: &[u8],
    edited: &[u8],
    keyring: &Keyring,
    last_modified: &str,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SopsError> {
    let format = envelope::detect(original).ok_or(SopsError::NotSops)?;
    let before = envelope::read(original, format)?;
    let key = keyring.open(&before.metadata)?;
    open::verify(&before, &key)?;
    let after = envelope::read(edited, format)?;
    let same_metadata = format::read(original, format)?.metadata == format::read(edited, format)?.metadata;
    if !same_metadata || before.fields.len() != after.fields.len() {
        return Err(SopsError::NotOnlyPlaintext { place: format::METADATA_KEY.to_owned() });
    }
    only_clear_changed(&before, &after)?;
    let last_modified = metadata_writer::checked_time(last_modified)?;
    let mac = cipher::encrypt(&mac_of(&after, &key)?.written(), &key, &last_modified, rng);
    let mut patches: Vec<Patch> = Vec::new();
    for fields in &after.fields {
        for (range, text) in [(&fields.mac, &mac), (&fields.last_modified, &last_modified)] {
            // Of several documents, sops reads the metadata of the first one alone; others may lack a field.
            if !range.is_empty() {
                patches.push((range.clone(), in_quotes_of(&edited[range.clone()], text)));
            }
        }
    }
    let written = patch::apply(edited, patches).ok_or(SopsError::Unproved)?;
    let proved = envelope::read(&written, format).and_then(|envelope| open::verify(&envelope, &key));
    proved.map(|()| written).map_err(|_| SopsError::Unproved)
}

/// The values that are encrypted, with their paths, are the same and in the same order.
fn only_clear_changed(before: &Envelope, after: &Envelope) -> Result<(), SopsError> {
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
        // The old MAC is that of the old values.
        Ok(()) | Err(SopsError::MacMismatch) => Ok(mac),
        Err(error) => Err(error),
    }
}

/// A text in the quotes that stand around another one.
fn in_quotes_of(old: &[u8], text: &str) -> String {
    match old.first() {
        Some(quote @ (b'"' | b'\'' | b'`')) => format!("{0}{text}{0}", *quote as char),
        _ => text.to_owned(),
    }
}
