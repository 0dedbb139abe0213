//! The references of a kustomization to other files and to images.

/// The references of a kustomization to other files and to images.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kustomization {
    /// `resources`, `bases` and `components`, as written.
    pub resources: Vec<String>,
    /// Other files that it reads, as written: sources of generated Secrets, patches, generators, transformers.
    pub files: Vec<String>,
    /// The entries of `images`.
    pub images: Vec<ImageEntry>,
    /// The ConfigMaps that it generates, with the files that they hold.
    pub config_maps: Vec<(String, Vec<String>)>,
}

/// An entry of `images`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageEntry {
    /// The name that it matches.
    pub name: String,
    /// The resulting name: `newName`, else `name`.
    pub result: String,
    /// True if it sets the version (`newTag` or `digest`), not only the name.
    pub overrides: bool,
}
