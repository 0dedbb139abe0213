//! The tags of an image that a policy may choose, and those that its fields hold now.

use std::collections::BTreeMap;

use crate::image::Tag;
use crate::policy::build::Build;
use crate::policy::seen::{Position, Seen};

/// What is known of the images of one repository.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    /// The tags that fit the policy, with their ages where the order needs them.
    pub seen: Vec<Seen>,
    /// What is known of the tags that fields hold now.
    pub held: BTreeMap<Tag, CurrentTag>,
}

/// What is known of a tag that a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrentTag {
    /// Its position in the policy's order.
    pub position: Position,
    /// The build that it is of.
    pub build: Option<Build>,
}

impl Candidates {
    /// What is known of a tag that a field holds: it may have been asked for as such, or be among those that can be chosen.
    pub fn of_held(&self, tag: &Tag) -> CurrentTag {
        let listed = || self.seen.iter().find(|seen| seen.tag == *tag);
        let as_listed = |seen: &Seen| Some(CurrentTag { position: Position::Known(seen.standing?), build: seen.build });
        let known = self.held.get(tag).copied().or_else(|| listed().and_then(as_listed));
        known.unwrap_or(CurrentTag { position: Position::NotQueried, build: None })
    }

    /// The other tags of the build that a tag is of.
    pub fn siblings<'s>(&'s self, tag: &'s Tag) -> impl Iterator<Item = &'s Tag> {
        let build = self.seen.iter().find(|seen| seen.tag == *tag).and_then(|seen| seen.build);
        let is_same = move |seen: &&Seen| build.zip(seen.build).is_some_and(|(one, other)| one.id == other.id);
        self.seen.iter().filter(is_same).map(|seen| &seen.tag).filter(move |other| *other != tag)
    }
}
