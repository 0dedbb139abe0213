//! Images that are too young for their policy. The age counts from when an image was built or when it arrived in its
//! registry, whichever was later, because an image can claim any build time.

use std::fmt;

use jiff::Timestamp;

use super::rule::Rule;

/// The arrival of a tag's image in its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It was pushed then, according to the registry's own API.
    Pushed(Timestamp),
    /// It was seen for the first time then, so it may have been there before.
    FirstSeen(Timestamp),
}

/// The time from which an image is old enough, and what that counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ripe {
    /// The time.
    pub at: Timestamp,
    /// The arrival that it counts from, or `None` if it counts from when the image was built.
    from: Option<Arrival>,
}

impl Arrival {
    fn at(self) -> Timestamp {
        match self {
            Arrival::Pushed(at) | Arrival::FirstSeen(at) => at,
        }
    }
}

impl fmt::Display for Ripe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waits for its minimumAge until {}", self.at)?;
        match self.from {
            None => Ok(()),
            Some(Arrival::Pushed(at)) => write!(f, ", because it was pushed at {at}"),
            Some(Arrival::FirstSeen(at)) => write!(
                f,
                ", because it was first seen at {at}: nothing older is in the cache, and when it was pushed is unknown"
            ),
        }
    }
}

impl Ripe {
    /// Returns the time from which an image that was built at `built` and arrived at `arrival` is old enough for a
    /// policy, or `None` if the policy requires no age.
    pub fn of(rule: &Rule, built: Timestamp, arrival: Option<Arrival>) -> Option<Ripe> {
        let from = arrival.filter(|arrival| arrival.at() > built);
        let begins = from.map_or(built, Arrival::at);
        let at = begins.checked_add(rule.minimum_age?).unwrap_or(Timestamp::MAX);
        Some(Ripe { at, from })
    }
}

/// Returns why an image is too young for a policy, if it is.
pub fn too_young(rule: &Rule, built: Option<Timestamp>, arrival: Option<Arrival>, now: Timestamp) -> Option<String> {
    rule.minimum_age?;
    match built {
        Some(built) => Ripe::of(rule, built, arrival).filter(|ripe| ripe.at > now).map(|ripe| ripe.to_string()),
        None => Some(unknown_age()),
    }
}

/// Says that the age of an image is needed and not known.
pub fn unknown_age() -> String {
    "does not say when it was built, so minimumAge keeps it back".to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tags::TagRule;
    use super::*;

    fn rule(minimum_age: Option<Duration>) -> Rule {
        Rule {
            name: "acme/*".to_owned(),
            images: Vec::new(),
            tags: TagRule::Held,
            marked_only: false,
            pin: false,
            track: false,
            tag_patterns: Default::default(),
            minimum_age,
            inspect_limit: 1,
            platforms: Vec::new(),
            fallback: false,
            keep: None,
            origin: None,
        }
    }

    #[test]
    fn the_age_counts_from_the_build_or_the_arrival_whichever_was_later() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let rule = rule(Some(Duration::from_secs(100)));
        let waits = |built, arrival, now| too_young(&rule, Some(at(built)), arrival, at(now));
        let pushed = |second| Some(Arrival::Pushed(at(second)));
        assert_eq!(waits(1000, None, 1100), None);
        assert_eq!(waits(1000, pushed(500), 1100), None);
        assert_eq!(waits(1000, pushed(1001), 1101), None);
        let text = waits(1000, pushed(1001), 1100).expect("too young");
        assert_eq!(
            text,
            "waits for its minimumAge until 1970-01-01T00:18:21Z, because it was pushed at 1970-01-01T00:16:41Z"
        );
        let text = waits(1, Some(Arrival::FirstSeen(at(1001))), 1100).expect("too young");
        assert!(text.contains(", because it was first seen at 1970-01-01T00:16:41Z"), "{text}");
        assert_eq!(
            waits(1050, pushed(1001), 1100),
            Some("waits for its minimumAge until 1970-01-01T00:19:10Z".to_owned())
        );
        assert!(too_young(&rule, None, pushed(1), at(1000)).is_some(), "its age is unknown");
        assert!(too_young(&rule, Some(Timestamp::MAX), None, at(1000)).is_some());
    }

    #[test]
    fn without_a_minimum_age_nothing_waits() {
        assert_eq!(too_young(&rule(None), None, None, Timestamp::UNIX_EPOCH), None);
    }
}
