//! A parsed file.

use crate::sops::error::SopsError;
use crate::sops::raw::{MetadataSpans, Raw};
use crate::sops::tree::Item;

/// A parsed file.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Its documents without metadata; all formats except YAML have exactly one.
    pub documents: Vec<Vec<Item>>,
    /// The metadata of the first document.
    pub metadata: Option<Raw>,
    /// The positions of the metadata, for each document that has it.
    pub spans: Vec<MetadataSpans>,
    /// The first problem for which sops would refuse the file.
    pub problem: Option<SopsError>,
}
