//! What one file contributes to the values of charts.

use std::collections::BTreeMap;

/// The values in one document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ValuesFacts {
    /// The scalars that can be a part of an image's name, by their path from the root of the values.
    pub names: BTreeMap<String, String>,
    /// The release that the values belong to, if the document says so.
    pub release: Option<Release>,
}

/// The chart and the values files of a release.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Release {
    /// The folder of the chart.
    pub chart: Option<Location>,
    /// Its values files, in the order in which Helm merges them.
    pub files: Vec<Location>,
    /// The ConfigMaps that hold values, in order; they come before the release's own values.
    pub config_maps: Vec<String>,
}

/// A path within the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// From the root of the repository.
    FromRoot(String),
    /// From the folder of the file that names it.
    FromFile(String),
    /// From the folder of the release's chart.
    FromChart(String),
}

/// A chart's dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// The key of its values: its alias, else its name.
    pub key: String,
    /// Its folder relative to that of the chart, if it is in the same repository.
    pub folder: Option<String>,
}

/// The mapping that holds the tag of an image, within the values of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuesPlace {
    /// The index of the document's [`ValuesFacts`] in its file.
    pub values: usize,
    /// The path of the mapping from the root of the values; empty for the root itself.
    pub mapping: String,
    /// The key of the tag.
    pub tag_key: String,
    /// True if the mapping is the value of a key such as `image`.
    pub in_image: bool,
}

impl ValuesPlace {
    /// Returns the path of a sibling of the tag.
    pub fn sibling(&self, key: &str) -> String {
        if self.mapping.is_empty() { key.to_owned() } else { format!("{}.{key}", self.mapping) }
    }
}
