//! Writes the `sops` block in each format, as sops does.

use super::cipher::DataKey;
use super::error::SopsError;
use super::format::{DOTENV_PREFIX, Format, METADATA_KEY};
use super::go_scalar::parse_rfc3339;
use super::metadata_error::MetadataError;
use super::plaintext::Plaintext;
use super::raw::Raw;
use super::recipients::Recipients;
use super::selection::Selection;
use super::{age, cipher, flat, shamir};
use crate::secret::Secret;
use crate::yaml::plain::is_ambiguous;
use rand_core::CryptoRng;

/// The version of sops whose format is written.
pub const VERSION: &str = "3.11.0";

/// The settings in a block, apart from keys and MAC.
pub(super) struct Settings<'a> {
    pub selection: &'a Selection,
    pub mac_only_encrypted: bool,
    /// RFC 3339.
    pub last_modified: &'a str,
}

/// Composes the metadata of a file whose values are encrypted with `key`.
pub(super) fn compose(
    recipients: &Recipients,
    settings: &Settings<'_>,
    key: &DataKey,
    mac: &Plaintext,
    rng: &mut impl CryptoRng,
) -> Result<Raw, SopsError> {
    let last_modified = checked_time(settings.last_modified)?;
    let text = |key: &str, text: &str| (key.to_owned(), Raw::Text(text.to_owned()));
    let mut pairs = wrapped(recipients, key, rng)?;
    pairs.push(text("lastmodified", &last_modified));
    pairs.push(text("mac", &cipher::encrypt(mac, key, &last_modified, rng)));
    let (rule, pattern) = settings.selection.written();
    pairs.push(text(rule, pattern));
    if settings.mac_only_encrypted {
        pairs.push(("mac_only_encrypted".to_owned(), Raw::Word("true".to_owned())));
    }
    pairs.push(text("version", VERSION));
    Ok(Raw::Map(pairs))
}

/// Returns a time as SOPS writes it: RFC 3339, to the second.
pub(super) fn checked_time(text: &str) -> Result<String, SopsError> {
    let time = parse_rfc3339(text).ok_or(MetadataError::LastModified)?;
    Ok(super::metadata::without_fraction(&time))
}

/// Encrypts the data key, or its shares, to all recipients.
fn wrapped(recipients: &Recipients, key: &DataKey, rng: &mut impl CryptoRng) -> Result<Vec<(String, Raw)>, SopsError> {
    let groups = &recipients.groups;
    if let [group] = groups.as_slice() {
        return Ok(vec![("age".to_owned(), stanzas(group, key.expose())?)]);
    }
    let threshold = recipients.threshold.unwrap_or(groups.len());
    let refused = SopsError::Threshold { groups: groups.len(), threshold };
    let shares: Vec<Secret<Vec<u8>>> = shamir::split(key.expose(), groups.len(), threshold, rng).ok_or(refused)?;
    let mut written = Vec::new();
    for (group, share) in groups.iter().zip(&shares) {
        let age = ("age".to_owned(), stanzas(group, share.expose())?);
        written.push(Raw::Map(vec![("hc_vault".to_owned(), Raw::List(Vec::new())), age]));
    }
    let threshold = Raw::Word(threshold.to_string());
    Ok(vec![("shamir_threshold".to_owned(), threshold), ("key_groups".to_owned(), Raw::List(written))])
}

fn stanzas(group: &[String], share: &[u8]) -> Result<Raw, SopsError> {
    let mut list = Vec::new();
    for text in group {
        let refused = || SopsError::Recipient { recipient: text.clone() };
        let recipient = age::recipient::Recipient::parse(text).ok_or_else(refused)?;
        let enc = age::file::encrypt(share, &recipient).ok_or_else(refused)?;
        let pair = |key: &str, text: &str| (key.to_owned(), Raw::Text(text.to_owned()));
        list.push(Raw::Map(vec![pair("recipient", text.trim()), pair("enc", &enc)]));
    }
    let refused = SopsError::Recipient { recipient: String::new() };
    if list.is_empty() { Err(refused) } else { Ok(Raw::List(list)) }
}

/// Returns the block as text, without a final line break.
pub(super) fn write(raw: &Raw, format: Format) -> String {
    match format {
        Format::Yaml => {
            let mut text = format!("{METADATA_KEY}:");
            yaml(raw, 4, &mut text);
            text
        }
        Format::Json | Format::Binary => {
            let mut text = format!("\"{METADATA_KEY}\": ");
            json(raw, 1, &mut text);
            text
        }
        Format::Dotenv => {
            let lines: Vec<String> =
                flat::flatten(raw).into_iter().map(|(key, value)| format!("{}{key}={value}", DOTENV_PREFIX)).collect();
            lines.join("\n")
        }
        Format::Ini => {
            let lines: Vec<String> =
                flat::flatten(raw).into_iter().map(|(key, value)| format!("{key} = {}", ini_value(&value))).collect();
            format!("[{METADATA_KEY}]\n{}", lines.join("\n"))
        }
    }
}

/// Quotes a value in which `#` or `;` would start a comment.
fn ini_value(value: &str) -> String {
    if value.contains(['#', ';']) { format!("`{value}`") } else { value.to_owned() }
}

fn yaml(raw: &Raw, indent: usize, text: &mut String) {
    let blanks = " ".repeat(indent);
    match raw {
        Raw::Map(pairs) => {
            for (key, value) in pairs {
                text.push_str(&format!("\n{blanks}{key}:"));
                yaml(value, indent + 4, text);
            }
        }
        Raw::List(items) if items.is_empty() => text.push_str(" []"),
        Raw::List(items) => {
            for item in items {
                let mut body = String::new();
                yaml(item, indent + 2, &mut body);
                text.push_str(&format!("\n{blanks}- {}", body.trim_start()));
            }
        }
        Raw::Word(word) => text.push_str(&format!(" {word}")),
        Raw::Text(value) if value.ends_with('\n') => {
            text.push_str(" |");
            // Indented by two more than its key, as in go-yaml.
            let blanks = " ".repeat(indent - 2);
            value.lines().for_each(|line| text.push_str(&format!("\n{blanks}{line}")));
        }
        Raw::Text(value) if is_plain(value) => text.push_str(&format!(" {value}")),
        Raw::Text(value) => text.push_str(&format!(" {}", json_text(value))),
    }
}

/// Returns whether every YAML reader takes a text without quotes literally.
fn is_plain(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "_-.+/=[],:@".contains(c);
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    starts_well && text.chars().all(inner) && !text.ends_with(':') && !is_ambiguous(text)
}

fn json(raw: &Raw, depth: usize, text: &mut String) {
    let line = format!("\n{}", "\t".repeat(depth + 1));
    let end = format!("\n{}", "\t".repeat(depth));
    match raw {
        Raw::Map(pairs) => {
            text.push('{');
            for (index, (key, value)) in pairs.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                text.push_str(&format!("{line}\"{key}\": "));
                json(value, depth + 1, text);
            }
            text.push_str(&format!("{end}}}"));
        }
        Raw::List(items) if items.is_empty() => text.push_str("[]"),
        Raw::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                text.push_str(&line);
                json(item, depth + 1, text);
            }
            text.push_str(&format!("{end}]"));
        }
        Raw::Word(word) => text.push_str(word),
        Raw::Text(value) => text.push_str(&json_text(value)),
    }
}

/// Returns a text in double quotes, with the escapes that JSON and YAML share.
pub(super) fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
