//! References from kustomizations, and from the parts of them, to other files.

/// The objects that a patch is applied to, as far as its `target` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PatchTarget {
    /// No target is given: the patch names its object itself.
    Own,
    /// Objects of a kind that matches `Secret`.
    Secrets,
    /// Objects of any kind.
    Any,
    /// Objects of other kinds.
    Others,
}

/// The use of a file, which determines what in it can end up in a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Objects, whatever the name of the file.
    Manifest,
    /// Generators or transformers, which refer to files from the folder of the kustomization.
    Plugin,
    /// A kustomization that produces generators or transformers.
    PluginFolder,
    /// A kustomization, which is reached by a symbolic link.
    Kustomization,
    /// The source of a generated Secret.
    Source,
    /// A patch.
    Patch {
        /// The objects that it is applied to.
        target: PatchTarget,
        /// True if it may change their kind.
        changes_kind: bool,
    },
    /// Replacements.
    Replacements,
    /// The configuration of transformers.
    Configuration,
}

/// A file that is referred to, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The path, from the folder of the kustomization.
    pub path: String,
    /// Its use.
    pub role: Role,
}

/// A file of a tree that is referred to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Its path from the root.
    pub path: String,
    /// Its use.
    pub role: Role,
    /// The kustomization that refers to it.
    pub by: String,
}
