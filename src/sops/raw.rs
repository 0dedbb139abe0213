//! Metadata as it is written in a format, and its positions.

use std::ops::Range;

/// Metadata as it is written in a format: texts, lists and mappings without types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// A text; when parsed, any scalar.
    Text(String),
    /// A number or a boolean, which is written without quotes.
    Word(String),
    /// A list.
    List(Vec<Raw>),
    /// A mapping.
    Map(Vec<(String, Raw)>),
}

impl Raw {
    /// Returns the value of a key.
    pub fn get(&self, key: &str) -> Option<&Raw> {
        match self {
            Raw::Map(pairs) => pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Returns the text of a key, unless it is empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Raw::Text(text) | Raw::Word(text) if !matches!(text.as_str(), "" | "null" | "~") => Some(text),
            _ => None,
        }
    }

    /// Returns the items of a list.
    pub fn items(&self, key: &str) -> &[Raw] {
        match self.get(key) {
            Some(Raw::List(items)) => items,
            _ => &[],
        }
    }
}

/// The positions of the two fields that change with every edit, including quotes, and of the whole block. A file with
/// several documents has several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataSpans {
    /// The bytes of `mac`.
    pub mac: Range<usize>,
    /// The bytes of `lastmodified`.
    pub last_modified: Range<usize>,
    /// The whole block: from the start of its first line to the end of its last one.
    pub block: Range<usize>,
}
