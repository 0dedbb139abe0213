//! Dotenv files: `KEY=value` lines. Metadata is among them, under keys that start with `sops_`.

use crate::sops::error::SopsError;
use crate::sops::flat;
use crate::sops::format::DOTENV_PREFIX;
use crate::sops::plaintext::Plaintext;
use crate::sops::raw::MetadataSpans;
use crate::sops::tree::{Item, Leaf, Node, Writing};

use super::parsed::Parsed;

/// Parses a file.
pub fn parse(bytes: &[u8]) -> Result<Parsed, SopsError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| SopsError::Unreadable(format!("not UTF-8 text (byte {})", error.valid_up_to())))?;
    let mut parsed = Parsed { documents: vec![Vec::new()], ..Parsed::default() };
    let mut flat_pairs = Vec::new();
    let mut fields = MetadataSpans { mac: 0..0, last_modified: 0..0, block: 0..0 };
    let mut at = 0;
    for (number, line) in text.split('\n').enumerate() {
        let start = at;
        at += line.len() + 1;
        if line.is_empty() {
            continue;
        }
        if let Some(comment) = line.strip_prefix('#') {
            let leaf =
                Leaf { plain: Plaintext::comment(comment), at: start + 1..start + line.len(), writing: Writing::Bare };
            parsed.documents[0].push(Item::Comment(leaf));
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(SopsError::Unreadable(format!("line {} is not KEY=value", number + 1)));
        };
        let span = start + key.len() + 1..start + line.len();
        if let Some(name) = key.strip_prefix(DOTENV_PREFIX) {
            match name {
                "mac" => fields.mac = span.clone(),
                "lastmodified" => fields.last_modified = span.clone(),
                _ => {}
            }
            let first = if flat_pairs.is_empty() { start } else { fields.block.start };
            fields.block = first..span.end;
            flat_pairs.push((name.to_owned(), value.to_owned()));
            continue;
        }
        let plain = Plaintext::text(value.replace("\\n", "\n"));
        let leaf = Leaf { plain, at: span, writing: Writing::Bare };
        parsed.documents[0].push(Item::Pair(key.to_owned(), Node::Leaf(leaf)));
    }
    if !flat_pairs.is_empty() {
        parsed.metadata = Some(flat::nest(&flat_pairs));
        parsed.spans = vec![fields];
    }
    Ok(parsed)
}
