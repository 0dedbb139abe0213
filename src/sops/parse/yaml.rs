//! YAML files, of one document or several.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::sops::error::{SopsError, ValueProblem};
use crate::sops::format::METADATA_KEY;
use crate::sops::go_scalar::{self, Resolved};
use crate::sops::metadata_error::MetadataError;
use crate::sops::plaintext::Plaintext;
use crate::sops::raw::{MetadataSpans, Raw};
use crate::sops::tree::{Item, Leaf, Node, Writing};
use crate::yaml::extent::Extents;
use crate::yaml::node::{Kind, MAX_DEPTH, NodeId, Style};
use crate::yaml::scan::Scan;

use super::comments::{self, Placed};
use super::parsed::Parsed;

/// People do not write more values than this, with aliases expanded.
const MOST_NODES: usize = 100_000;

/// Metadata and rules do not have more values than this, with aliases expanded.
const MOST_METADATA_NODES: usize = 100_000;

/// Parses all documents of a file.
pub fn parse(bytes: &[u8]) -> Result<Parsed, SopsError> {
    let scan = Scan::read(bytes).map_err(|error| SopsError::Unreadable(error.to_string()))?;
    let extents = Extents::of(&scan).map_err(|error| SopsError::Unreadable(error.to_string()))?;
    let placed = comments::place(&scan, &extents);
    let mut reader = Reader {
        scan: &scan,
        extents: &extents,
        placed: &placed,
        document: 0,
        budget: MOST_NODES,
        depth: 0,
        problem: None,
    };
    let mut parsed = Parsed::default();
    for (document, (_, root)) in scan.documents().enumerate() {
        reader.document = document;
        parsed.documents.push(reader.document(root)?);
        let Some((key, value)) = scan.pair(root, METADATA_KEY) else { continue };
        if scan.pairs(root).filter(|(key, _)| scan.scalar(*key) == Some(METADATA_KEY)).count() > 1 {
            return Err(MetadataError::Twice(METADATA_KEY.to_owned()).into());
        }
        parsed.spans.push(reader.fields(key, value)?);
        if document == 0 {
            parsed.metadata = Some(raw(&scan, value));
        }
    }
    parsed.problem = reader.problem;
    Ok(parsed)
}

struct Reader<'s, 'a> {
    scan: &'s Scan<'a>,
    extents: &'s Extents,
    placed: &'s Placed,
    document: usize,
    budget: usize,
    /// The depth of the current node, with aliases expanded.
    depth: usize,
    problem: Option<SopsError>,
}

impl Reader<'_, '_> {
    fn document(&mut self, root: NodeId) -> Result<Vec<Item>, SopsError> {
        match self.scan.kind(root) {
            Kind::Mapping => self.mapping(root, true, Writing::Bare),
            Kind::Scalar { value, style: Style::Plain } if matches!(value.as_str(), "" | "~" | "null") => {
                Ok(Vec::new())
            }
            _ => Err(SopsError::Unreadable("a document that is not a mapping".to_owned())),
        }
    }

    fn mapping(&mut self, id: NodeId, is_root: bool, writing: Writing) -> Result<Vec<Item>, SopsError> {
        let mut items = Vec::new();
        for (key, value) in self.scan.pairs(id).collect::<Vec<_>>() {
            self.comments(id, Some(key), writing, &mut items);
            let name = self.key(key);
            if is_root && name == METADATA_KEY {
                continue;
            }
            let node = self.node(value, writing)?;
            items.push(Item::Pair(name, node));
        }
        self.comments(id, None, writing, &mut items);
        Ok(items)
    }

    fn node(&mut self, id: NodeId, writing: Writing) -> Result<Node, SopsError> {
        let scan = self.scan;
        let unsupported = |what| SopsError::Unsupported { place: scan.path(id), what };
        self.budget = self.budget.checked_sub(1).ok_or_else(|| unsupported("a file with this many values"))?;
        if self.depth > MAX_DEPTH {
            return Err(unsupported("nesting this deep"));
        }
        self.depth += 1;
        let node = self.node_within(id, writing);
        self.depth -= 1;
        node
    }

    fn node_within(&mut self, id: NodeId, writing: Writing) -> Result<Node, SopsError> {
        let in_flow = self.extents.is_flow(id);
        let writing = if in_flow && writing == Writing::Bare { Writing::Quoted } else { writing };
        match self.scan.kind(id) {
            Kind::Mapping => Ok(Node::Map(self.mapping(id, false, writing)?)),
            Kind::Sequence => {
                let mut items = Vec::new();
                for item in self.scan.children(id).collect::<Vec<_>>() {
                    self.comments(id, Some(item), writing, &mut items);
                    items.push(Item::Element(self.node(item, writing)?));
                }
                self.comments(id, None, writing, &mut items);
                Ok(Node::List(items))
            }
            Kind::Scalar { value, style } => Ok(self.scalar(id, value, *style, writing)),
            // An alias of a node that contains it never ends.
            Kind::Alias(Some(target)) if !self.holds(*target, id) => self.node(*target, Writing::Never),
            Kind::Alias(_) | Kind::Document => {
                let what = "an alias that contains itself";
                Err(SopsError::Unsupported { place: self.scan.path(id), what })
            }
        }
    }

    fn holds(&self, outer: NodeId, inner: NodeId) -> bool {
        std::iter::successors(Some(inner), |id| self.scan.parent(*id)).any(|id| id == outer)
    }

    fn scalar(&mut self, id: NodeId, value: &str, style: Style, writing: Writing) -> Node {
        let tag = self.scan.tag(id);
        let plain = match tag.as_deref() {
            None if style == Style::Plain => Plaintext::resolve(value),
            None => Ok(Some(Plaintext::text(value))),
            Some(tag) => tagged(tag, value),
        };
        let plain = plain.unwrap_or_else(|go_scalar::TooLarge| {
            self.refuse(id, ValueProblem::TooLarge);
            None
        });
        let Some(plain) = plain else { return Node::Null };
        let extent = self.extents.scalar(id);
        let writing = if tag.is_some() || extent.is_none() { Writing::Never } else { writing };
        Node::Leaf(Leaf { plain, at: extent.unwrap_or_default(), writing })
    }

    /// Reads a key. SOPS refuses keys that are not strings to Go's YAML.
    fn key(&mut self, id: NodeId) -> String {
        let scan = self.scan;
        let Kind::Scalar { value, style } = scan.kind(scan.resolve(id)) else {
            self.refuse(id, ValueProblem::Key);
            return String::new();
        };
        let is_text = match scan.tag(id) {
            Some(tag) => tag.ends_with(":str"),
            None => *style != Style::Plain || matches!(go_scalar::resolve(value), Ok(Resolved::Text)),
        };
        if !is_text {
            self.refuse(id, ValueProblem::Key);
        }
        value.clone()
    }

    fn comments(&self, collection: NodeId, before: Option<NodeId>, writing: Writing, items: &mut Vec<Item>) {
        for at in self.placed.get(&(collection, before)).into_iter().flatten() {
            let content = at.start + 1..at.end;
            let plain = Plaintext::comment(self.scan.slice(content.clone()));
            let writing = if writing == Writing::Never { Writing::Never } else { Writing::Bare };
            items.push(Item::Comment(Leaf { plain, at: content, writing }));
        }
    }

    fn fields(&self, key: NodeId, value: NodeId) -> Result<MetadataSpans, SopsError> {
        let field = |name| self.scan.get(value, name).and_then(|id| self.extents.scalar(id)).unwrap_or_default();
        let (mac, last_modified) = (field("mac"), field("lastmodified"));
        let start = self.extents.scalar(key).unwrap_or_default().start;
        let mut end = self.extents.scalar(key).unwrap_or_default().end;
        for id in self.scan.descendants(value) {
            end = end.max(self.extents.scalar(id).unwrap_or_default().end);
        }
        Ok(MetadataSpans { mac, last_modified, block: start..end })
    }

    /// Records the first thing that SOPS refuses.
    fn refuse(&mut self, id: NodeId, problem: ValueProblem) {
        let (document, place) = (self.document, self.scan.path(id));
        self.problem.get_or_insert(SopsError::Value { document, place, problem });
    }
}

/// Resolves a scalar with an explicit tag (go-yaml `resolve.go`); a value that does not fit its tag is null.
fn tagged(tag: &str, value: &str) -> Result<Option<Plaintext>, go_scalar::TooLarge> {
    let Some(name) = tag.strip_prefix("tag:yaml.org,2002:") else { return Ok(Some(Plaintext::text(value))) };
    let resolved = go_scalar::resolve(value);
    Ok(match (name, resolved) {
        ("binary", _) => STANDARD.decode(value).ok().map(Plaintext::text),
        ("bool", Ok(Resolved::Bool(_))) | ("int", Ok(Resolved::Int(_))) | ("timestamp", Ok(Resolved::Time(_))) => {
            Plaintext::resolve(value)?
        }
        ("float", Ok(Resolved::Int(number))) => Some(Plaintext::float(number as f64)),
        ("float", Ok(Resolved::Float(number))) => Some(Plaintext::float(number)),
        ("int" | "float", Err(error)) => return Err(error),
        ("bool" | "int" | "float" | "timestamp" | "null", _) => None,
        _ => Some(Plaintext::text(value)),
    })
}

/// Returns a part of the metadata, without types. Aliases are expanded; where they are too many or nested too deeply, as
/// in one that contains itself, the rest is empty text.
pub fn raw(scan: &Scan<'_>, id: NodeId) -> Raw {
    raw_within(scan, id, MAX_DEPTH, &mut { MOST_METADATA_NODES })
}

fn raw_within(scan: &Scan<'_>, id: NodeId, depth: usize, budget: &mut usize) -> Raw {
    let id = scan.resolve(id);
    let (Some(depth), Some(left)) = (depth.checked_sub(1), budget.checked_sub(1)) else {
        return Raw::Text(String::new());
    };
    *budget = left;
    match scan.kind(id) {
        Kind::Mapping => {
            let pairs = scan.pairs(id).filter_map(|(key, value)| Some((scan.scalar(key)?, value)));
            Raw::Map(pairs.map(|(key, value)| (key.to_owned(), raw_within(scan, value, depth, budget))).collect())
        }
        Kind::Sequence => Raw::List(scan.children(id).map(|item| raw_within(scan, item, depth, budget)).collect()),
        _ => Raw::Text(scan.scalar(id).unwrap_or_default().to_owned()),
    }
}

/// Returns the byte at which the `sops` block of each document is inserted: after its last line. `None` if a block
/// without indentation does not fit.
pub fn block_places(bytes: &[u8]) -> Result<Vec<Option<usize>>, SopsError> {
    let scan = Scan::read(bytes).map_err(|error| SopsError::Unreadable(error.to_string()))?;
    let extents = Extents::of(&scan).map_err(|error| SopsError::Unreadable(error.to_string()))?;
    let mut places = Vec::new();
    let mut at = 0;
    for (document, root) in scan.documents() {
        let start = scan.descendants(document).filter_map(|id| extents.scalar(id)).map(|span| span.start).min();
        let last = scan.descendants(document).filter_map(|id| extents.scalar(id)).map(|span| span.end).max();
        // For an empty document, its own `---` is the first one not passed yet.
        let markers = extents.markers.iter().copied();
        let opening = markers.clone().find(|marker| *marker >= at && Some(*marker) < start.or(Some(usize::MAX)));
        let content_end = last.or(opening.map(|marker| marker + 3)).unwrap_or(at);
        at = markers.into_iter().find(|marker| *marker >= content_end).unwrap_or(bytes.len());
        let fits = match scan.kind(root) {
            Kind::Mapping => {
                let first = scan.pairs(root).next().map(|(key, _)| scan.place(key).column);
                !extents.is_flow(root) && first == Some(1)
            }
            Kind::Scalar { value, .. } => value.is_empty(),
            _ => false,
        };
        places.push(fits.then_some(at));
    }
    Ok(places)
}
