//! Replacements of bytes.

use std::ops::Range;

use super::format::Format;

/// Bytes of a file and what stands in their place.
pub(super) type Patch = (Range<usize>, String);

/// Makes replacements, which must not overlap; `None` when two of them do.
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

/// Whether a byte ends a line. In dotenv a carriage return is part of the value before it, for sops too.
pub(super) fn ends_line(byte: u8, format: Format) -> bool {
    byte == b'\n' || byte == b'\r' && format != Format::Dotenv
}

/// A text with the line ends that a file has.
pub(super) fn with_line_ends_of(bytes: &[u8], format: Format, text: &str) -> String {
    let first = bytes.iter().position(|b| *b == b'\n');
    let windows = first.is_some_and(|at| at > 0 && bytes[at - 1] == b'\r') && ends_line(b'\r', format);
    if windows { text.replace('\n', "\r\n") } else { text.to_owned() }
}
