//! The conditions under which findings remain valid while a registry lists the same tags.

use jiff::Timestamp;

use crate::image::Tag;

/// The presence of a tag that was queried by name because the listing does not show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It exists.
    There,
    /// It does not exist.
    Gone,
    /// Its image is too broken to tell when it was built.
    Broken(String),
}

/// The conditions under which findings remain valid while a registry lists the same tags.
#[derive(Debug, Clone, Default)]
pub struct Validity {
    ends_with_cycle: bool,
    until: Option<Timestamp>,
    conditions: Vec<(Tag, Presence)>,
}

impl Validity {
    /// Ends it with the current cycle.
    pub fn end_with_cycle(&mut self) {
        self.ends_with_cycle = true;
    }

    /// Returns whether it goes beyond the current cycle.
    pub fn outlasts_cycle(&self) -> bool {
        !self.ends_with_cycle
    }

    /// Ends it at a time, unless it ends before that.
    pub fn end_at(&mut self, at: Option<Timestamp>) {
        self.until = self.until.into_iter().chain(at).min();
    }

    /// Returns whether it has ended by a time.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Ends it once the presence of a tag changes.
    pub fn end_unless(&mut self, tag: Tag, found: Presence) {
        self.conditions.push((tag, found));
    }

    /// Returns the tags whose presence must not change.
    pub fn conditions(&self) -> &[(Tag, Presence)] {
        &self.conditions
    }
}
