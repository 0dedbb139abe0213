//! Nodes, translated to byte ranges. Spans are computed only for the few scalars that are edited, and are checked
//! against the value that the parser read: a span whose text is not that value is rejected.

use std::ops::Range;

use super::node::{Kind, NodeId, Style};
use super::place::Place;
use super::scan::Scan;

impl<'a> Scan<'a> {
    /// Returns whether a mapping or sequence is written in flow style (`{…}`, `[…]`).
    pub fn is_flow(&self, id: NodeId) -> bool {
        let at = self.start(id);
        self.text[at..].starts_with(['{', '['])
    }

    /// Returns the byte span of a scalar's content, without quotes, in the file's bytes. `None` if the scalar is an
    /// alias, spans lines, contains escapes, or is otherwise not simple enough to be replaced in place.
    pub fn span(&self, id: NodeId) -> Option<Range<usize>> {
        self.span_in_text(id).map(|span| self.in_file(span))
    }

    /// Like `span`, but in the text, which starts after a byte order mark.
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
            // An empty plain scalar has no bytes: the parser places it after the line.
            && !(value.is_empty() && quote.is_empty());
        exact.then_some(content)
    }

    /// Returns the bytes of the whole line, including its line ending, that contains a byte of the text.
    pub(super) fn line_of(&self, at: usize) -> Range<usize> {
        self.lines.range(self.text, self.lines.line_at(at))
    }

    /// Returns the position of a byte of the text, for display.
    pub(super) fn place_of(&self, at: usize) -> Place {
        Place { line: self.lines.line_at(at) + 1, column: self.lines.column(self.text, at) + 1 }
    }

    /// Returns the byte span of a scalar including its quotes, in the file's bytes.
    pub fn outer_span(&self, id: NodeId) -> Option<Range<usize>> {
        let span = self.span(id)?;
        Some(match self.style(id) {
            Some(Style::SingleQuoted | Style::DoubleQuoted) => span.start - 1..span.end + 1,
            _ => span,
        })
    }

    /// Returns the byte span of a part of a scalar's value, in the file's bytes. It lies between the start of the
    /// scalar and the next node. Its text is taken to occur in those bytes as often before it as in the value; where
    /// escapes make that wrong, the edit fails its verification and is refused.
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

    /// Returns the position of a byte of the file, for display.
    pub fn place_in_file(&self, at: usize) -> Place {
        self.place_of(at - self.offset)
    }

    /// Returns the byte after the colon of a key, in the file's bytes: the place of the value of an empty pair.
    pub fn after_colon(&self, key: NodeId) -> Option<usize> {
        let end = self.outer_span(key)?.end - self.offset;
        let rest = &self.text[end..];
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        rest[blanks..].starts_with(':').then_some(self.offset + end + blanks + 1)
    }

    /// Returns the bytes of the whole line, including its line ending, that contains a byte of the file.
    pub fn line_range(&self, at: usize) -> Range<usize> {
        self.in_file(self.line_of(at - self.offset))
    }

    /// Returns the text of a byte range of the file.
    pub fn slice(&self, range: Range<usize>) -> &'a str {
        &self.text[range.start - self.offset..range.end - self.offset]
    }

    /// Returns the lines from a byte of the file to its end; the first one may be partial.
    pub fn lines_from(&self, at: usize) -> impl Iterator<Item = &'a str> {
        self.text[at - self.offset..].lines()
    }

    /// Returns the length of the byte order mark before the text.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// Returns the byte of the file where a node starts, as the parser reports it: a block scalar starts at its
    /// content.
    pub fn start_in_file(&self, id: NodeId) -> usize {
        self.start(id) + self.offset
    }

    /// Returns the byte of the text where a node starts.
    pub(super) fn start(&self, id: NodeId) -> usize {
        let node = &self.nodes[id.index()];
        let (line, column) = (node.line as usize, node.column as usize);
        match &self.relaxed {
            Some(relaxed) => relaxed.lines.offset(&relaxed.text, line, column),
            None => self.lines.offset(self.text, line, column),
        }
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
    fn complex_scalars_have_no_span() {
        assert_eq!(spans("- \"a\\tb\"\n- 'it''s'\n- two\n  lines\n- |\n  a\n  b\n"), Vec::<&str>::new());
    }

    #[test]
    fn a_tab_behind_a_colon_is_white_space() {
        let text = "a:\tb\n\"c\":\t1 # x\nd: |\n  e:\tf\n";
        assert_eq!(spans(text), ["a", "b", "c", "1", "d", "e:\tf"]);
        assert!(Scan::read(b"a:\n\tb: c\n").is_err());
    }

    #[test]
    fn lines_within_brackets_and_quotes_may_be_indented_less() {
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
