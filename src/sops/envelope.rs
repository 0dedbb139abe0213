//! SOPS files: detected by their metadata, not by their names, and read together with it.

use super::bounds;
use super::cipher;
use super::error::SopsError;
use super::format::{DOTENV_PREFIX, Format, METADATA_KEY};
use super::metadata::Metadata;
use super::parse::file::parse;
use super::parse::parsed::Parsed;
use super::raw::{MetadataSpans, Raw};
use super::tree::Item;

/// A SOPS file that was read but not decrypted.
#[derive(Debug)]
pub struct Envelope {
    /// Its format.
    pub format: Format,
    /// Its documents, without the metadata.
    pub documents: Vec<Vec<Item>>,
    /// Its metadata.
    pub metadata: Metadata,
    /// The positions of the metadata.
    pub spans: Vec<MetadataSpans>,
}

/// A file with SOPS metadata, parsed but not yet read as an envelope.
#[derive(Debug)]
pub struct Detected {
    /// Its format.
    pub format: Format,
    pub(super) parsed: Parsed,
}

impl Detected {
    /// Reads the file as an envelope; fails if anything in it is broken.
    pub fn into_envelope(self) -> Result<Envelope, SopsError> {
        Envelope::of(self.format, self.parsed)
    }
}

impl Envelope {
    /// Makes the envelope of a parsed file.
    pub(super) fn of(format: Format, parsed: Parsed) -> Result<Envelope, SopsError> {
        let Parsed { documents, metadata, spans, problem } = parsed;
        let metadata = Metadata::read(&metadata.ok_or(SopsError::NotSops)?)?;
        match problem {
            Some(problem) => Err(problem),
            None => Ok(Envelope { format, documents, metadata, spans }),
        }
    }
}

/// Detects a SOPS file by its metadata; `None` if there is none, or if the file is too large to be one. Cheap for files
/// without metadata.
pub fn detect(bytes: &[u8]) -> Option<Detected> {
    let mentions = |needle: &[u8]| memchr::memmem::find(bytes, needle).is_some();
    if !mentions(METADATA_KEY.as_bytes()) || !(mentions(b"mac") || mentions(b"lastmodified")) {
        return None;
    }
    if bounds::is_too_large_for_sops(bytes) {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let has_line = |wanted: &dyn Fn(&str) -> bool| text.lines().any(wanted);
    let is_object = text.trim_start().strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with(['"', '}']));
    let candidates = [
        (Format::Json, is_object),
        (Format::Dotenv, has_line(&|line| line.strip_prefix(DOTENV_PREFIX).is_some_and(|rest| rest.contains('=')))),
        (Format::Ini, has_line(&|line| line.trim_start().starts_with("[sops]"))),
        (Format::Yaml, !is_object),
    ];
    let likely = candidates.into_iter().filter(|(_, is_likely)| *is_likely).map(|(format, _)| format);
    let fitting = |format| {
        let parsed = parse(bytes, format).ok().filter(|parsed| parsed.metadata.as_ref().is_some_and(is_metadata))?;
        Some((format, parsed))
    };
    let (format, parsed) = likely.into_iter().find_map(fitting)?;
    let format = if format == Format::Json && is_binary(&parsed) { Format::Binary } else { format };
    Some(Detected { format, parsed })
}

/// Returns whether a file without metadata contains encrypted values, so that it lost its metadata.
pub fn lost_metadata(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, cipher::PREFIX.as_bytes()).is_some()
}

/// Reads a SOPS file in a known format.
pub fn read(bytes: &[u8], format: Format) -> Result<Envelope, SopsError> {
    Envelope::of(format, parse(bytes, format)?)
}

/// Many files have a key `sops`; metadata has at least one of these keys.
fn is_metadata(raw: &Raw) -> bool {
    let Raw::Map(pairs) = raw else { return false };
    pairs.iter().any(|(key, _)| matches!(key.as_str(), "mac" | "lastmodified"))
}

fn is_binary(parsed: &Parsed) -> bool {
    matches!(parsed.documents.first().map(Vec::as_slice), Some([Item::Pair(key, _)]) if key == "data")
}
