//! Nodes to bytes. Spans are worked out only for the few scalars that are edited, and are checked against the value that
//! the parser read: a span that does not decode to its value is no span.

use std::ops::Range;

use super::node::{Kind, NodeId, Style};
use super::place::Place;
use super::scan::Scan;

/// How far a walk along the nodes has come.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    line: usize,
    column: usize,
    at: usize,
}

impl<'a> Scan<'a> {
    /// Whether a mapping or sequence is written in flow style (`{…}`, `[…]`).
    pub fn is_flow(&self, id: NodeId) -> bool {
        let at = self.start(id);
        self.text[at..].starts_with(['{', '['])
    }

    /// The byte span of a scalar's content, without quotes, in the file's bytes. `None` when the scalar is an alias,
    /// spans lines, holds escapes, or anything else about it is not as plain as a value that can be replaced must be.
    pub fn span(&self, id: NodeId) -> Option<Range<usize>> {
        self.span_in_text(id).map(|span| self.in_file(span))
    }

    /// The same in the text, which starts behind a byte order mark.
    pub(super) fn span_in_text(&self, id: NodeId) -> Option<Range<usize>> {
        let Kind::Scalar { value, style } = self.kind(id) else { return None };
        let start = self.start(id);
        let content = match style {
            Style::Plain => start..start + value.len(),
            Style::SingleQuoted | Style::DoubleQuoted => start + 1..start + 1 + value.len(),
            Style::Block => start..start + value.trim_end_matches('\n').len(),
        };
        let quote = match style {
            Style::SingleQuoted => "'",
            Style::DoubleQuoted => "\"",
            Style::Plain | Style::Block => "",
        };
        let value = if matches!(style, Style::Block) { value.trim_end_matches('\n') } else { value };
        let exact = !value.contains(['\n', '\r', '\\', '\'', '"'])
            && self.text.get(content.clone()) == Some(value)
            && self.text[..content.start].ends_with(quote)
            && self.text[content.end..].starts_with(quote)
            // An empty plain scalar stands nowhere: the parser marks it behind the line.
            && !(value.is_empty() && quote.is_empty());
        exact.then_some(content)
    }

    /// The bytes of the whole line, line end included, that holds a byte of the text.
    pub(super) fn line_of(&self, at: usize) -> Range<usize> {
        self.lines.range(self.text, self.lines.line_at(at))
    }

    /// Where a byte of the text stands, for people.
    pub(super) fn place_of(&self, at: usize) -> Place {
        let line = self.line_of(at).start;
        Place { line: self.lines.line_at(at) + 1, column: self.text[line..at].chars().count() + 1 }
    }

    /// The byte span of a scalar with its quotes, in the file's bytes.
    pub fn outer_span(&self, id: NodeId) -> Option<Range<usize>> {
        let span = self.span(id)?;
        Some(match self.style(id) {
            Some(Style::SingleQuoted | Style::DoubleQuoted) => span.start - 1..span.end + 1,
            _ => span,
        })
    }

    /// The byte span of a part of a scalar's value, in the file's bytes. It stands somewhere between the start of the
    /// scalar and the next node. As often as its text occurs in the value before it, so often it occurs in the bytes
    /// before it; where escapes make that wrong, an edit there cannot be proved and is refused.
    pub fn part_span(&self, id: NodeId, part: Range<usize>) -> Option<Range<usize>> {
        let value = self.scalar(id)?;
        let wanted = value.get(part.clone()).filter(|wanted| !wanted.is_empty())?;
        let nth = value.get(..part.start)?.matches(wanted).count();
        let start = self.start(id);
        let next = self.next(id).filter(|next| !matches!(self.kind(*next), Kind::Document));
        let end = next.map_or(self.text.len(), |next| self.start(next));
        let (at, _) = self.text.get(start..end)?.match_indices(wanted).nth(nth)?;
        Some(self.in_file(start + at..start + at + wanted.len()))
    }

    /// Where a byte of the file stands, for people.
    pub fn place_in_file(&self, at: usize) -> Place {
        self.place_of(at - self.offset)
    }

    /// The byte after the colon that follows a key, in the file's bytes: where the value of an empty pair would stand.
    pub fn after_colon(&self, key: NodeId) -> Option<usize> {
        let end = self.outer_span(key)?.end - self.offset;
        let rest = &self.text[end..];
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        rest[blanks..].starts_with(':').then_some(self.offset + end + blanks + 1)
    }

    /// The bytes of the whole line that holds a byte of the file, line end included.
    pub fn line_range(&self, at: usize) -> Range<usize> {
        self.in_file(self.line_of(at - self.offset))
    }

    /// The text of the file between two of its bytes.
    pub fn slice(&self, range: Range<usize>) -> &'a str {
        &self.text[range.start - self.offset..range.end - self.offset]
    }

    /// The lines from a byte of the file to its end; the first one may be a part of a line.
    pub fn lines_from(&self, at: usize) -> impl Iterator<Item = &'a str> {
        self.text[at - self.offset..].lines()
    }

    /// The bytes of a byte order mark before the text.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// The byte of the file where a node starts, as the parser marks it: a block scalar starts at its content.
    pub fn start_in_file(&self, id: NodeId) -> usize {
        self.start(id) + self.offset
    }

    /// Where a node starts in the text.
    pub(super) fn start(&self, id: NodeId) -> usize {
        let node = &self.nodes[id.index()];
        let (line, column) = (node.line as usize, node.column as usize);
        match &self.eased {
            Some(eased) => eased.lines.offset(&eased.text, line, column),
            None => self.lines.offset(self.text, line, column),
        }
    }

    /// The same as `start`, for nodes asked in the order of the text: a long line is walked once, not for each node.
    pub(super) fn start_after(&self, id: NodeId, cursor: &mut Cursor) -> usize {
        let node = &self.nodes[id.index()];
        let (line, column) = (node.line as usize, node.column as usize);
        let (text, lines) = match &self.eased {
            Some(eased) => (eased.text.as_str(), &eased.lines),
            None => (self.text, &self.lines),
        };
        if cursor.line != line || cursor.column > column {
            *cursor = Cursor { line, column: 0, at: lines.range(text, line).start };
        }
        let ahead = column - cursor.column;
        let rest = &text[cursor.at..];
        cursor.at += rest.char_indices().nth(ahead).map_or(rest.len(), |(at, _)| at);
        cursor.column = column;
        cursor.at
    }

    fn in_file(&self, range: Range<usize>) -> Range<usize> {
        range.start + self.offset..range.end + self.offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The spans of all scalars that have one, as text.
    fn spans(text: &str) -> Vec<&str> {
        let scan = Scan::read(text.as_bytes()).expect("valid YAML");
        scan.ids().filter_map(|id| scan.span(id)).map(|span| &text[span]).collect()
    }

    #[test]
    fn spans_are_the_bytes_of_the_values() {
        assert_eq!(
            spans("a: é # x\nb: 'q'\nc: \"\"\nd:\ne: |-\n  one\n"),
            ["a", "é", "b", "q", "c", "", "d", "e", "one"]
        );
        assert_eq!(spans("\u{feff}a: b\r\nc: d"), ["a", "b", "c", "d"]);
        assert_eq!(spans("{\"a\": [x, 'y']}"), ["a", "x", "y"]);
        assert_eq!(spans("- &k !!str v\n- *k\n"), ["v"]);
    }

    #[test]
    fn what_cannot_be_replaced_simply_has_no_span() {
        assert_eq!(spans("- \"a\\tb\"\n- 'it''s'\n- two\n  lines\n- |\n  a\n  b\n"), Vec::<&str>::new());
    }

    #[test]
    fn a_tab_behind_a_colon_is_white_space() {
        let text = "a:\tb\n\"c\":\t1 # x\nd: |\n  e:\tf\n";
        assert_eq!(spans(text), ["a", "b", "c", "1", "d", "e:\tf"]);
        assert!(Scan::read(b"a:\n\tb: c\n").is_err());
    }

    #[test]
    fn within_brackets_and_quotes_lines_may_stand_left() {
        let text = "spec:\n  args: [\n    \"é\", a,\n  ]\n  more: {\r\n    b: c\r\n  }\n  image: x\n";
        assert_eq!(spans(text), ["spec", "args", "é", "a", "more", "b", "c", "image", "x"]);
        let scan = Scan::read(text.as_bytes()).expect("valid YAML");
        let image = scan.ids().find(|id| scan.scalar(*id) == Some("x")).expect("there");
        assert_eq!(scan.place(image), Place { line: 8, column: 10 });
        assert_eq!(spans("a: {\n  b: [\n    1, # one\n  # two\n  ],\n}\nc: d\n"), ["a", "b", "1", "c", "d"]);
        assert_eq!(spans("a:\n  b: [\n1,\n 2 ]\nc: \"x\n y\nz\"\nd: e\n"), ["a", "b", "1", "2", "c", "d", "e"]);
        assert!(Scan::read(b"a:\n  b: [\n    1\n  ]\n]\n").is_err());
    }
}
