//! A single replacement of bytes, made for each kind of edit.

use std::ops::Range;

use super::node::{Kind, NodeId, Style};
use super::plain::is_ambiguous;
use super::scan::Scan;
use super::splice_error::SpliceError;

/// A replacement of bytes.
pub(super) type Patch = (Range<usize>, String);

/// Returns the value of a key.
pub(super) fn value_of(scan: &Scan<'_>, key: NodeId) -> Option<NodeId> {
    let mapping = scan.parent(key)?;
    scan.pairs(mapping).find(|(k, _)| *k == key).map(|(_, value)| value)
}

/// Returns the error for a scalar that is written in a way that cannot be edited in place.
pub(super) fn not_editable(scan: &Scan<'_>, node: NodeId) -> SpliceError {
    SpliceError::NotEditable { path: scan.path(node) }
}

/// Returns whether a text needs no escape in any style.
fn is_writable(text: &str) -> bool {
    let safe =
        |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\' | b'#' | b',' | b'{' | b'}' | b'[' | b']');
    !text.is_empty() && text.bytes().all(safe) && text.as_bytes()[0].is_ascii_alphanumeric() | text.starts_with('_')
}

/// Replaces the value of a scalar, keeping its style.
pub(super) fn replace(scan: &Scan<'_>, node: NodeId, text: &str) -> Result<Patch, SpliceError> {
    if !is_writable(text) {
        return Err(SpliceError::Unwritable { path: scan.path(node), text: text.to_owned() });
    }
    let plain = scan.style(node) == Some(Style::Plain);
    let is_number = || is_small_integer(text) && scan.scalar(node).is_some_and(is_integer);
    let written =
        if plain && !scan.is_tagged(node) && !is_number() { quoted_if_ambiguous(scan, text) } else { text.to_owned() };
    if let Some(span) = scan.span(node) {
        return Ok((span, written));
    }
    // A key without a value: the value is added after the colon.
    let key = scan.previous(node).filter(|_| plain && scan.scalar(node) == Some(""));
    let colon = key.and_then(|key| scan.after_colon(key)).filter(|_| !scan.is_anchored(node) && !scan.is_tagged(node));
    let at = colon.ok_or_else(|| not_editable(scan, node))?;
    Ok((at..at, format!(" {written}")))
}

/// Replaces a part of a scalar.
pub(super) fn replace_part(
    scan: &Scan<'_>,
    node: NodeId,
    part: Range<usize>,
    text: &str,
) -> Result<Patch, SpliceError> {
    // Nothing has to be escaped in a block.
    let is_block = scan.style(node) == Some(Style::Block);
    let is_graphic = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if !(is_writable(text) || is_block && is_graphic) {
        return Err(SpliceError::Unwritable { path: scan.path(node), text: text.to_owned() });
    }
    let span = scan.part_span(node, part).ok_or_else(|| not_editable(scan, node))?;
    Ok((span, text.to_owned()))
}

/// Returns whether a text is an integer to every YAML reader, written in the usual way.
fn is_integer(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
}

/// Returns whether a text is an integer that nobody prints with an exponent, as Helm does from seven digits on.
fn is_small_integer(text: &str) -> bool {
    is_integer(text) && text.len() <= 6
}

fn quoted_if_ambiguous(scan: &Scan<'_>, text: &str) -> String {
    if !is_ambiguous(text) {
        return text.to_owned();
    }
    let count = |style| scan.ids().filter(|id| scan.style(*id) == Some(style)).count();
    let quote = if count(Style::SingleQuoted) > count(Style::DoubleQuoted) { '\'' } else { '"' };
    format!("{quote}{text}{quote}")
}

/// Adds pairs to a mapping right after the pair with the key `after`, in the style of their neighbours.
pub(super) fn insert(
    bytes: &[u8],
    scan: &Scan<'_>,
    after: NodeId,
    pairs: &[(&'static str, &str)],
) -> Result<Patch, SpliceError> {
    let fail = || not_editable(scan, after);
    let value = value_of(scan, after).ok_or_else(fail)?;
    let mapping = scan.parent(after).ok_or_else(fail)?;
    let key_span = scan.outer_span(after).ok_or_else(fail)?;
    let value_end = match scan.kind(value) {
        Kind::Alias(_) => scan.line_range(key_span.end).end,
        _ => scan.outer_span(value).ok_or_else(fail)?.end,
    };
    let quoted = |like: NodeId, text: &str| match scan.style(like) {
        Some(Style::SingleQuoted) => format!("'{text}'"),
        Some(Style::DoubleQuoted) => format!("\"{text}\""),
        _ => quoted_if_ambiguous(scan, text),
    };
    let pair = |(key, text): &(&'static str, &str)| format!("{}: {}", quoted(after, key), quoted(value, text));
    let line = scan.line_range(key_span.start);
    let before_key = &bytes[line.start..key_span.start];
    let key_leads = before_key.iter().all(|b| matches!(b, b' ' | b'\t'));
    let newline = line_end(bytes);
    if let Some(bad) = pairs.iter().find(|(_, text)| !is_writable(text)) {
        return Err(SpliceError::Unwritable { path: scan.path(after), text: bad.1.to_owned() });
    }
    if scan.is_flow(mapping) {
        let indent = String::from_utf8_lossy(before_key);
        let joint = if key_leads { format!(",{newline}{indent}") } else { ", ".to_owned() };
        let text: String = pairs.iter().map(|p| format!("{joint}{}", pair(p))).collect();
        return Ok((value_end..value_end, text));
    }
    // Only blanks and dashes may come before the key: after a tag or an anchor, its column is not an indentation.
    if !before_key.iter().all(|b| matches!(b, b' ' | b'\t' | b'-')) {
        return Err(fail());
    }
    let indent = " ".repeat(scan.place(after).column - 1);
    let line_of_value = scan.line_range(value_end.saturating_sub(1));
    let end = line_of_value.end;
    let ends_with_break = bytes[line_of_value].ends_with(b"\n") || bytes[..end].ends_with(b"\r");
    let lines: Vec<String> = pairs.iter().map(|p| format!("{indent}{}", pair(p))).collect();
    let text = lines.join(newline);
    let text = if ends_with_break { format!("{text}{newline}") } else { format!("{newline}{text}") };
    Ok((end..end, text))
}

/// Removes a pair, together with its line if that holds nothing else.
pub(super) fn remove(bytes: &[u8], scan: &Scan<'_>, key: NodeId, value: NodeId) -> Result<Patch, SpliceError> {
    let fail = || not_editable(scan, key);
    let mapping = scan.parent(key).ok_or_else(fail)?;
    // A tag would stay behind, and an anchor would be missed by its aliases.
    if scan.is_tagged(key) || scan.is_anchored(key) || scan.is_anchored(value) {
        return Err(fail());
    }
    let start = scan.outer_span(key).ok_or_else(fail)?.start;
    let end = match scan.kind(value) {
        Kind::Scalar { value, .. } if value.is_empty() => scan.after_colon(key).ok_or_else(fail)?,
        _ => scan.outer_span(value).ok_or_else(fail)?.end,
    };
    let keys: Vec<(NodeId, NodeId)> = scan.pairs(mapping).collect();
    let index = keys.iter().position(|(k, _)| *k == key).ok_or_else(fail)?;
    if keys.len() == 1 {
        return Err(fail());
    }
    let next = keys.get(index + 1).and_then(|(k, _)| scan.outer_span(*k));
    if scan.is_flow(mapping) {
        if let Some(next) = next {
            return Ok((start..next.start, String::new()));
        }
        let previous = keys.get(index.wrapping_sub(1)).and_then(|(_, v)| scan.outer_span(*v)).ok_or_else(fail)?;
        return Ok((previous.end..end, String::new()));
    }
    let line = scan.line_range(start);
    let leads = bytes[line.start..start].iter().all(|b| matches!(b, b' ' | b'\t'));
    if leads {
        let last = scan.line_range(end.saturating_sub(1).max(start));
        // Without a final newline, the line break before the last line goes as well.
        let whole = line.start..last.end;
        let unfinished = !bytes[whole.clone()].ends_with(b"\n") && !bytes[whole.clone()].ends_with(b"\r");
        let taken = if unfinished {
            bytes[..whole.start].iter().rev().take_while(|b| matches!(b, b'\n' | b'\r')).count()
        } else {
            0
        };
        return Ok((whole.start - taken.min(line_end(bytes).len())..whole.end, String::new()));
    }
    // For the first pair of a list item, the next pair moves up to the dash.
    next.map(|next| (start..next.start, String::new())).ok_or_else(fail)
}

/// Returns the first line ending of the file.
fn line_end(bytes: &[u8]) -> &'static str {
    match bytes.iter().position(|b| matches!(b, b'\n' | b'\r')) {
        Some(at) if bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n') => "\r\n",
        Some(at) if bytes[at] == b'\r' => "\r",
        _ => "\n",
    }
}
