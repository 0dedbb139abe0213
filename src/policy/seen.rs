//! What is known of tags before one is chosen: those that the registry lists, and the one that a field holds.

use crate::image::Tag;

use super::build::Build;
use super::digits::Doubt;
use super::order::Standing;

/// A tag of the registry with what is known of its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The tag.
    pub tag: Tag,
    /// Where it stands in the policy's order, if it has one and the tag a known place in it.
    pub standing: Option<Standing>,
    /// The build that it is of, where more than its name had to be known.
    pub build: Option<Build>,
    /// Why it cannot be chosen although it fits: it may be no commit at all.
    pub doubt: Option<Doubt>,
}

impl Seen {
    /// A tag that stands where it does, with nothing else known of it.
    pub fn new(tag: Tag, standing: Option<Standing>) -> Seen {
        Seen { tag, standing, build: None, doubt: None }
    }

    /// A tag that may be no commit.
    pub fn in_doubt(tag: Tag) -> Seen {
        Seen { doubt: Some(Doubt::Unread), ..Seen::from(tag) }
    }
}

impl From<Tag> for Seen {
    fn from(tag: Tag) -> Seen {
        Seen::new(tag, None)
    }
}

/// What is known of the age of an image that a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Where it stands in the policy's order.
    Known(Standing),
    /// It is there, but nothing says where it stands.
    Unknown,
    /// The registry does not have it any more.
    Gone,
    /// The registry was not asked.
    NotQueried,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The tag.
    pub tag: Tag,
    /// How old its image is.
    pub position: Position,
    /// The build that it is of, where that is known.
    pub build: Option<Build>,
}
