//! Replacements of bytes.

use std::ops::Range;

use super::format::Format;

/// A byte range of a file and its replacement.
pub(super) type Patch = (Range<usize>, String);

/// Applies replacements; `None` if two of them overlap.
pub(super) fn apply(bytes: &[u8], mut patches: Vec<Patch>) -> Option<Vec<u8>> {
    patches.sort_by_key(|(range, _)| (range.start, range.end));
    let mut edited = Vec::with_capacity(bytes.len() + patches.iter().map(|(_, text)| text.len()).sum::<usize>());
    let mut at = 0;
    for (range, text) in patches {
        edited.extend_from_slice(bytes.get(at..range.start)?);
        edited.extend_from_slice(text.as_bytes());
        at = range.end;
    }
    edited.extend_from_slice(bytes.get(at..)?);
    Some(edited)
}

/// Returns whether a byte ends a line. In dotenv files, a carriage return is part of the value before it, as in sops.
pub(super) fn ends_line(byte: u8, format: Format) -> bool {
    byte == b'\n' || byte == b'\r' && format != Format::Dotenv
}

/// Returns a text with the line endings of a file.
pub(super) fn with_line_ends_of(bytes: &[u8], format: Format, text: &str) -> String {
    let first = bytes.iter().position(|b| *b == b'\n');
    let windows = first.is_some_and(|at| at > 0 && bytes[at - 1] == b'\r') && ends_line(b'\r', format);
    if windows { text.replace('\n', "\r\n") } else { text.to_owned() }
}
