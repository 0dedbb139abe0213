//! What a kustomization says of other files and of images.

/// What a kustomization file says about other files and about images.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kustomization {
    /// `resources`, `bases` and `components`, as written.
    pub resources: Vec<String>,
    /// Other files that it reads, as written: those that Secrets are generated from, patches, generators, transformers.
    pub files: Vec<String>,
    /// The entries of `images`.
    pub images: Vec<ImageEntry>,
}

/// An entry of `images`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageEntry {
    /// The name that it matches.
    pub name: String,
    /// The name that comes out: `newName`, else `name`.
    pub result: String,
    /// Whether it sets the version (`newTag` or `digest`), not only the name.
    pub overrides: bool,
}
