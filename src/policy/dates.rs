//! The dates of an image. An image says itself when it was built, so a date may be wrong, or a lie.

use jiff::{SignedDuration, Timestamp};

/// The assumed limit for the difference between the clocks of builders, registries and this machine.
pub const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The dates of an image, as far as they are known and not in the future.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dates {
    /// The time when it was built, according to its annotation, or else its image config.
    pub built: Option<Timestamp>,
    /// The time when its newest image config was made, if an annotation says when it was built.
    pub config: Option<Timestamp>,
    /// The time when its tag was pushed, according to the registry's own API.
    pub pushed: Option<Timestamp>,
}

impl Dates {
    /// Returns these dates without those that are in the future.
    pub fn believed(self, now: Timestamp) -> Dates {
        let believed = |at: Option<Timestamp>| at.filter(|at| !is_ahead(*at, now));
        Dates { built: believed(self.built), config: believed(self.config), pushed: believed(self.pushed) }
    }

    /// Returns when what runs was built: an annotation can give an old image a new date, an image config cannot.
    pub fn contents(&self) -> Option<Timestamp> {
        self.config.or(self.built)
    }

    /// Returns the earliest time at which it can have been built.
    pub fn earliest(&self) -> Option<Timestamp> {
        self.built.into_iter().chain(self.config).min()
    }
}

/// Returns whether a date is in the future, so that it is not believed.
pub fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    now < believed_from(at)
}

/// Returns the time from which a date is believed.
pub fn believed_from(at: Timestamp) -> Timestamp {
    at.checked_sub(SKEW).unwrap_or(Timestamp::MIN)
}

/// Says that an image claims to have been built in the future.
pub fn built_ahead(at: Timestamp) -> String {
    format!(
        "says that it was built at {at}, which is in the future; check the clocks of the builder and of this machine"
    )
}

/// Says that a registry claims that a tag was pushed in the future.
pub fn pushed_ahead(at: Timestamp) -> String {
    format!("was pushed at {at} according to its registry, which is in the future; check both clocks")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn dates_in_the_future_are_not_believed() {
        let now = at("2026-04-01T10:00:00Z");
        assert!(!is_ahead(now, now) && !is_ahead(at("2026-04-01T10:05:00Z"), now));
        assert!(is_ahead(at("2026-04-01T10:05:01Z"), now) && is_ahead(Timestamp::MAX, now));
        // No date makes the arithmetic fail.
        assert!(!is_ahead(Timestamp::MIN, Timestamp::MIN) && !is_ahead(Timestamp::MAX, Timestamp::MAX));
        let dates = Dates { built: Some(at("2036-01-01T00:00:00Z")), config: Some(now), pushed: Some(Timestamp::MAX) };
        assert_eq!(dates.believed(now), Dates { config: Some(now), ..Dates::default() });
    }

    #[test]
    fn an_annotation_does_not_make_the_contents_newer() {
        let (old, new) = (at("2026-04-01T10:00:00Z"), at("2026-05-01T10:00:00Z"));
        let dates = |built, config| Dates { built, config, pushed: None };
        assert_eq!(dates(Some(new), Some(old)).contents(), Some(old));
        assert_eq!(dates(Some(new), Some(old)).earliest(), Some(old));
        assert_eq!(dates(Some(new), None).contents(), Some(new));
        assert_eq!(dates(None, Some(old)).earliest(), Some(old));
        assert_eq!(dates(None, None).earliest(), None);
    }
}
