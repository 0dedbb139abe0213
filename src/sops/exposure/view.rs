//! Nodes as Go's YAML and kustomize see them: with merged keys, aliases followed and texts decoded.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::yaml::node::{Kind, NodeId, Style};
use crate::yaml::scan::Scan;

use super::substitution::is_covered;

/// The length to which names are shortened for display.
const LONGEST_NAME: usize = 80;

/// A parsed document.
#[derive(Clone, Copy)]
pub struct View<'s, 'a> {
    scan: &'s Scan<'a>,
}

impl<'s, 'a> View<'s, 'a> {
    /// Makes a view of a scan.
    pub fn new(scan: &'s Scan<'a>) -> View<'s, 'a> {
        View { scan }
    }

    /// Returns whether a node is a mapping.
    pub fn is_mapping(self, id: NodeId) -> bool {
        matches!(self.scan.kind(self.scan.resolve(id)), Kind::Mapping)
    }

    /// Returns the keys and values of a mapping together with those of the mappings that it merges; nothing for other
    /// nodes. A key can occur several times.
    pub fn pairs(self, mapping: NodeId) -> Vec<(NodeId, NodeId)> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut open = if self.is_mapping(mapping) { vec![self.scan.resolve(mapping)] } else { Vec::new() };
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            for (key, value) in self.scan.pairs(id) {
                match self.scan.scalar(key) {
                    Some("<<") => open.push(self.scan.resolve(value)),
                    _ => found.push((key, self.scan.resolve(value))),
                }
            }
            // A list of mappings can be merged.
            open.extend(self.scan.items(id).map(|item| self.scan.resolve(item)));
        }
        found
    }

    /// Returns the values of a key.
    pub fn values(self, mapping: NodeId, key: &str) -> Vec<NodeId> {
        let named = |(name, value)| (self.text(name)?.trim() == key).then_some(value);
        self.pairs(mapping).into_iter().filter_map(named).collect()
    }

    /// Returns the values of a key in any letters: kustomize reads its own files as JSON, and Go's JSON ignores case.
    pub fn fields(self, mapping: NodeId, key: &str) -> Vec<NodeId> {
        let key = folded(key);
        let named = |(name, value)| (folded(self.text(name)?.trim()) == key).then_some(value);
        self.pairs(mapping).into_iter().filter_map(named).collect()
    }

    /// Returns the texts of a key in any letters.
    pub fn field_texts(self, mapping: NodeId, key: &str) -> Vec<Cow<'s, str>> {
        let texts = self.fields(mapping, key).into_iter().filter(|id| !self.is_null(*id));
        texts.filter_map(|id| self.text(id)).filter(|text| !text.is_empty()).collect()
    }

    /// Returns the items of the list at a key in any letters.
    pub fn list(self, mapping: NodeId, key: &str) -> Vec<NodeId> {
        self.fields(mapping, key).into_iter().flat_map(|list| self.items(list)).collect()
    }

    /// Returns the items of a list.
    pub fn items(self, list: NodeId) -> Vec<NodeId> {
        self.scan.items(list).map(|item| self.scan.resolve(item)).collect()
    }

    /// Returns the texts of the list at a key in any letters.
    pub fn list_texts(self, mapping: NodeId, key: &str) -> Vec<Cow<'s, str>> {
        self.list(mapping, key).into_iter().filter_map(|item| self.text(item)).collect()
    }

    /// Returns the text of a scalar. One with the tag of binary data is decoded.
    pub fn text(self, id: NodeId) -> Option<Cow<'s, str>> {
        let id = self.scan.resolve(id);
        let text = self.scan.scalar(id)?;
        // A tag can be written with escapes.
        let is_binary = self.scan.tag(id).is_some_and(|tag| tag.contains("binary") || tag.contains('%'));
        if !is_binary {
            return Some(Cow::Borrowed(text));
        }
        let base64: String = text.split_ascii_whitespace().collect();
        let decoded = STANDARD.decode(base64).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Some(decoded.map_or(Cow::Borrowed(text), Cow::Owned))
    }

    /// Returns the text of a key for display, shortened.
    pub fn name(self, key: NodeId) -> String {
        let text = self.text(key).unwrap_or(Cow::Borrowed("?"));
        let kept = text.chars().take(LONGEST_NAME).map(|c| if c.is_control() { '?' } else { c });
        kept.collect()
    }

    /// Returns whether a node is a value, or contains one, that is not covered.
    pub fn is_exposed(self, id: NodeId) -> bool {
        let mut open = vec![self.scan.resolve(id)];
        let mut seen = HashSet::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            match self.scan.kind(id) {
                Kind::Scalar { .. } if self.is_null(id) => {}
                Kind::Scalar { .. } if self.text(id).is_some_and(|text| !is_covered(&text)) => return true,
                Kind::Mapping => open.extend(self.scan.pairs(id).map(|(_, value)| self.scan.resolve(value))),
                Kind::Sequence => open.extend(self.items(id)),
                Kind::Scalar { .. } | Kind::Alias(_) | Kind::Document => {}
            }
        }
        false
    }

    /// Returns the names of the exposed values of a mapping, each below `place`; `place` itself for another value.
    pub fn exposed_in(self, values: NodeId, place: &str) -> Vec<String> {
        if !self.is_mapping(values) {
            return if self.is_exposed(values) { vec![place.to_owned()] } else { Vec::new() };
        }
        let exposed = self.pairs(values).into_iter().filter(|(_, value)| self.is_exposed(*value));
        exposed.map(|(key, _)| format!("{place}.{}", self.name(key))).collect()
    }

    /// Returns everything below a node, without following aliases.
    pub fn descendants(self, id: NodeId) -> impl Iterator<Item = NodeId> {
        self.scan.descendants(self.scan.resolve(id))
    }

    fn is_null(self, id: NodeId) -> bool {
        let is_word = matches!(self.scan.scalar(id), Some("" | "~" | "null" | "Null" | "NULL"));
        is_word && self.scan.style(id) == Some(Style::Plain)
    }
}

/// Folds a key like Go's JSON, which also equates two letters outside ASCII (`ſ` and the Kelvin sign).
fn folded(key: &str) -> String {
    key.to_uppercase().to_lowercase()
}
