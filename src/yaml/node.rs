//! Nodes, and the parser that produces them.

use std::collections::HashMap;

use yaml_rust2::parser::{Event, Parser, Tag};
use yaml_rust2::scanner::TScalarStyle;

use super::place::{Lines, Place};

/// The reason why a file could not be read as YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum ScanError {
    /// The bytes are not UTF-8.
    #[error("not UTF-8 text (byte {0})")]
    NotText(usize),
    /// A zero byte, which would end the text for YAML parsers.
    #[error("a zero byte at byte {0}: not a text file")]
    ZeroByte(usize),
    /// The parser refused the text.
    #[error("line {}, column {}: {reason}", place.line, place.column)]
    Syntax { place: Place, reason: String },
    /// `{{` outside quotes: a template that happens to parse, rather than the YAML that it renders to.
    #[error("line {}, column {}: `{{{{` outside quotes: this is a template, not YAML", .0.line, .0.column)]
    Template(Place),
    /// The file has more than [`MAX_BYTES`].
    #[error("too large: {size} bytes; files of up to {} MiB are read", MAX_BYTES >> 20)]
    TooLarge { size: u64 },
    /// The file has more than [`MAX_NODES`] values.
    #[error("too large: files with up to {MAX_NODES} values are read")]
    TooManyNodes,
    /// The file has more image fields than are read.
    #[error("too large: files with up to {most} image fields are read")]
    TooManyFields { most: usize },
    /// Collections are nested in more than [`MAX_DEPTH`] others.
    #[error("line {}, column {}: nested too deeply: up to {MAX_DEPTH} levels are read", .0.line, .0.column)]
    TooDeep(Place),
}

impl ScanError {
    /// Returns whether the file may be valid YAML, but exceeds a limit of what is read.
    pub fn is_limit(&self) -> bool {
        use ScanError::{TooDeep, TooLarge, TooManyFields, TooManyNodes};
        matches!(self, TooLarge { .. } | TooManyNodes | TooManyFields { .. } | TooDeep(_))
    }
}

/// The size of the largest file that is read. Kubernetes stores no object larger than 1.5 MiB; bundles of many are
/// larger.
pub const MAX_BYTES: usize = 10 << 20;

/// The number of values in the largest file that is read. Each takes about a hundred bytes of memory, however short it
/// is in the text.
pub const MAX_NODES: usize = 500_000;

/// The depth of the deepest collection that is read. People do not nest deeper, and code that recurses over collections
/// must not exhaust its stack.
pub const MAX_DEPTH: usize = 200;

/// The index of a node in its [`super::scan::Scan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

impl NodeId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// The style in which a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// Between `'`.
    SingleQuoted,
    /// Between `"`.
    DoubleQuoted,
    /// A literal (`|`) or folded (`>`) block.
    Block,
}

/// The kind of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A document; its one child is the root.
    Document,
    /// A mapping; its children are alternately keys and values.
    Mapping,
    /// A sequence.
    Sequence,
    /// A scalar; its value is still text.
    Scalar {
        /// The value, with quotes removed and escapes resolved.
        value: String,
        /// The style in which it is written.
        style: Style,
    },
    /// An alias (`*name`) and the node that it refers to.
    Alias(Option<NodeId>),
}

/// A node with everything that the parser reports about it.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    pub kind: Kind,
    /// Boxed because tags are rare and files have many nodes.
    pub tag: Option<Box<Tag>>,
    pub anchored: bool,
    /// The collection or document that contains it; `None` for a document.
    pub parent: Option<NodeId>,
    /// Its index among its parent's children, from 0.
    pub ordinal: u32,
    /// Line and column from 0, as the parser reports them.
    pub line: u32,
    pub column: u32,
    /// The index after the last node of this subtree.
    pub end: u32,
}

/// Parses the nodes. The strict parser refuses two things that libyaml and Go's YAML accept: within brackets and
/// quotes, a line that is indented less than its key, and a tab after a key's colon. Such a line is joined to the one
/// before it by replacing the line ending with blanks, and such a tab becomes a blank, so no byte moves. Returns the
/// text that was parsed if it differs from the given one.
pub(super) fn read_leniently(text: &str) -> Result<(Vec<Node>, Option<String>), ScanError> {
    let mut relaxed: Option<String> = None;
    let readings = (RELAXED_BYTES / text.len().max(1)).clamp(1, MAX_RELAXED);
    for _ in 0..readings {
        let current = relaxed.as_deref().unwrap_or(text);
        match read_nodes(current) {
            Ok(nodes) => return Ok((nodes, relaxed)),
            Err(error) => relaxed = Some(relax(current, &error).ok_or(error)?),
        }
    }
    let nodes = read_nodes(relaxed.as_deref().unwrap_or(text))?;
    Ok((nodes, relaxed))
}

/// Each relaxed place costs another parse; people do not write more of them than this.
const MAX_RELAXED: usize = 100;

/// No file is worth parsing more bytes than this.
const RELAXED_BYTES: usize = 50_000_000;

/// Returns the text with the place of the error relaxed; `None` for an error that every reader would report.
fn relax(text: &str, error: &ScanError) -> Option<String> {
    let ScanError::Syntax { place, reason } = error else { return None };
    // The error for a quoted scalar points to its start, the one for a bracket to the line itself.
    match reason.as_str() {
        "invalid indentation in quoted scalar" => join_lines(text, place.line.checked_sub(1)?, true),
        "invalid indentation" => join_lines(text, place.line.checked_sub(2)?, false),
        "':' must be followed by a valid YAML whitespace" => blank_tabs(text, *place),
        _ => None,
    }
}

/// Returns the text with the tabs right before a place replaced by blanks.
fn blank_tabs(text: &str, place: Place) -> Option<String> {
    let end = Lines::of(text).offset(text, place.line - 1, place.column - 1);
    let start = text[..end].trim_end_matches([' ', '\t']).len();
    text[start..end].contains('\t').then(|| format!("{}{}{}", &text[..start], " ".repeat(end - start), &text[end..]))
}

/// Returns the text with a line joined to the next one.
fn join_lines(text: &str, upper: usize, in_quotes: bool) -> Option<String> {
    let lines = Lines::of(text);
    let line = lines.range(text, upper);
    let content = text[line.clone()].trim_end_matches(['\r', '\n']);
    // A comment would swallow the joined line.
    let kept = if in_quotes { content } else { without_comment(content) };
    let blank = line.start + kept.len()..line.end;
    let has_break = line.len() > content.len();
    has_break.then(|| {
        let mut joined = text.to_owned();
        joined.replace_range(blank.clone(), &" ".repeat(blank.len()));
        joined
    })
}

fn without_comment(line: &str) -> &str {
    let comment =
        line.match_indices('#').find(|(at, _)| line[..*at].chars().next_back().is_none_or(char::is_whitespace));
    comment.map_or(line, |(at, _)| &line[..at])
}

/// Runs the parser event by event. It keeps its own stack, so nesting needs no recursion here.
fn read_nodes(text: &str) -> Result<Vec<Node>, ScanError> {
    let mut parser = Parser::new_from_str(text);
    let mut nodes: Vec<Node> = Vec::new();
    // The open collections, each with the number of its children so far.
    let mut open: Vec<(usize, u32)> = Vec::new();
    let mut anchors: HashMap<usize, NodeId> = HashMap::new();
    loop {
        let (event, mark) = parser.next_token().map_err(|error| {
            let place = Place { line: error.marker().line(), column: error.marker().col() + 1 };
            match error.info() {
                // The parser has a limit of its own for brackets, which it looks at ahead of its events.
                "recursion limit exceeded" => ScanError::TooDeep(place),
                reason => ScanError::Syntax { place, reason: reason.to_owned() },
            }
        })?;
        let (kind, anchor, tag) = match event {
            Event::StreamEnd => return Ok(nodes),
            Event::Nothing | Event::StreamStart => continue,
            Event::DocumentEnd | Event::MappingEnd | Event::SequenceEnd => {
                let end = nodes.len() as u32;
                if let Some((start, _)) = open.pop() {
                    nodes[start].end = end;
                }
                continue;
            }
            Event::DocumentStart => (Kind::Document, 0, None),
            Event::MappingStart(anchor, tag) => (Kind::Mapping, anchor, tag),
            Event::SequenceStart(anchor, tag) => (Kind::Sequence, anchor, tag),
            Event::Scalar(value, style, anchor, tag) => (Kind::Scalar { value, style: style_of(style) }, anchor, tag),
            Event::Alias(anchor) => (Kind::Alias(anchors.get(&anchor).copied()), 0, None),
        };
        let index = nodes.len();
        if index >= MAX_NODES {
            return Err(ScanError::TooManyNodes);
        }
        if anchor > 0 {
            anchors.insert(anchor, NodeId(index as u32));
        }
        let mut place_in_parent = (None, 0);
        if let Some((parent, children)) = open.last_mut() {
            place_in_parent = (Some(NodeId(*parent as u32)), *children);
            *children += 1;
        }
        if matches!(kind, Kind::Document | Kind::Mapping | Kind::Sequence) {
            if open.len() > MAX_DEPTH {
                return Err(ScanError::TooDeep(Place { line: mark.line(), column: mark.col() + 1 }));
            }
            open.push((index, 0));
        }
        nodes.push(Node {
            kind,
            tag: tag.map(Box::new),
            anchored: anchor > 0,
            parent: place_in_parent.0,
            ordinal: place_in_parent.1,
            line: mark.line().saturating_sub(1) as u32,
            column: mark.col() as u32,
            end: index as u32 + 1,
        });
    }
}

fn style_of(style: TScalarStyle) -> Style {
    match style {
        TScalarStyle::Plain => Style::Plain,
        TScalarStyle::SingleQuoted => Style::SingleQuoted,
        TScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        TScalarStyle::Literal | TScalarStyle::Folded => Style::Block,
    }
}
