//! The build that a tag belongs to.

/// The build that a tag belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// A number that the tags of one build share with no other tag of the same survey.
    pub id: u32,
    /// The part of the build that the tag refers to.
    pub kind: Kind,
}

/// The part of a build that a tag refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The whole build: an image for one platform.
    Image,
    /// The whole build: an index.
    Index {
        /// True if it lists more than one platform.
        is_of_several: bool,
    },
    /// One of the platforms of an index that has a tag of its own.
    Part,
}
