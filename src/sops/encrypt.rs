//! Encrypts plaintext files. Every value is replaced in place; the rest of the file stays as it is.

use rand_core::CryptoRng;

use super::cipher::{self, DataKey};
use super::envelope;
use super::error::SopsError;
use super::format::Format;
use super::metadata::Metadata;
use super::metadata_writer::{self, Settings};
use super::open::{self, MacWriter};
use super::parse::file::parse;
use super::parse::parsed::Parsed;
use super::parse::yaml;
use super::patch::{self, Patch};
use super::plaintext::Plaintext;
use super::recipients::Recipients;
use super::selection::Selection;
use super::tree::{self, Visit, Writing};

/// The settings for encrypting a file.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The recipients.
    pub recipients: Recipients,
    /// The values that are encrypted.
    pub selection: Selection,
    /// True if the MAC covers only encrypted values.
    pub mac_only_encrypted: bool,
}

/// Encrypts a plaintext file. `last_modified` is the current time, in RFC 3339. The result is verified by decrypting
/// it.
pub fn encrypt(
    bytes: &[u8],
    format: Format,
    recipe: &Recipe,
    last_modified: &str,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SopsError> {
    let key = DataKey::generate(rng);
    let settings =
        Settings { selection: &recipe.selection, mac_only_encrypted: recipe.mac_only_encrypted, last_modified };
    if format == Format::Binary {
        return encrypt_binary(bytes, recipe, &settings, &key, rng);
    }
    let parsed = parse(bytes, format)?;
    if let Some(problem) = parsed.problem {
        return Err(problem);
    }
    if parsed.metadata.is_some() {
        return Err(SopsError::Unsupported { place: "sops".to_owned(), what: "a file that is already encrypted" });
    }
    let mut mac = MacWriter::new(recipe.mac_only_encrypted);
    let mut plains = Vec::new();
    let mut patches = patches(&parsed, recipe, &key, &mut mac, &mut plains, rng)?;
    let raw = metadata_writer::compose(&recipe.recipients, &settings, &key, &mac.written(), rng)?;
    patches.extend(placed(bytes, format, &parsed, &metadata_writer::write(&raw, format))?);
    let written = patch::apply(bytes, patches).ok_or(SopsError::Unverified)?;
    verify(&written, format, &key, &plains)?;
    Ok(written)
}

/// Returns the replacements of all selected values.
fn patches(
    parsed: &Parsed,
    recipe: &Recipe,
    key: &DataKey,
    mac: &mut MacWriter,
    plains: &mut Vec<Plaintext>,
    rng: &mut impl CryptoRng,
) -> Result<Vec<Patch>, SopsError> {
    let mut patches = Vec::new();
    for items in &parsed.documents {
        tree::walk(items, &recipe.selection, &mut |visit: Visit<'_, '_>| {
            let leaf = visit.leaf;
            if !visit.is_comment {
                mac.add(&leaf.plain, visit.selected);
                plains.push(leaf.plain.clone());
            }
            if !visit.selected || leaf.plain.is_empty() {
                return Ok(());
            }
            let text = cipher::encrypt(&leaf.plain, key, &cipher::additional_data(visit.path), rng);
            let text = match leaf.writing {
                Writing::Bare => text,
                Writing::Quoted => format!("\"{text}\""),
                // A comment that cannot be encrypted stays readable, as with sops.
                Writing::Never if visit.is_comment => return Ok(()),
                Writing::Never => {
                    return Err(SopsError::Unsupported { place: visit.place(), what: "an alias or explicit tag" });
                }
            };
            patches.push((leaf.at.clone(), text));
            Ok(())
        })?;
    }
    Ok(patches)
}

/// Returns the insertion of the `sops` block.
fn placed(bytes: &[u8], format: Format, parsed: &Parsed, block: &str) -> Result<Vec<Patch>, SopsError> {
    let block = patch::with_line_ends_of(bytes, format, block);
    let newline = patch::with_line_ends_of(bytes, format, "\n");
    let ended = |at: usize| at == 0 || patch::ends_line(bytes[at - 1], format);
    let before = |at: usize| if ended(at) { "" } else { newline.as_str() };
    match format {
        Format::Yaml => {
            let indented = |place| SopsError::Unsupported { place, what: "a document that is indented or in brackets" };
            let places = yaml::block_places(bytes)?;
            if places.is_empty() {
                let (place, what) = ("the file".to_owned(), "YAML without a document");
                return Err(SopsError::Unsupported { place, what });
            }
            let patch = |(document, at): (usize, Option<usize>)| {
                let at = at.ok_or_else(|| indented(format!("document {document}")))?;
                Ok((at..at, format!("{}{block}{newline}", before(at))))
            };
            places.into_iter().enumerate().map(patch).collect()
        }
        Format::Json | Format::Binary => {
            let close = bytes.iter().rposition(|b| *b == b'}').ok_or(SopsError::Unverified)?;
            let end = bytes[..close].iter().rposition(|b| !b.is_ascii_whitespace()).map_or(0, |at| at + 1);
            let comma = if parsed.documents.iter().all(Vec::is_empty) { "" } else { "," };
            Ok(vec![(end..close, format!("{comma}{newline}\t{block}{newline}"))])
        }
        Format::Dotenv => Ok(vec![(bytes.len()..bytes.len(), format!("{}{block}\n", before(bytes.len())))]),
        Format::Ini => {
            let text = format!("{}{newline}{block}{newline}", before(bytes.len()));
            Ok(vec![(bytes.len()..bytes.len(), text)])
        }
    }
}

fn encrypt_binary(
    bytes: &[u8],
    recipe: &Recipe,
    settings: &Settings<'_>,
    key: &DataKey,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SopsError> {
    let plain = Plaintext::text(bytes);
    let path = ["data".to_owned()];
    let selected = recipe.selection.selects(&path, &[Vec::new()], false);
    if !selected {
        return Err(SopsError::Unsupported { place: "data".to_owned(), what: "a binary file that stays in plaintext" });
    }
    let text = cipher::encrypt(&plain, key, &cipher::additional_data(&path), rng);
    let mut mac = MacWriter::new(recipe.mac_only_encrypted);
    mac.add(&plain, true);
    let raw = metadata_writer::compose(&recipe.recipients, settings, key, &mac.written(), rng)?;
    let block = metadata_writer::write(&raw, Format::Binary);
    let written = format!("{{\n\t\"data\": \"{text}\",\n\t{block}\n}}\n").into_bytes();
    verify(&written, Format::Binary, key, &[plain])?;
    Ok(written)
}

/// Verifies a written file: its values are the original ones, and its MAC is valid.
pub(super) fn verify(
    written: &[u8],
    format: Format,
    key: &DataKey,
    plains: &[Plaintext],
) -> Result<Metadata, SopsError> {
    let envelope = envelope::read(written, format).map_err(|_| SopsError::Unverified)?;
    let mut expected = plains.iter();
    let mut same = true;
    let opened = open::decrypt(&envelope, key, &mut |_, visit, plain| {
        same &= visit.is_comment || expected.next() == Some(plain);
    });
    let verified = opened.is_ok() && same && expected.next().is_none();
    if verified { Ok(envelope.metadata) } else { Err(SopsError::Unverified) }
}

#[cfg(test)]
mod tests {
    use getrandom::SysRng;
    use proptest::prelude::*;
    use rand_core::UnwrapErr;

    use super::*;

    proptest! {
        // Files that cannot be encrypted are refused for a reason, not because the result does not decrypt.
        #[test]
        fn encrypted_files_decrypt(
            text in "[ab:#\n \\-\\[\\]{}\"'|>&*!,0-9.~=;`\r\\\\]{0,32}",
            format in prop::sample::select(vec![Format::Yaml, Format::Json, Format::Dotenv, Format::Ini]),
        ) {
            let recipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj".to_owned();
            let recipients = Recipients { groups: vec![vec![recipient]], threshold: None };
            let recipe = Recipe { recipients, selection: Selection::default(), mac_only_encrypted: false };
            let (text, mut rng) = (text.as_bytes(), UnwrapErr(SysRng));
            let error = encrypt(text, format, &recipe, "2026-04-01T00:00:00Z", &mut rng).err();
            prop_assert_ne!(error, Some(SopsError::Unverified));
        }
    }
}
