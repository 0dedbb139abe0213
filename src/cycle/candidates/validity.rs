//! How long findings hold while a registry lists the same tags.

use jiff::Timestamp;

use crate::image::Tag;

/// How a tag was found that was looked up by name, because the listing does not tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It was there.
    There,
    /// It was not there.
    Gone,
    /// Its image was too broken to tell when it was built.
    Broken(String),
}

/// How long findings hold while the registry lists the same tags.
#[derive(Debug, Clone, Default)]
pub struct Validity {
    ends_with_cycle: bool,
    until: Option<Timestamp>,
    conditions: Vec<(Tag, Presence)>,
}

impl Validity {
    /// Ends it with this cycle.
    pub fn end_with_cycle(&mut self) {
        self.ends_with_cycle = true;
    }

    /// Returns whether it goes beyond this cycle.
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

    /// Ends it when a tag is not found any more as it was this time.
    pub fn end_unless(&mut self, tag: Tag, found: Presence) {
        self.conditions.push((tag, found));
    }

    /// Returns the tags that have to be found as they were.
    pub fn conditions(&self) -> &[(Tag, Presence)] {
        &self.conditions
    }
}
