//! The documents of a file, as kustomize divides and decodes it.

use std::borrow::Cow;

use crate::sops::bounds;
use crate::yaml::node::{NodeId, ScanError};
use crate::yaml::place::Place;
use crate::yaml::scan::Scan;

use super::view::View;

/// The reason why a document could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The document, from 0.
    pub document: usize,
    /// The reason.
    pub reason: String,
}

/// Decodes a file: UTF-8, or UTF-16 with a byte order mark, which Go's YAML reads as well.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let units =
        |of: fn([u8; 2]) -> u16| bytes[2..].chunks(2).map(move |pair| of([pair[0], *pair.get(1).unwrap_or(&0)]));
    let text = match bytes {
        [0xff, 0xfe, ..] => char::decode_utf16(units(u16::from_le_bytes)).collect::<Result<String, _>>(),
        [0xfe, 0xff, ..] => char::decode_utf16(units(u16::from_be_bytes)).collect::<Result<String, _>>(),
        _ => {
            let text = std::str::from_utf8(bytes).map(Cow::Borrowed);
            return text.map_err(|error| format!("not UTF-8 text (byte {})", error.valid_up_to()));
        }
    };
    text.map(Cow::Owned).map_err(|_| "not valid UTF-16".to_owned())
}

/// Returns whether a text can contain a Secret, or a plugin that makes one. The kind can be written with escapes, or
/// as binary data, so these count as well.
pub fn may_matter(text: &str) -> bool {
    ["Secret", "builtin", "kustomize.toolkit.fluxcd.io"].iter().any(|word| text.contains(word)) || has_disguise(text)
}

/// Returns whether a text that cannot be read must be taken for a Secret: the kind is in it as a word, or disguised.
pub fn looks_like_secret(text: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let is_word = |(at, word): (usize, &str)| {
        !is_letter(text[..at].chars().next_back()) && !is_letter(text[at + word.len()..].chars().next())
    };
    text.match_indices("Secret").any(is_word) || has_disguise(text)
}

fn has_disguise(text: &str) -> bool {
    let has_escape = || ["\\x", "\\u", "\\U", "\\\n", "\\\r"].iter().any(|escape| text.contains(escape));
    ["!!binary", "%TAG", "!!%", "!<"].iter().any(|tag| text.contains(tag)) || (text.contains('\\') && has_escape())
}

/// Calls a function for the root of each document, and returns the first document that could not be read. A template does
/// not count, because kustomize refuses it too.
pub fn each_document(text: &str, mut visit: impl FnMut(usize, View<'_, '_>, NodeId)) -> Option<Unread> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut document, mut line, mut unread) = (0, 0, None);
    for part in parts(text) {
        match read_part(part, &mut |at, view, root| visit(document + at, view, root)) {
            Ok(documents) => document += documents,
            Err(error) => {
                if !error.is_template(part) {
                    unread.get_or_insert(Unread { document, reason: error.below(line) });
                }
                document += 1;
            }
        }
        line += part.matches('\n').count();
    }
    unread
}

/// The reason why a part of a file could not be read.
enum PartError {
    Large,
    Yaml(ScanError),
}

impl PartError {
    /// Returns whether a part cannot be read because it is a template: a mapping is not a key for kustomize, and a line
    /// that begins with `{{` and that one YAML parser refuses is refused by all.
    fn is_template(&self, part: &str) -> bool {
        match self {
            PartError::Yaml(ScanError::Template(_)) => true,
            PartError::Yaml(ScanError::Syntax { place, .. }) => {
                part.lines().nth(place.line.saturating_sub(1)).is_some_and(|line| line.trim_start().starts_with("{{"))
            }
            PartError::Yaml(_) | PartError::Large => false,
        }
    }

    /// Returns the message for a part that starts below some lines of the file.
    fn below(self, lines: usize) -> String {
        match self {
            PartError::Large => "it is too large".to_owned(),
            PartError::Yaml(ScanError::Syntax { place, reason }) => {
                ScanError::Syntax { place: Place { line: place.line + lines, ..place }, reason }.to_string()
            }
            PartError::Yaml(ScanError::TooDeep(place)) => {
                ScanError::TooDeep(Place { line: place.line + lines, ..place }).to_string()
            }
            PartError::Yaml(error) => error.to_string(),
        }
    }
}

type Visit<'v> = dyn FnMut(usize, View<'_, '_>, NodeId) + 'v;

/// Reads a part of a file, and returns the number of documents in it.
fn read_part(part: &str, visit: &mut Visit<'_>) -> Result<usize, PartError> {
    if bounds::is_too_large_for_yaml(part.as_bytes()) {
        return Err(PartError::Large);
    }
    let mut read = scan(part, visit);
    // To Go's YAML, these characters end a line.
    if part.contains(['\u{85}', '\u{2028}', '\u{2029}']) {
        let other = scan(&part.replace(['\u{85}', '\u{2028}', '\u{2029}'], "\n"), visit);
        read = read.or(other);
    }
    // Go's YAML accepts tabs in more places, where they mean the same as blanks.
    if read.is_err() && part.contains('\t') {
        read = scan(&part.replace('\t', " "), visit).or(read);
    }
    // JSON writes some characters as two escapes, which are not valid YAML.
    if read.is_err() && part.contains("\\u") {
        read = scan(&without_surrogates(&part.replace('\t', " ")), visit).or(read);
    }
    read.map_err(PartError::Yaml)
}

fn scan(part: &str, visit: &mut Visit<'_>) -> Result<usize, ScanError> {
    let scan = Scan::read(part.as_bytes())?;
    let mut documents = 0;
    for (_, root) in scan.documents() {
        visit(documents, View::new(&scan), root);
        documents += 1;
    }
    Ok(documents)
}

/// Divides a text at lines that start with `---`, whatever comes before them: kustomize does so before it parses
/// anything. Such a line belongs to the part after it, and so does everything before the first document.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut at, mut has_content) = (Vec::new(), 0, 0, false);
    for line in text.split_inclusive('\n') {
        let rest = line.strip_prefix("---").map(str::trim);
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#')) {
            if has_content {
                parts.push(&text[start..at]);
                start = at;
            }
            has_content = true;
        } else {
            has_content |= !line.trim().is_empty() && !line.starts_with(['#', '%']);
        }
        at += line.len();
    }
    parts.push(&text[start..]);
    parts
}

/// Replaces the escapes of surrogates by those of other characters.
fn without_surrogates(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\u") {
        let (before, escape) = rest.split_at(at);
        kept.push_str(before);
        let is_surrogate =
            matches!(escape.as_bytes().get(2..4), Some([b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F']));
        kept.push_str(if is_surrogate { "\\u003f" } else { "\\u" });
        rest = escape.get(if is_surrogate { 6 } else { 2 }..).unwrap_or_default();
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> (Vec<(usize, String)>, Option<Unread>) {
        let mut found = Vec::new();
        let unread = each_document(text, |document, view, root| {
            for kind in view.values(root, "kind") {
                found.push((document, view.text(kind).expect("text").into_owned()));
            }
        });
        (found, unread)
    }

    #[test]
    fn a_document_that_cannot_be_read_does_not_hide_the_others() {
        let (found, unread) = kinds("# why\n---\nkind: A\n---\nkind: [\n--- # next\nkind: B\n");
        assert_eq!(found, [(0, "A".to_owned()), (2, "B".to_owned())]);
        let unread = unread.expect("one");
        assert_eq!(unread.document, 1);
        assert!(unread.reason.starts_with("line "), "{unread:?}");
        assert_eq!(kinds("%YAML 1.2\n---\nkind: A\n...\n---\nkind: B\n").0.len(), 2);
    }

    #[test]
    fn tabs_line_breaks_and_surrogates_are_read_like_go_reads_them() {
        for text in [
            "{\n\t\"kind\": \"A\",\n\t\"x\": \"\\ud83d\\ude00\"\n}\n",
            "x: 1\u{85}kind: A\n",
            "{x: [\t1,\t2\t],\tkind: A}\n",
            "kind: !!binary QQ==\n",
            "x: &x {kind: A}\n<<: *x\n",
        ] {
            let (found, unread) = kinds(text);
            assert!(found.contains(&(0, "A".to_owned())) && unread.is_none(), "{text:?}: {found:?} {unread:?}");
        }
    }

    #[test]
    fn utf_16_is_decoded() {
        let units = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        assert_eq!(decode(&[vec![0xff, 0xfe], units("kind: é")].concat()).as_deref(), Ok("kind: é"));
        assert!(decode(&[0xff, 0xfe, 0, 0xd8]).is_err());
        assert!(decode(b"\xff").is_err());
    }
}
