//! A file as nodes: all documents in one flat list in the order of the text, each node with its position.
//!
//! The flat list keeps a 10 MB file cheap: a node knows where its subtree ends, so siblings are reached in one step.

use std::ops::Range;

use super::node::{Kind, MAX_BYTES, Node, NodeId, ScanError, Style, read_leniently};
use super::place::{Lines, Place};

/// A parsed file.
#[derive(Debug)]
pub struct Scan<'a> {
    pub(super) text: &'a str,
    /// The length of the byte order mark before the text.
    pub(super) offset: usize,
    pub(super) lines: Lines,
    pub(super) relaxed: Option<Relaxed>,
    pub(super) nodes: Vec<Node>,
}

/// The text that was parsed if it is not the file's own; both have the same length.
#[derive(Debug)]
pub(super) struct Relaxed {
    pub(super) text: String,
    pub(super) lines: Lines,
}

impl<'a> Scan<'a> {
    /// Parses all documents of a file.
    pub fn read(bytes: &'a [u8]) -> Result<Scan<'a>, ScanError> {
        if bytes.len() > MAX_BYTES {
            return Err(ScanError::TooLarge { size: bytes.len() as u64 });
        }
        let text = std::str::from_utf8(bytes).map_err(|e| ScanError::NotText(e.valid_up_to()))?;
        if let Some(at) = memchr::memchr(0, bytes) {
            return Err(ScanError::ZeroByte(at));
        }
        let body = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (nodes, relaxed) = read_leniently(body)?;
        let lines = Lines::of(body);
        let relaxed = relaxed.map(|text| Relaxed { lines: Lines::of(&text), text });
        let scan = Scan { text: body, offset: text.len() - body.len(), lines, relaxed, nodes };
        match scan.template_brace() {
            Some(place) => Err(ScanError::Template(place)),
            None => Ok(scan),
        }
    }

    /// Returns all nodes, in the order of the text.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// Returns the kind of a node.
    pub fn kind(&self, id: NodeId) -> &Kind {
        &self.nodes[id.index()].kind
    }

    /// Returns whether a node has an explicit YAML tag such as `!!str`.
    pub fn is_tagged(&self, id: NodeId) -> bool {
        self.nodes[id.index()].tag.is_some()
    }

    /// Returns the explicit YAML tag of a node, in full: `tag:yaml.org,2002:str` for `!!str`.
    pub fn tag(&self, id: NodeId) -> Option<String> {
        self.nodes[id.index()].tag.as_ref().map(|tag| format!("{}{}", tag.handle, tag.suffix))
    }

    /// Returns whether a node has an anchor (`&name`).
    pub fn is_anchored(&self, id: NodeId) -> bool {
        self.nodes[id.index()].anchored
    }

    /// Returns the node itself, or the target of an alias.
    pub fn resolve(&self, id: NodeId) -> NodeId {
        match self.kind(id) {
            Kind::Alias(Some(target)) => *target,
            _ => id,
        }
    }

    /// Returns a pair with its value resolved.
    pub fn resolved(&self, (key, value): (NodeId, NodeId)) -> (NodeId, NodeId) {
        (key, self.resolve(value))
    }

    /// Returns the value of a scalar, following aliases.
    pub fn scalar(&self, id: NodeId) -> Option<&str> {
        match self.kind(self.resolve(id)) {
            Kind::Scalar { value, .. } => Some(value),
            _ => None,
        }
    }

    /// Returns the style of a scalar, without following aliases.
    pub fn style(&self, id: NodeId) -> Option<Style> {
        match self.kind(id) {
            Kind::Scalar { style, .. } => Some(*style),
            _ => None,
        }
    }

    /// Returns the children of a document, mapping or sequence.
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

    /// Returns a node and everything below it, in the order of the text.
    pub fn descendants(&self, id: NodeId) -> impl Iterator<Item = NodeId> + use<> {
        (id.0..self.nodes[id.index()].end).map(NodeId)
    }

    /// Returns a node and everything below it, as a range.
    pub fn subtree(&self, id: NodeId) -> Range<NodeId> {
        id..NodeId(self.nodes[id.index()].end)
    }

    /// Returns the keys and values of a mapping; nothing for other nodes.
    pub fn pairs(&self, id: NodeId) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        let mut children = matches!(self.kind(id), Kind::Mapping).then(|| self.children(id)).into_iter().flatten();
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// Returns the items of a sequence, following aliases; nothing for other nodes.
    pub fn items(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let id = self.resolve(id);
        matches!(self.kind(id), Kind::Sequence).then(|| self.children(id)).into_iter().flatten()
    }

    /// Returns the pair of a mapping (following aliases) with a given key. If the key occurs twice, the last pair
    /// counts, as for kubectl. A key that the mapping lacks is looked up in the mappings that it merges (`<<`, the
    /// merge type of YAML 1.1).
    pub fn pair(&self, mapping: NodeId, key: &str) -> Option<(NodeId, NodeId)> {
        let mut open = vec![mapping];
        for _ in 0..MAX_MERGED {
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

    /// Returns the value of a key of a mapping.
    pub fn get(&self, mapping: NodeId, key: &str) -> Option<NodeId> {
        self.pair(mapping, key).map(|(_, value)| value)
    }

    /// Returns the value of a key of a mapping, if it is a scalar.
    pub fn get_scalar(&self, mapping: NodeId, key: &str) -> Option<&str> {
        self.get(mapping, key).and_then(|value| self.scalar(value))
    }

    /// Returns the documents of the file with their roots.
    pub fn documents(&self) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let document = NodeId(next);
            next = self.nodes.get(document.index())?.end;
            Some((document, NodeId(document.0 + 1)))
        })
    }

    /// Returns the collection or document that contains a node.
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.nodes[id.index()].parent
    }

    /// Returns whether a node is a key of a mapping.
    pub fn is_key(&self, id: NodeId) -> bool {
        let in_mapping = self.parent(id).is_some_and(|parent| matches!(self.kind(parent), Kind::Mapping));
        in_mapping && self.nodes[id.index()].ordinal.is_multiple_of(2)
    }

    /// Returns the node right before another in the text, such as the key of a scalar value.
    pub fn previous(&self, id: NodeId) -> Option<NodeId> {
        id.0.checked_sub(1).map(NodeId)
    }

    /// Returns the node right after another in the text.
    pub fn next(&self, id: NodeId) -> Option<NodeId> {
        let next = id.0 + 1;
        (next < self.nodes.len() as u32).then_some(NodeId(next))
    }

    /// Returns where a node starts, for display.
    pub fn place(&self, id: NodeId) -> Place {
        let node = &self.nodes[id.index()];
        if self.relaxed.is_none() {
            return Place { line: node.line as usize + 1, column: node.column as usize + 1 };
        }
        self.place_of(self.start(id))
    }

    /// Returns the path from the root of its document to a node: `spec.containers[0].image`. A key has the path of its
    /// value.
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

    /// Returns the text, without a byte order mark.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// Returns whether two nodes are equal except for their position, to verify that an edit changed nothing else.
    pub(super) fn same_but_for_place(&self, id: NodeId, other: &Scan<'_>, other_id: NodeId) -> bool {
        let (a, b) = (&self.nodes[id.index()], &other.nodes[other_id.index()]);
        let same_kind = match (&a.kind, &b.kind) {
            // Aliases are compared by their target elsewhere: inserted pairs may have moved it.
            (Kind::Alias(_), Kind::Alias(_)) => true,
            (a, b) => a == b,
        };
        same_kind && a.tag == b.tag && a.anchored == b.anchored
    }

    /// Returns whether two nodes have the same tag and anchor flag.
    pub(super) fn same_properties(&self, id: NodeId, other: &Scan<'_>, other_id: NodeId) -> bool {
        let (a, b) = (&self.nodes[id.index()], &other.nodes[other_id.index()]);
        a.tag == b.tag && a.anchored == b.anchored
    }

    /// Returns the number of nodes of a subtree, including its root.
    pub(super) fn size(&self, id: NodeId) -> u32 {
        self.nodes[id.index()].end - id.0
    }

    /// Finds a flow mapping that is the first key of a flow mapping: `{{`, which only occurs in templates.
    fn template_brace(&self) -> Option<Place> {
        let is_mapping = |id: NodeId| matches!(self.kind(id), Kind::Mapping);
        let outer =
            self.ids().find(|id| is_mapping(*id) && self.pairs(*id).next().is_some_and(|(key, _)| is_mapping(key)));
        outer.map(|id| self.place(id))
    }
}

/// The number of mappings that are searched for one key: merges of merges could grow without bound.
const MAX_MERGED: usize = 64;

/// Appends a key to a path, in brackets if it would not read as a single name.
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
    use super::super::node::{MAX_DEPTH, MAX_NODES};
    use super::*;

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
    fn invalid_yaml_is_reported_with_its_place() {
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
    fn nesting_is_limited_in_every_style() {
        let flow = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let sequences = |depth: usize| "- ".repeat(depth) + "a\n";
        let mappings = |depth: usize| (0..depth).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>();
        let is_limited = |text: &str| Scan::read(text.as_bytes()).is_err_and(|error| error.is_limit());
        for text in [flow(MAX_DEPTH), sequences(MAX_DEPTH), mappings(MAX_DEPTH)] {
            assert!(Scan::read(text.as_bytes()).is_ok(), "{}", &text[..20]);
        }
        for depth in [MAX_DEPTH + 1, 1_000, 60_000] {
            assert!(is_limited(&flow(depth)) && is_limited(&sequences(depth)), "{depth}");
        }
        // Mappings 60,000 deep would be a file of two gigabytes.
        assert!(is_limited(&mappings(MAX_DEPTH + 1)) && is_limited(&mappings(2_000)));
        let error = Scan::read(sequences(60_000).as_bytes()).expect_err("too deep").to_string();
        assert_eq!(error, "line 1, column 401: nested too deeply: up to 200 levels are read");
    }

    #[test]
    fn size_is_limited_in_bytes_and_values() {
        let comment = format!("#{}", " ".repeat(MAX_BYTES));
        let error = Scan::read(comment.as_bytes()).expect_err("too large");
        assert_eq!(error.to_string(), "too large: 10485761 bytes; files of up to 10 MiB are read");
        let many = "- a\n".repeat(MAX_NODES);
        let error = Scan::read(many.as_bytes()).expect_err("too large");
        assert_eq!(error.to_string(), "too large: files with up to 500000 values are read");
        assert!(Scan::read(&many.as_bytes()[..many.len() - 8]).is_ok());
    }
}
