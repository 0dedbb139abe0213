//! Images that are too young for their policy.

use jiff::Timestamp;

use super::rule::Rule;

/// Returns why an image that was built at `created` is too young for a policy, if it is.
pub fn too_young(rule: &Rule, created: Option<Timestamp>, now: Timestamp) -> Option<String> {
    rule.minimum_age?;
    match created {
        Some(created) => rule.ripe_at(created).filter(|ripe| *ripe > now).map(waits),
        None => Some(unknown_age()),
    }
}

/// Says how long an image has to wait.
pub fn waits(ripe: Timestamp) -> String {
    format!("waits for its minimumAge until {ripe}")
}

/// Says that the age of an image is needed and not known.
pub fn unknown_age() -> String {
    "does not say when it was built, so minimumAge keeps it back".to_owned()
}
