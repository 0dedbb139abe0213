//! Tags with what is known about them before one is chosen: those that the registry lists, and the one that a field
//! holds.

use crate::image::Tag;

use super::build::Build;
use super::digits::Doubt;
use super::order::Standing;

/// A tag in the registry with what is known about its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The tag.
    pub tag: Tag,
    /// Its standing in the policy's order, if the policy has one and the standing is known.
    pub standing: Option<Standing>,
    /// The build that it belongs to, if it was inspected.
    pub build: Option<Build>,
    /// The reason why it cannot be chosen although it fits: it may not be a commit.
    pub doubt: Option<Doubt>,
}

impl Seen {
    /// Makes a tag with a standing, about which nothing else is known.
    pub fn new(tag: Tag, standing: Option<Standing>) -> Seen {
        Seen { tag, standing, build: None, doubt: None }
    }

    /// Makes a tag that may not be a commit.
    pub fn in_doubt(tag: Tag) -> Seen {
        Seen { doubt: Some(Doubt::Unread), ..Seen::from(tag) }
    }
}

impl From<Tag> for Seen {
    fn from(tag: Tag) -> Seen {
        Seen::new(tag, None)
    }
}

/// The position of a field's image in the policy's order, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Its standing in the policy's order.
    Known(Standing),
    /// The image exists, but its standing is unknown.
    Unknown,
    /// The registry no longer has the image.
    Gone,
    /// The registry was not queried.
    NotQueried,
}

/// The tag that a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The tag.
    pub tag: Tag,
    /// The position of its image.
    pub position: Position,
    /// The build that it belongs to, if known.
    pub build: Option<Build>,
}
