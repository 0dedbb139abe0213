//! The end of every scalar, in whatever style it is written, and the comments between scalars.
//!
//! The parser reports where a scalar starts, not where it ends, and does not report comments. Both are found by reading
//! the text a second time alongside the parser's nodes: everything between two scalars is structure, blanks or
//! comments.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::node::{Kind, NodeId, Style};
use super::scan::Scan;

/// The extents of a file's scalars, and its comments.
#[derive(Debug, Default)]
pub struct Extents {
    scalars: HashMap<NodeId, Range<usize>>,
    flows: HashSet<NodeId>,
    /// The comments, in the order of the text.
    pub comments: Vec<Comment>,
    /// The dashes of block sequences, in the order of the text.
    dashes: Vec<usize>,
    /// The starts of the `---` and `...` lines of documents.
    pub markers: Vec<usize>,
}

/// A comment, from its `#` to the end of its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its bytes in the file, without the line ending.
    pub at: Range<usize>,
    /// True if only blanks come before it on its line.
    pub alone: bool,
    /// The last non-blank character before it on its line.
    pub after: Option<char>,
}

/// A place where the text does not match the parser's nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("byte {0}: the extent of a value could not be found")]
pub struct ExtentError(pub usize);

impl Extents {
    /// Reads the text of a scan a second time.
    pub fn of(scan: &Scan<'_>) -> Result<Extents, ExtentError> {
        let mut reader = Reader { text: scan.text(), at: 0, line_start: 0, found: Extents::default() };
        for id in scan.ids() {
            let (value, style) = match scan.kind(id) {
                // An empty plain scalar has no bytes.
                Kind::Scalar { value, style: Style::Plain } if value.is_empty() => continue,
                Kind::Scalar { value, style } => (value, style),
                collection @ (Kind::Mapping | Kind::Sequence) => {
                    let bracket = if *collection == Kind::Mapping { '{' } else { '[' };
                    if scan.text()[scan.start(id)..].starts_with(bracket) {
                        reader.found.flows.insert(id);
                    }
                    continue;
                }
                Kind::Document | Kind::Alias(_) => continue,
            };
            let start = scan.start(id);
            let extent = reader.scalar(start, value, *style).ok_or(ExtentError(reader.at))?;
            reader.found.scalars.insert(id, extent);
        }
        reader.gap(scan.text().len(), false).ok_or(ExtentError(reader.at))?;
        Ok(reader.found.shifted(scan.offset()))
    }

    /// Returns the bytes of a scalar including its quotes or block header; `None` for an empty plain one.
    pub fn scalar(&self, id: NodeId) -> Option<Range<usize>> {
        self.scalars.get(&id).cloned()
    }

    /// Returns whether a mapping or sequence is written in brackets.
    pub fn is_flow(&self, id: NodeId) -> bool {
        self.flows.contains(&id)
    }

    /// Returns the last dash before a byte.
    pub fn dash_before(&self, at: usize) -> Option<usize> {
        let index = self.dashes.partition_point(|dash| *dash < at);
        index.checked_sub(1).map(|index| self.dashes[index])
    }

    /// Turns offsets in the text into offsets in the file.
    fn shifted(mut self, by: usize) -> Extents {
        let shift = |range: &mut Range<usize>| *range = range.start + by..range.end + by;
        self.scalars.values_mut().for_each(shift);
        self.comments.iter_mut().for_each(|comment| shift(&mut comment.at));
        self.dashes.iter_mut().for_each(|dash| *dash += by);
        self.markers.iter_mut().for_each(|marker| *marker += by);
        self
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The start of the line that contains `at`.
    line_start: usize,
    found: Extents,
}

impl Reader<'_> {
    /// Reads up to the end of a scalar.
    fn scalar(&mut self, start: usize, value: &str, style: Style) -> Option<Range<usize>> {
        let header = self.gap(start, style == Style::Block)?;
        let start = header.unwrap_or(start);
        let end = match style {
            Style::Plain => self.plain_end(start, value)?,
            Style::SingleQuoted => self.quoted_end(start, '\'')?,
            Style::DoubleQuoted => self.quoted_end(start, '"')?,
            Style::Block => self.block_end(header?, value)?,
        };
        self.advance(end);
        Some(start..end)
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn line_end(&self, at: usize) -> usize {
        self.text[at..].find(['\n', '\r']).map_or(self.text.len(), |length| at + length)
    }

    /// Skips the text up to `to`.
    fn advance(&mut self, to: usize) {
        if let Some(end) = self.text.get(self.at..to).and_then(|passed| passed.rfind(['\n', '\r'])) {
            self.line_start = self.at + end + 1;
        }
        self.at = self.at.max(to);
    }

    /// Reads structure, blanks and comments up to `end`, or up to the header of a block scalar if one is expected.
    fn gap(&mut self, end: usize, block: bool) -> Option<Option<usize>> {
        while self.at < end {
            let at = self.at;
            let leads = at == self.line_start;
            let separate = leads || matches!(self.byte(at - 1), Some(b' ' | b'\t'));
            match self.byte(at)? {
                b'#' if separate => {
                    let before = self.text[self.line_start..at].trim_end_matches([' ', '\t']);
                    let comment =
                        Comment { at: at..self.line_end(at), alone: before.is_empty(), after: before.chars().last() };
                    self.advance(comment.at.end);
                    self.found.comments.push(comment);
                    continue;
                }
                b'|' | b'>' if block => return Some(Some(at)),
                b'-' | b'.' if leads && self.is_marker(at) => {
                    self.found.markers.push(at);
                    self.advance(at + 3);
                    continue;
                }
                b'-' if self.byte(at + 1).is_none_or(|b| b.is_ascii_whitespace()) => self.found.dashes.push(at),
                b'%' if leads => {
                    self.advance(self.line_end(at));
                    continue;
                }
                // Anchors, aliases and tags end at a blank or a bracket.
                b'&' | b'*' | b'!' => {
                    let length = self.text[at..].find([' ', '\t', '\n', '\r', ',', '[', ']', '{', '}']);
                    self.advance(length.map_or(self.text.len(), |length| at + length.max(1)));
                    continue;
                }
                _ => {}
            }
            self.advance(at + self.text[at..].chars().next()?.len_utf8());
        }
        Some(None)
    }

    fn is_marker(&self, at: usize) -> bool {
        let rest = &self.text[at..];
        let marker = rest.starts_with("---") || rest.starts_with("...");
        marker && rest[3..].chars().next().is_none_or(char::is_whitespace)
    }

    /// A plain scalar over several lines is folded: its words follow one another in the text.
    fn plain_end(&self, start: usize, value: &str) -> Option<usize> {
        let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
        let mut at = start;
        for word in value.split(blank).filter(|word| !word.is_empty()) {
            let rest = &self.text[at..];
            at += rest.len() - rest.trim_start_matches(blank).len();
            at += self.text[at..].starts_with(word).then_some(word.len())?;
        }
        Some(at)
    }

    fn quoted_end(&self, start: usize, quote: char) -> Option<usize> {
        let mut rest = self.text[start..].strip_prefix(quote)?.char_indices().peekable();
        while let Some((at, c)) = rest.next() {
            if c == '\\' && quote == '"' {
                rest.next();
            } else if c == quote {
                if quote == '\'' && rest.peek().is_some_and(|(_, next)| *next == quote) {
                    rest.next();
                    continue;
                }
                return Some(start + 1 + at + 1);
            }
        }
        None
    }

    /// A block scalar ends before the first line that is indented less than its first line.
    fn block_end(&mut self, header: usize, value: &str) -> Option<usize> {
        let header_end = self.line_end(header);
        if let Some(hash) = self.text[header..header_end].find(" #") {
            let at = header + hash + 1;
            self.found.comments.push(Comment { at: at..header_end, alone: false, after: Some('|') });
        }
        let content = value.trim_matches(['\n', '\r']);
        if content.trim().is_empty() {
            return Some(header_end);
        }
        let first_line = content.split('\n').find(|line| !line.trim().is_empty()).unwrap_or_default();
        let own_blanks = first_line.len() - first_line.trim_start_matches(' ').len();
        let mut end = header_end;
        let mut indent = None;
        let mut at = header_end;
        while at < self.text.len() {
            at += if self.text[at..].starts_with("\r\n") { 2 } else { 1 };
            let line_end = self.line_end(at.min(self.text.len()));
            let line = self.text.get(at..line_end)?;
            let blanks = line.len() - line.trim_start_matches(' ').len();
            if blanks < line.len() {
                let indent = *indent.get_or_insert(blanks.saturating_sub(own_blanks).max(1.min(blanks)));
                if blanks < indent || (blanks == 0 && self.is_marker(at)) {
                    break;
                }
                end = line_end;
            }
            at = line_end;
        }
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<&str>, Vec<&str>) {
        let scan = Scan::read(text.as_bytes()).expect("valid YAML");
        let extents = Extents::of(&scan).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let scalars = scan.ids().filter_map(|id| extents.scalar(id)).map(|range| &text[range]).collect();
        (scalars, extents.comments.iter().map(|comment| &text[comment.at.clone()]).collect())
    }

    #[test]
    fn scalars_of_every_style_have_an_extent() {
        assert_eq!(read("a: b c\n  d # x\ne: 'it''s # no'\n").0, ["a", "b c\n  d", "e", "'it''s # no'"]);
        assert_eq!(read("\u{feff}a: \"x\\\" # é\"\nb:\nc: é\n").0, ["a", "\"x\\\" # é\"", "b", "c", "é"]);
        assert_eq!(
            read("a: |\n  one\n  # two\n\nb: >-\n    x\n     y\n").0,
            ["a", "|\n  one\n  # two", "b", ">-\n    x\n     y"]
        );
        assert_eq!(
            read("a: |2-\n    x\n   y\nb: |+\n\n  z\n\nc: |\nd: 1\n").0,
            ["a", "|2-\n    x\n   y", "b", "|+\n\n  z", "c", "|", "d", "1"]
        );
        assert_eq!(read("- {a: [x, 'y']}\n- &k !!str v\n- *k\n").0, ["a", "x", "'y'", "v"]);
        assert_eq!(read("a: |\r\n  x\r\n  y\r\nb: 1\r\n").0, ["a", "|\r\n  x\r\n  y", "b", "1"]);
    }

    #[test]
    fn only_comments_are_found() {
        let text = "# top\na: x#y # one\nb: 'q # r' #two\nc: | # head\n  # text\n# after\nd: [1, # in\n 2]\n--- # doc\ne: &a#b 1\n";
        assert_eq!(read(text).1, ["# top", "# one", "#two", "# head", "# after", "# in", "# doc"]);
    }
}
