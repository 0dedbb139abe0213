//! Gives a file a new data key, encrypted to the recipients that it should have. Plaintext values, plaintext comments
//! and the layout of the file stay as they are.

use std::collections::BTreeSet;

use rand_core::CryptoRng;

use super::age::recipient;
use super::cipher::{self, DataKey};
use super::encrypt;
use super::envelope::{self, Envelope};
use super::error::SopsError;
use super::format::Format;
use super::keyring::Keyring;
use super::metadata_writer::{self, Settings};
use super::open::{self, MacWriter};
use super::patch::{self, Patch};
use super::plaintext::{Plaintext, Type};
use super::recipients::Recipients;
use super::rulebook::{BrokenRules, RuleBook};
use super::rules::RequiredKey;
use super::tree::{self, Visit, Writing};

/// A file with a new data key.
#[derive(Debug, Clone)]
pub struct Rotated {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The recipients that were added.
    pub added: Vec<String>,
    /// The recipients that were removed.
    pub removed: Vec<String>,
}

/// Gives a file of a tree a new data key, for the recipients that the rules require; without a rule, for those that it
/// has. `None` if it is not a SOPS file. Keys of services are only dropped if a rule lists nothing but age recipients.
pub fn rotate_by_rules(
    path: &str,
    bytes: &[u8],
    keyring: &Keyring,
    rules: &RuleBook,
    last_modified: &str,
    rng: &mut impl CryptoRng,
) -> Option<Result<Rotated, SopsError>> {
    let detected = envelope::detect(bytes)?;
    let broken = |BrokenRules { file, error }: BrokenRules<'_>| SopsError::Rules { file, source: error.clone() };
    let rotated = || {
        let envelope = detected.into_envelope()?;
        let found = rules.rules_for(path).map_err(broken)?;
        let recipients = match found.and_then(|(rules, path)| rules.rule_for(&path)) {
            Some(rule) => rule.recipients()?,
            None => envelope.metadata.age_recipients()?,
        };
        let rotated = rotate_envelope(bytes, &envelope, keyring, &recipients, last_modified, rng)?;
        let before: BTreeSet<String> =
            envelope.metadata.keys().map(|key| RequiredKey::of(key).display_name()).collect();
        let after: BTreeSet<String> =
            recipients.groups.iter().flatten().map(|name| recipient::normalized(name)).collect();
        let but = |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).cloned().collect();
        Ok(Rotated { bytes: rotated, added: but(&after, &before), removed: but(&before, &after) })
    };
    Some(rotated())
}

/// Gives a file a new data key. `last_modified` is the current time, in RFC 3339. The file must be valid; the result is
/// verified by decrypting it.
pub fn rotate(
    bytes: &[u8],
    keyring: &Keyring,
    recipients: &Recipients,
    last_modified: &str,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SopsError> {
    let envelope = envelope::detect(bytes).ok_or(SopsError::NotSops)?.into_envelope()?;
    rotate_envelope(bytes, &envelope, keyring, recipients, last_modified, rng)
}

fn rotate_envelope(
    bytes: &[u8],
    envelope: &Envelope,
    keyring: &Keyring,
    recipients: &Recipients,
    last_modified: &str,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SopsError> {
    let format = envelope.format;
    let old = keyring.open(&envelope.metadata)?;
    let new = DataKey::generate(rng);
    let metadata = &envelope.metadata;
    let mut mac = MacWriter::new(metadata.mac_only_encrypted);
    let mut patches: Vec<Patch> = Vec::new();
    let mut plains = Vec::new();
    let mut problem = None;
    open::decrypt(envelope, &old, &mut |_, visit, plain| {
        mac.add_visited(visit, plain);
        if !visit.is_comment {
            plains.push(plain.clone());
        }
        match rewritten(envelope, visit, plain, &old, &new, rng) {
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
    for spans in &envelope.spans {
        patches.push((block_range(bytes, format, &spans.block)?, text.clone()));
    }
    let written = patch::apply(bytes, patches).ok_or(SopsError::Unverified)?;
    encrypt::verify(&written, format, &new, &plains)?;
    Ok(written)
}

/// Returns the replacement of an encrypted value or comment.
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
        // Some version of sops encrypted this comment under another key.
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

/// Returns the additional data under which a comment decrypts, and the comment.
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

/// Returns the bytes of the old block; fails if it may contain anything else.
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
