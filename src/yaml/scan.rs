//! Bytes to nodes: every document of a file as a flat list in the order of the text, each node with its place.
//!
//! The flat list keeps a 10 MB file cheap: a node knows where its subtree ends, so children are reached by leaping.
//! Byte spans are worked out only for the few scalars that are edited, and are checked against the value that the
//! parser read: a span that does not decode to its value is no span.

use std::ops::Range;

use super::node::{Kind, Node, NodeId, ScanError, Style, read_leniently};
use super::place::{Lines, Place};

/// A file, read.
#[derive(Debug)]
pub struct Scan<'a> {
    text: &'a str,
    /// The bytes of a byte order mark before the text.
    offset: usize,
    lines: Lines,
    eased: Option<Eased>,
    nodes: Vec<Node>,
}

/// The text as the parser took it, byte for byte as long as the file's, where that is not the text itself.
#[derive(Debug)]
struct Eased {
    text: String,
    lines: Lines,
}

impl<'a> Scan<'a> {
    /// Reads all documents of a file.
    pub fn read(bytes: &'a [u8]) -> Result<Scan<'a>, ScanError> {
        let text = std::str::from_utf8(bytes).map_err(|e| ScanError::NotText(e.valid_up_to()))?;
        if let Some(at) = bytes.iter().position(|b| *b == 0) {
            return Err(ScanError::ZeroByte(at));
        }
        let body = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (nodes, eased) = read_leniently(body)?;
        let lines = Lines::of(body);
        let eased = eased.map(|text| Eased { lines: Lines::of(&text), text });
        let scan = Scan { text: body, offset: text.len() - body.len(), lines, eased, nodes };
        match scan.template_brace() {
            Some(place) => Err(ScanError::Template(place)),
            None => Ok(scan),
        }
    }

    /// All nodes, in the order of the text.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// What a node is.
    pub fn kind(&self, id: NodeId) -> &Kind {
        &self.nodes[id.index()].kind
    }

    /// Whether the node carries an explicit YAML tag such as `!!str`.
    pub fn is_tagged(&self, id: NodeId) -> bool {
        self.nodes[id.index()].tag.is_some()
    }

    /// Whether the node carries an anchor (`&name`).
    pub fn is_anchored(&self, id: NodeId) -> bool {
        self.nodes[id.index()].anchored
    }

    /// The node itself, or the one that it is an alias of.
    pub fn resolve(&self, id: NodeId) -> NodeId {
        match self.kind(id) {
            Kind::Alias(Some(target)) => *target,
            _ => id,
        }
    }

    /// A pair with its value resolved.
    pub fn resolved(&self, (key, value): (NodeId, NodeId)) -> (NodeId, NodeId) {
        (key, self.resolve(value))
    }

    /// The value of a scalar, aliases followed.
    pub fn scalar(&self, id: NodeId) -> Option<&str> {
        match self.kind(self.resolve(id)) {
            Kind::Scalar { value, .. } => Some(value),
            _ => None,
        }
    }

    /// How a scalar is written, aliases not followed.
    pub fn style(&self, id: NodeId) -> Option<Style> {
        match self.kind(id) {
            Kind::Scalar { style, .. } => Some(*style),
            _ => None,
        }
    }

    /// The children of a document, mapping or sequence.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let leaf = matches!(self.kind(id), Kind::Scalar { .. } | Kind::Alias(_));
        let end = self.nodes[id.index()].end;
        let mut next = if leaf { end } else { id.0 + 1 };
        std::iter::from_fn(move || {
            (next < end).then(|| {
                let child = NodeId(next);
                next = self.nodes[child.index()].end;
                child
            })
        })
    }

    /// A node and everything below it, in the order of the text.
    pub fn descendants(&self, id: NodeId) -> impl Iterator<Item = NodeId> + use<> {
        (id.0..self.nodes[id.index()].end).map(NodeId)
    }

    /// A node and everything below it, as a range.
    pub fn subtree(&self, id: NodeId) -> Range<NodeId> {
        id..NodeId(self.nodes[id.index()].end)
    }

    /// Keys and values of a mapping; nothing for other nodes.
    pub fn pairs(&self, id: NodeId) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        let mut children = matches!(self.kind(id), Kind::Mapping).then(|| self.children(id)).into_iter().flatten();
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// Items of a sequence, aliases followed; nothing for other nodes.
    pub fn items(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let id = self.resolve(id);
        matches!(self.kind(id), Kind::Sequence).then(|| self.children(id)).into_iter().flatten()
    }

    /// The pair of a mapping (aliases followed) with a key. Of a key given twice the last counts, as for kubectl. A key
    /// that the mapping lacks is looked for in what it merges in (`<<`, the merge type of YAML 1.1).
    pub fn pair(&self, mapping: NodeId, key: &str) -> Option<(NodeId, NodeId)> {
        let mut open = vec![mapping];
        for _ in 0..MOST_MERGED {
            let (mut found, mut merged) = (None, None);
            for (name, value) in self.pairs(self.resolve(open.pop()?)) {
                match self.scalar(name) {
                    Some(text) if text == key => found = Some((name, value)),
                    Some("<<") if self.style(name) == Some(Style::Plain) => merged = Some(value),
                    _ => {}
                }
            }
            if found.is_some() {
                return found;
            }
            let merged = merged.map(|merged| self.resolve(merged));
            match merged.map(|merged| (merged, self.kind(merged))) {
                Some((list, Kind::Sequence)) => {
                    let items: Vec<NodeId> = self.items(list).collect();
                    open.extend(items.into_iter().rev());
                }
                Some((mapping, _)) => open.push(mapping),
                None => {}
            }
        }
        None
    }

    /// The value of a key of a mapping.
    pub fn get(&self, mapping: NodeId, key: &str) -> Option<NodeId> {
        self.pair(mapping, key).map(|(_, value)| value)
    }

    /// The value of a key of a mapping, if it is a scalar.
    pub fn get_scalar(&self, mapping: NodeId, key: &str) -> Option<&str> {
        self.get(mapping, key).and_then(|value| self.scalar(value))
    }

    /// The documents of the file with their roots.
    pub fn documents(&self) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let document = NodeId(next);
            next = self.nodes.get(document.index())?.end;
            Some((document, NodeId(document.0 + 1)))
        })
    }

    /// The collection or document that a node is a child of.
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.nodes[id.index()].parent
    }

    /// Whether a node is a key of a mapping.
    pub fn is_key(&self, id: NodeId) -> bool {
        let in_mapping = self.parent(id).is_some_and(|parent| matches!(self.kind(parent), Kind::Mapping));
        in_mapping && self.nodes[id.index()].ordinal.is_multiple_of(2)
    }

    /// The node that stands right before another in the text: the key of a scalar value.
    pub fn previous(&self, id: NodeId) -> Option<NodeId> {
        id.0.checked_sub(1).map(NodeId)
    }

    /// The node that stands right behind another in the text.
    pub fn next(&self, id: NodeId) -> Option<NodeId> {
        let next = id.0 + 1;
        (next < self.nodes.len() as u32).then_some(NodeId(next))
    }

    /// Where a node starts, for people.
    pub fn place(&self, id: NodeId) -> Place {
        let node = &self.nodes[id.index()];
        if self.eased.is_none() {
            return Place { line: node.line as usize + 1, column: node.column as usize + 1 };
        }
        self.place_of(self.start(id))
    }

    /// The way from the root of its document to a node: `spec.containers[0].image`. A key has the path of its value.
    pub fn path(&self, id: NodeId) -> String {
        let mut way = Vec::new();
        let mut node = id;
        while let Some(parent) = self.parent(node).filter(|parent| !matches!(self.kind(*parent), Kind::Document)) {
            way.push((parent, node));
            node = parent;
        }
        let mut path = String::new();
        for (parent, child) in way.into_iter().rev() {
            let ordinal = self.nodes[child.index()].ordinal;
            let is_value = ordinal % 2 == 1;
            match self.kind(parent) {
                Kind::Sequence => path.push_str(&format!("[{ordinal}]")),
                _ if is_value => {
                    let key = self.previous(child).filter(|key| self.parent(*key) == Some(parent));
                    push_key(&mut path, key.and_then(|key| self.scalar(key)).unwrap_or("?"));
                }
                _ => push_key(&mut path, self.scalar(child).unwrap_or("?")),
            }
        }
        path
    }

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

    /// The text that was read, without a byte order mark.
    pub(super) fn text(&self) -> &'a str {
        self.text
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

    /// What differs between two nodes apart from their place: for the proof that an edit changed nothing else.
    pub(super) fn same_but_for_place(&self, id: NodeId, other: &Scan<'_>, other_id: NodeId) -> bool {
        let (a, b) = (&self.nodes[id.index()], &other.nodes[other_id.index()]);
        let same_kind = match (&a.kind, &b.kind) {
            // Anchors are compared by the node that they name, which inserted pairs may have moved.
            (Kind::Alias(_), Kind::Alias(_)) => true,
            (a, b) => a == b,
        };
        same_kind && a.tag == b.tag && a.anchored == b.anchored
    }

    /// Whether two nodes carry the same tag and anchor flag.
    pub(super) fn same_properties(&self, id: NodeId, other: &Scan<'_>, other_id: NodeId) -> bool {
        let (a, b) = (&self.nodes[id.index()], &other.nodes[other_id.index()]);
        a.tag == b.tag && a.anchored == b.anchored
    }

    /// How many nodes a subtree has, itself included.
    pub(super) fn size(&self, id: NodeId) -> u32 {
        self.nodes[id.index()].end - id.0
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

    fn in_file(&self, range: Range<usize>) -> Range<usize> {
        range.start + self.offset..range.end + self.offset
    }

    /// A flow mapping that is the first key of a flow mapping: `{{`, which no one writes but a template.
    fn template_brace(&self) -> Option<Place> {
        let is_mapping = |id: NodeId| matches!(self.kind(id), Kind::Mapping);
        let outer =
            self.ids().find(|id| is_mapping(*id) && self.pairs(*id).next().is_some_and(|(key, _)| is_mapping(key)));
        outer.map(|id| self.place(id))
    }
}

/// How many mappings are looked into for one key. Merges of merges could be made to grow without end.
const MOST_MERGED: usize = 64;

/// Appends a key to a path, in brackets when it would not read as one name.
fn push_key(path: &mut String, key: &str) {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$'));
    if !plain {
        path.push_str(&format!("[\"{key}\"]"));
    } else {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
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
    fn paths_name_keys_and_items() {
        let text = "a:\n  - b: 1\n    x.y/z: 2\n---\nc: [3]\n";
        let scan = Scan::read(text.as_bytes()).expect("valid YAML");
        let paths: Vec<String> =
            scan.ids().filter(|id| scan.scalar(*id).is_some_and(|v| v.len() == 1)).map(|id| scan.path(id)).collect();
        assert_eq!(paths, ["a", "a[0].b", "a[0].b", "a[0][\"x.y/z\"]", "c", "c[0]"]);
    }

    #[test]
    fn aliases_are_followed_and_the_last_of_two_keys_counts() {
        let scan = Scan::read(b"a: &v one\nb: *v\nc: 1\nc: 2\n").expect("valid YAML");
        let (_, root) = scan.documents().next().expect("a document");
        assert_eq!(scan.get_scalar(root, "b"), Some("one"));
        assert_eq!(scan.get_scalar(root, "c"), Some("2"));
    }

    #[test]
    fn merged_keys_count_where_the_mapping_has_none_of_its_own() {
        let text = "a: &a {x: 1, y: 1}\nb: &b\n  <<: *a\n  y: 2\nc:\n  <<: [*b, {z: 3}]\n  x: 4\n";
        let scan = Scan::read(text.as_bytes()).expect("valid YAML");
        let (_, root) = scan.documents().next().expect("a document");
        let value = |mapping: &str, key: &str| scan.get_scalar(scan.get(root, mapping)?, key);
        assert_eq!((value("b", "x"), value("b", "y"), value("b", "z")), (Some("1"), Some("2"), None));
        assert_eq!((value("c", "x"), value("c", "y"), value("c", "z")), (Some("4"), Some("2"), Some("3")));
    }

    #[test]
    fn a_tab_behind_a_colon_is_white_space() {
        let text = "a:\tb\n\"c\":\t1 # x\nd: |\n  e:\tf\n";
        assert_eq!(spans(text), ["a", "b", "c", "1", "d", "e:\tf"]);
        assert!(Scan::read(b"a:\n\tb: c\n").is_err());
    }

    #[test]
    fn what_is_no_yaml_is_said_with_its_place() {
        let error = |bytes: &[u8]| Scan::read(bytes).expect_err("not YAML").to_string();
        assert!(error(b"a: b\nc: [1\n").starts_with("line "), "{}", error(b"a: b\nc: [1\n"));
        assert_eq!(
            error(b"image: {{ .Values.image }}\n"),
            "line 1, column 8: `{{` outside quotes: this is a template, not YAML"
        );
        assert_eq!(error(b"a: \xff\n"), "not UTF-8 text (byte 3)");
        assert_eq!(error(b"a: \0\n"), "a zero byte at byte 3: not a text file");
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

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        let deep = format!("{}{}", "[".repeat(250), "]".repeat(250));
        assert!(Scan::read(deep.as_bytes()).is_ok());
        assert!(Scan::read("[".repeat(100_000).as_bytes()).is_err());
        let blocks: String = (0..2_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
        assert!(Scan::read(blocks.as_bytes()).is_ok());
    }
}
