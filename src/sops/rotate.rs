//! A new data key for a file, encrypted to the recipients that it should have. Clear values, comments in clear and the
//! form of the file stay as they are.

use std::collections::BTreeSet;

use rand_core::CryptoRng;

use super::age::recipient;
use super::cipher::{self, DataKey};
use super::encrypt;
use super::envelope::{self, Envelope};
use super::error::SopsError;
use super::format::Format;
use super::keyring::Keyring;
use super::metadata_writer::{self, Recipients, Settings};
use super::open::{self, MacWriter};
use super::patch::{self, Patch};
use super::plaintext::{Plaintext, Type};
use super::rulebook::{BrokenRules, RuleBook};
use super::rules::WantedKey;
use super::tree::{self, Visit, Writing};

/// A file that was encrypted anew.
#[derive(Debug, Clone)]
pub struct Rotated {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// To whom it is encrypted now and was not before.
    pub added: Vec<String>,
    /// To whom it was encrypted and is no longer.
    pub removed: Vec<String>,
}

/// Encrypts a file of a tree anew, for the recipients that the rules want; without a rule for those that it has. `None`
/// when it is no SOPS file. Keys of services are never dropped but where a rule of age recipients alone says so.
pub fn rotate_by_rules(
    path: &str,
    bytes: &[u8],
    keyring: &Keyring,
    rules: &RuleBook,
    last_modified: &str,
    rng: &mut impl CryptoRng,
) -> Option<Result<Rotated, SopsError>> {
    let format = envelope::detect(bytes)?;
    let broken = |BrokenRules { file, error }: BrokenRules<'_>| SopsError::Rules { file, source: error.clone() };
    let mut rotated = || {
        let metadata = envelope::read(bytes, format)?.metadata;
        let found = rules.rules_for(path).map_err(broken)?;
        let recipients = match found.and_then(|(rules, path)| rules.rule_for(&path)) {
            Some(rule) => rule.recipients()?,
            None => metadata.age_recipients()?,
        };
        let rotated = rotate(bytes, keyring, &recipients, last_modified, rng)?;
        let before: BTreeSet<String> = metadata.keys().map(|key| WantedKey::of(key).shown()).collect();
        let after: BTreeSet<String> =
            recipients.groups.iter().flatten().map(|name| recipient::normalized(name)).collect();
        let but = |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).cloned().collect();
        Ok(Rotated { bytes: rotated, added: but(&after, &before), removed: but(&before, &after) })
    };
    Some(rotated())
}

/// Encrypts a file anew. `last_modified` is the time now, in RFC 3339. The file must verify first; the result is proved
/// by opening it again.
pub fn rotate(
    bytes: &[u8],
    keyring: &Keyring,
    recipients: &Recipients,
    last_modified: &str,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SopsError> {
    let format = envelope::detect(bytes).ok_or(SopsError::NotSops)?;
    let envelope = envelope::read(bytes, format)?;
    let old = keyring.open(&envelope.metadata)?;
    let new = DataKey::generate(rng);
    let metadata = &envelope.metadata;
    let mut mac = MacWriter::new(metadata.mac_only_encrypted);
    let mut patches: Vec<Patch> = Vec::new();
    let mut plains = Vec::new();
    let mut problem = None;
    open::decrypt(&envelope, &old, &mut |_, visit, plain| {
        mac.add_visited(visit, plain);
        if !visit.is_comment {
            plains.push(plain.clone());
        }
        match rewritten(&envelope, visit, plain, &old, &new, rng) {
            Ok(patch) => patches.extend(patch),
            Err(error) => problem = problem.take().or(Some(error)),
        }
    })?;
    if let Some(problem) = problem {
        return Err(problem);
    }
    let settings =
        Settings { selection: &metadata.selection, mac_only_encrypted: metadata.mac_only_encrypted, last_modified };
    let raw = metadata_writer::compose(recipients, &settings, &new, &mac.written(), rng)?;
    let text = patch::with_line_ends_of(bytes, format, &metadata_writer::write(&raw, format));
    for fields in &envelope.fields {
        patches.push((block_range(bytes, format, &fields.block)?, text.clone()));
    }
    let written = patch::apply(bytes, patches).ok_or(SopsError::Unproved)?;
    encrypt::prove(&written, format, &new, &plains)?;
    Ok(written)
}

/// What stands in the place of an encrypted value or comment.
fn rewritten(
    envelope: &Envelope,
    visit: &Visit<'_, '_>,
    plain: &Plaintext,
    old: &DataKey,
    new: &DataKey,
    rng: &mut impl CryptoRng,
) -> Result<Option<Patch>, SopsError> {
    let leaf = visit.leaf;
    if !leaf.plain.expose().starts_with(cipher::PREFIX.as_bytes()) {
        return Ok(None);
    }
    let mut path = cipher::additional_data(visit.path);
    let mut plain = plain.clone();
    if visit.is_comment && plain == leaf.plain {
        // Some version of sops counted this comment to another key.
        let Some((owner, opened)) = owner_of(envelope, &leaf.plain, old) else { return Ok(None) };
        (path, plain) = (owner, opened);
    } else if !visit.selected {
        return Ok(None);
    }
    let text = cipher::encrypt(&plain, new, &path, rng);
    match leaf.writing {
        Writing::Bare => Ok(Some((leaf.at.clone(), text))),
        Writing::Quoted => Ok(Some((leaf.at.clone(), format!("\"{text}\"")))),
        Writing::Never if plain.kind == Type::Comment => Ok(Some((leaf.at.clone(), text))),
        Writing::Never => Err(SopsError::Unsupported { place: visit.place(), what: "an alias or explicit tag" }),
    }
}

/// The additional data under which a comment decrypts, and the comment.
fn owner_of(envelope: &Envelope, comment: &Plaintext, key: &DataKey) -> Option<(String, Plaintext)> {
    let text = std::str::from_utf8(comment.expose()).ok()?;
    let mut found = None;
    for items in &envelope.documents {
        let _ = tree::walk(items, &envelope.metadata.selection, &mut |visit: Visit<'_, '_>| {
            for length in 0..=visit.path.len() {
                let path = cipher::additional_data(&visit.path[..length]);
                if let Ok(plain) = cipher::decrypt(text, key, &path) {
                    found = Some((path, plain));
                    return Err(());
                }
            }
            Ok(())
        });
    }
    found
}

/// The bytes of the old block. Where it could hold something else as well, it is not replaced.
fn block_range(
    bytes: &[u8],
    format: Format,
    range: &std::ops::Range<usize>,
) -> Result<std::ops::Range<usize>, SopsError> {
    let text = String::from_utf8_lossy(&bytes[range.clone()]);
    let whole = match format {
        Format::Dotenv => text.lines().all(|line| line.is_empty() || line.starts_with("sops_")),
        Format::Yaml => !text.trim_start_matches("sops:").trim_start().starts_with('{') && text.starts_with("sops:"),
        _ => true,
    };
    let refused = SopsError::Unsupported { place: "sops".to_owned(), what: "metadata in this form" };
    if whole { Ok(range.clone()) } else { Err(refused) }
}
