//! The tags of an image that a policy may choose, and the current tags of its fields.

use std::collections::BTreeMap;

use crate::image::Tag;
use crate::policy::build::Build;
use crate::policy::seen::{Position, Seen};

/// The tags of one repository, with what is known about them.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    /// The tags that match the policy, with their ages if the order needs them.
    pub seen: Vec<Seen>,
    /// The current tags of fields.
    pub current: BTreeMap<Tag, CurrentTag>,
}

/// The position and build of a field's current tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrentTag {
    /// Its position in the policy's order.
    pub position: Position,
    /// Its build.
    pub build: Option<Build>,
}

impl Candidates {
    /// Returns what is known about the current tag of a field: it was queried as such, or is among the tags that can be
    /// chosen.
    pub fn of_current(&self, tag: &Tag) -> CurrentTag {
        let listed = || self.seen.iter().find(|seen| seen.tag == *tag);
        let as_listed = |seen: &Seen| Some(CurrentTag { position: Position::Known(seen.standing?), build: seen.build });
        let known = self.current.get(tag).copied().or_else(|| listed().and_then(as_listed));
        known.unwrap_or(CurrentTag { position: Position::NotQueried, build: None })
    }

    /// Returns the other tags of a tag's build.
    pub fn siblings<'s>(&'s self, tag: &'s Tag) -> impl Iterator<Item = &'s Tag> {
        let build = self.seen.iter().find(|seen| seen.tag == *tag).and_then(|seen| seen.build);
        let is_same = move |seen: &&Seen| build.zip(seen.build).is_some_and(|(one, other)| one.id == other.id);
        self.seen.iter().filter(is_same).map(|seen| &seen.tag).filter(move |other| *other != tag)
    }
}
