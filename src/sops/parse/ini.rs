//! INI files, as Go's `ini.v1` reads them: sections of keys; `#` and `;` start comments, also within a line. The
//! metadata is in the section `sops`.

use std::ops::Range;

use crate::sops::error::SopsError;
use crate::sops::flat;
use crate::sops::format::METADATA_KEY;
use crate::sops::plaintext::Plaintext;
use crate::sops::raw::MetadataSpans;
use crate::sops::tree::{Item, Leaf, Node, Writing};

use super::parsed::Parsed;

/// The section of keys before the first section.
const DEFAULT_SECTION: &str = "DEFAULT";

/// Parses a file.
pub fn parse(bytes: &[u8]) -> Result<Parsed, SopsError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| SopsError::Unreadable(format!("not UTF-8 text (byte {})", error.valid_up_to())))?;
    let start = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let mut reader = Reader { text, at: start, comment: String::new(), comment_at: 0..0 };
    let mut sections = vec![Section { name: DEFAULT_SECTION.to_owned(), ..Section::default() }];
    while reader.at < text.len() {
        reader.line(&mut sections)?;
    }
    let mut parsed = Parsed::default();
    let mut items = Vec::new();
    for section in sections {
        if section.name == METADATA_KEY {
            parsed.spans = vec![section.fields()];
            let flat: Vec<_> = section.pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect();
            parsed.metadata = Some(flat::nest(&flat));
        } else {
            items.push(section.item());
        }
    }
    parsed.documents = vec![items];
    Ok(parsed)
}

#[derive(Default)]
struct Section {
    name: String,
    comment: Option<Leaf>,
    pairs: Vec<Pair>,
    start: usize,
}

struct Pair {
    key: String,
    value: String,
    at: Range<usize>,
    comment: Option<Leaf>,
}

impl Section {
    fn fields(&self) -> MetadataSpans {
        let at = |key: &str| self.pairs.iter().find(|pair| pair.key == key).map(|pair| pair.at.clone());
        let end = self.pairs.last().map_or(self.start, |pair| pair.at.end);
        MetadataSpans {
            mac: at("mac").unwrap_or_default(),
            last_modified: at("lastmodified").unwrap_or_default(),
            block: self.start..end,
        }
    }

    fn item(self) -> Item {
        let mut items: Vec<Item> = self.comment.into_iter().map(Item::Comment).collect();
        for pair in self.pairs {
            let leaf = Leaf { plain: Plaintext::text(pair.value), at: pair.at, writing: Writing::Bare };
            items.push(Item::Pair(pair.key, Node::Leaf(leaf)));
            items.extend(pair.comment.map(Item::Comment));
        }
        Item::Pair(self.name, Node::Map(items))
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The comment since the last key or section.
    comment: String,
    comment_at: Range<usize>,
}

impl<'a> Reader<'a> {
    /// Returns the next line, including its line ending, from its first non-blank character, and the position of that
    /// character.
    fn next_line(&mut self) -> (&'a str, usize) {
        let (whole, start) = self.whole_line();
        let line = whole.trim_start();
        (line, start + whole.len() - line.len())
    }

    /// Returns the next line, including its line ending, and its position.
    fn whole_line(&mut self) -> (&'a str, usize) {
        let (start, rest) = (self.at, &self.text[self.at..]);
        let line = &rest[..rest.find('\n').map_or(rest.len(), |end| end + 1)];
        self.at += line.len();
        (line, start)
    }

    fn line(&mut self, sections: &mut Vec<Section>) -> Result<(), SopsError> {
        let (line, start) = self.next_line();
        let fail = |what: &str| SopsError::Unreadable(format!("{what} (byte {start})"));
        if line.is_empty() {
            return Ok(());
        }
        if line.starts_with(['#', ';']) {
            self.remember(line, start);
            return Ok(());
        }
        if line.starts_with('[') {
            let close = line.rfind(']').ok_or_else(|| fail("a section without `]`"))?;
            let behind = line[close + 1..].trim_start();
            if behind.starts_with(['#', ';']) {
                self.remember(behind, start + line.len() - behind.len());
            }
            let comment = self.take_comment();
            sections.push(Section { name: line[1..close].to_owned(), comment, pairs: Vec::new(), start });
            return Ok(());
        }
        let (key, offset) = key_of(line).ok_or_else(|| fail("a line that is not KEY=value"))?;
        match key.as_str() {
            "-" => return Err(fail("a key `-`, which is not supported")),
            "" => return Err(fail("a key without a name")),
            _ => {}
        }
        let (value, at) = self.value(&line[offset..], start + offset).map_err(fail)?;
        let comment = self.take_comment();
        let Some(section) = sections.last_mut() else { return Ok(()) };
        // If a key occurs twice, the last value replaces the first one.
        match section.pairs.iter_mut().find(|pair| pair.key == key) {
            Some(pair) => *pair = Pair { key, value, at, comment },
            None => section.pairs.push(Pair { key, value, at, comment }),
        }
        Ok(())
    }

    fn value(&mut self, line: &str, start: usize) -> Result<(String, Range<usize>), &'static str> {
        let blanks = line.len() - line.trim_start().len();
        let start = start + blanks;
        let line = &line[blanks..];
        let quote = ["\"\"\"", "`"].into_iter().find(|quote| line.starts_with(quote));
        if let Some(quote) = quote.filter(|quote| *quote == "`" || line.len() > 3) {
            let body = &line[quote.len()..];
            // Anything after the quote is ignored.
            if let Some(close) = body.rfind(quote) {
                return Ok((body[..close].to_owned(), start..start + line.trim_end().len()));
            }
            return self.lines(body.to_owned(), start, quote);
        }
        let mut value = line.trim().to_owned();
        let mut end = start + line.trim_end().len();
        if value.ends_with('\\') {
            while value.ends_with('\\') && self.at < self.text.len() {
                value.pop();
                let (next, next_start) = self.next_line();
                if next.trim().is_empty() {
                    break;
                }
                value.push_str(next.trim());
                end = next_start + next.trim_end().len();
            }
            return Ok((value, start..end));
        }
        if let Some(at) = value.find(['#', ';']) {
            self.remember(&value[at..], start + at);
            value.truncate(at);
            value.truncate(value.trim_end().len());
            end = start + value.len();
        }
        let surrounded = ['\'', '"'].into_iter().any(|quote| {
            value.len() >= 2 && value.starts_with(quote) && value[1..].find(quote) == Some(value.len() - 2)
        });
        if surrounded {
            value = value[1..value.len() - 1].to_owned();
        }
        Ok((value, start..end))
    }

    /// Reads a value over several lines, to the last quote of the first line that has one.
    fn lines(&mut self, mut value: String, start: usize, quote: &str) -> Result<(String, Range<usize>), &'static str> {
        while self.at < self.text.len() {
            let (line, at) = self.whole_line();
            let Some(close) = line.rfind(quote) else {
                value.push_str(line);
                continue;
            };
            value.push_str(&line[..close]);
            let comment = line[close..].find(['#', ';']).map(|sign| close + sign);
            if let Some(comment) = comment {
                // After a value on one line, it would continue on the next line.
                if line.trim_end().ends_with('\\') {
                    return Err("a comment that ends with `\\` after a value of several lines, which is not supported");
                }
                self.remember(&line[comment..], at + comment);
            }
            return Ok((value, start..at + line[..comment.unwrap_or(line.len())].trim_end().len()));
        }
        Err("an unterminated value")
    }

    fn remember(&mut self, comment: &str, start: usize) {
        if self.comment.is_empty() {
            self.comment_at.start = start;
        }
        self.comment_at.end = start + comment.trim_end().len();
        self.comment.push_str(comment);
    }

    /// Takes the comment so far, without its first sign.
    fn take_comment(&mut self) -> Option<Leaf> {
        let comment = std::mem::take(&mut self.comment);
        let body = comment.trim();
        let sign = body.chars().next()?;
        let text = body.trim_start_matches([sign, ' ']);
        let at = self.comment_at.end - text.len().min(self.comment_at.len())..self.comment_at.end;
        Some(Leaf { plain: Plaintext::comment(text), at, writing: Writing::Never })
    }
}

/// Returns the key of a line and the start of its value.
fn key_of(line: &str) -> Option<(String, usize)> {
    // Three double quotes count as one from seven characters on.
    let mut quotes = ["\"\"\"", "\"", "`"].into_iter().filter(|quote| quote.len() == 1 || line.len() > 6);
    if let Some(quote) = quotes.find(|quote| line.starts_with(quote)) {
        let close = line[quote.len()..].find(quote)? + quote.len();
        let delimiter = line[close + quote.len()..].find(['=', ':'])? + close + quote.len();
        return Some((line[quote.len()..close].trim().to_owned(), delimiter + 1));
    }
    let delimiter = line.find(['=', ':']).filter(|at| *at > 0)?;
    Some((line[..delimiter].trim().to_owned(), delimiter + 1))
}
