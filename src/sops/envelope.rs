//! A SOPS file: found by its metadata, not by its name, and read with it.

use super::cipher;
use super::error::SopsError;
use super::format::{self, Format, METADATA_KEY, Parsed, dotenv};
use super::metadata::{Fields, Metadata, Raw};
use super::tree::Item;

/// A SOPS file, read but not decrypted.
#[derive(Debug)]
pub struct Envelope {
    /// Its format.
    pub format: Format,
    /// Its documents, without the metadata.
    pub documents: Vec<Vec<Item>>,
    /// Its metadata.
    pub metadata: Metadata,
    /// Where the metadata stands.
    pub fields: Vec<Fields>,
}

/// The format of a SOPS file; `None` when the bytes have no metadata of SOPS. Cheap for files that have none.
pub fn detect(bytes: &[u8]) -> Option<Format> {
    let mentions = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    if !mentions(METADATA_KEY.as_bytes()) || !(mentions(b"mac") || mentions(b"lastmodified")) {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let has_line = |wanted: &dyn Fn(&str) -> bool| text.lines().any(wanted);
    let is_object = text.trim_start().strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with(['"', '}']));
    let candidates = [
        (Format::Json, is_object),
        (Format::Dotenv, has_line(&|line| line.strip_prefix(dotenv::PREFIX).is_some_and(|rest| rest.contains('=')))),
        (Format::Ini, has_line(&|line| line.trim_start().starts_with("[sops]"))),
        (Format::Yaml, !is_object),
    ];
    let fits = |format: &Format| {
        let Ok(parsed) = format::read(bytes, *format) else { return false };
        parsed.metadata.as_ref().is_some_and(is_metadata)
    };
    let format = candidates.into_iter().filter(|(_, likely)| *likely).map(|(format, _)| format).find(fits)?;
    Some(if format == Format::Json && is_binary(bytes) { Format::Binary } else { format })
}

/// Whether a text that is no SOPS file holds encrypted values: one that lost its metadata.
pub fn lost_metadata(bytes: &[u8]) -> bool {
    bytes.windows(cipher::PREFIX.len()).any(|window| window == cipher::PREFIX.as_bytes())
}

/// Reads a SOPS file.
pub fn read(bytes: &[u8], format: Format) -> Result<Envelope, SopsError> {
    let Parsed { documents, metadata, fields, problem } = format::read(bytes, format)?;
    let metadata = Metadata::read(&metadata.ok_or(SopsError::NotSops)?)?;
    match problem {
        Some(problem) => Err(problem),
        None => Ok(Envelope { format, documents, metadata, fields }),
    }
}

/// Something is called `sops` in many files; metadata has at least one of these.
fn is_metadata(raw: &Raw) -> bool {
    let Raw::Map(pairs) = raw else { return false };
    pairs.iter().any(|(key, _)| matches!(key.as_str(), "mac" | "lastmodified"))
}

fn is_binary(bytes: &[u8]) -> bool {
    let Ok(parsed) = format::read(bytes, Format::Json) else { return false };
    matches!(parsed.documents.first().map(Vec::as_slice), Some([Item::Pair(key, _)]) if key == "data")
}
