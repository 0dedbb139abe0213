//! Metadata as the formats have it, and where it stands.

use std::ops::Range;

/// Metadata as the formats have it: texts, lists and mappings, not typed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// A text; of what is read, any scalar.
    Text(String),
    /// A number or a boolean, to be written without quotes.
    Word(String),
    /// A list.
    List(Vec<Raw>),
    /// A mapping.
    Map(Vec<(String, Raw)>),
}

impl Raw {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Raw> {
        match self {
            Raw::Map(pairs) => pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// A text that is there and not empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Raw::Text(text) | Raw::Word(text) if !matches!(text.as_str(), "" | "null" | "~") => Some(text),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn items(&self, key: &str) -> &[Raw] {
        match self.get(key) {
            Some(Raw::List(items)) => items,
            _ => &[],
        }
    }
}

/// Where the two fields stand that change with every edit, quotes included. A file of several documents has several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataSpans {
    /// The bytes of `mac`.
    pub mac: Range<usize>,
    /// The bytes of `lastmodified`.
    pub last_modified: Range<usize>,
    /// The whole block: from the start of its first line to the end of its last one.
    pub block: Range<usize>,
}
