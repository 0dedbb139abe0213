//! The build that a tag is of.

/// The build that a tag is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// Alike for all tags of one build, and for no others of the same survey.
    pub id: u32,
    /// What the tag is of it.
    pub kind: Kind,
}

/// What a tag is of its build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All of it: an image of one platform.
    Image,
    /// All of it: an index.
    Index {
        /// Whether it lists more than one platform.
        is_of_several: bool,
    },
    /// One of the platforms of an index that has a tag, too.
    Part,
}
