//! A file, parsed in its format.

use crate::sops::error::SopsError;
use crate::sops::raw::{MetadataSpans, Raw};
use crate::sops::tree::Item;

/// A file, parsed in its format.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Its documents without metadata; all formats but YAML have exactly one.
    pub documents: Vec<Vec<Item>>,
    /// The metadata of the first document.
    pub metadata: Option<Raw>,
    /// Where the metadata stands, for each document that has it.
    pub spans: Vec<MetadataSpans>,
    /// The first thing in it that sops would refuse.
    pub problem: Option<SopsError>,
}
