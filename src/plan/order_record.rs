//! The record of what put a version in its place in the order: a trailer. What a registry says about an image can
//! change, and a cache can be lost; what is in git stays.

use std::fmt;

use jiff::Timestamp;

use crate::image::{Reference, Repository, Version};
use crate::policy::dates::Dates;
use crate::policy::order::Order;
use crate::policy::tags::TagRule;

/// The order that a version has its place in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderedBy {
    /// The time when images were built.
    Built,
    /// The time when tags were pushed.
    Pushed,
    /// The position of commits on a branch.
    Commit,
    /// The names of tags.
    Name,
    /// The digest that the tag points to.
    Digest,
    /// The order in which releases arrived in the stage before.
    Promotion,
    /// A person or job that requested it.
    Request,
}

/// The order of a version, as a commit records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedOrder {
    /// The image.
    pub image: Repository,
    /// The version, with the digest of the image that was verified.
    pub version: Version,
    /// The order.
    pub by: OrderedBy,
    /// The dates of the image at that time.
    pub dates: Dates,
}

impl OrderedBy {
    const ALL: [OrderedBy; 7] = [
        OrderedBy::Built,
        OrderedBy::Pushed,
        OrderedBy::Commit,
        OrderedBy::Name,
        OrderedBy::Digest,
        OrderedBy::Promotion,
        OrderedBy::Request,
    ];

    /// Returns what decides for a policy.
    pub fn of(rule: &TagRule) -> OrderedBy {
        match rule {
            TagRule::Sha { order: Order::Built, .. } => OrderedBy::Built,
            TagRule::Sha { order: Order::Pushed, .. } => OrderedBy::Pushed,
            TagRule::Sha { order: Order::Commit(_), .. } => OrderedBy::Commit,
            TagRule::Semver { .. }
            | TagRule::Calver { .. }
            | TagRule::Numerical { .. }
            | TagRule::Alphabetical { .. } => OrderedBy::Name,
            TagRule::Held => OrderedBy::Digest,
        }
    }

    /// Returns its name in trailers.
    fn name(self) -> &'static str {
        match self {
            OrderedBy::Built => "built",
            OrderedBy::Pushed => "pushed",
            OrderedBy::Commit => "commit",
            OrderedBy::Name => "name",
            OrderedBy::Digest => "digest",
            OrderedBy::Promotion => "promotion",
            OrderedBy::Request => "request",
        }
    }
}

impl fmt::Display for OrderedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl RecordedOrder {
    /// Reads the value of a trailer. Words that are not known are ignored.
    pub fn read(value: &str) -> Option<RecordedOrder> {
        let mut words = value.split_whitespace();
        let Reference { repository: image, version } = Reference::parse_any(words.next()?).ok()?;
        let name = words.next()?;
        let by = OrderedBy::ALL.into_iter().find(|by| by.name() == name)?;
        let mut dates = Dates::default();
        for (key, at) in words.filter_map(|word| word.split_once('=')) {
            let at: Option<Timestamp> = at.parse().ok();
            match key {
                "built" => dates.built = at,
                "config" => dates.config = at,
                "pushed" => dates.pushed = at,
                _ => {}
            }
        }
        Some(RecordedOrder { image, version, by, dates })
    }

    /// Returns the value of its trailer: version, what decided, dates.
    pub fn trailer(&self) -> String {
        let RecordedOrder { image, version, by, dates: Dates { built, config, pushed } } = self;
        let reference = Reference { repository: image.clone(), version: version.clone() };
        let dates = [("built", built), ("config", config), ("pushed", pushed)];
        let dates = dates.into_iter().filter_map(|(key, at)| Some(format!(" {key}={}", at.as_ref()?)));
        format!("{reference} {by}{}", dates.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_survive_a_round_trip_through_trailers() {
        let at = |text: &str| Some(text.parse::<Timestamp>().expect("a time"));
        let dates = [
            Dates::default(),
            Dates { built: at("2026-04-01T10:00:00.5Z"), ..Dates::default() },
            Dates {
                built: at("2026-04-02T10:00:00Z"),
                config: at("2026-04-01T10:00:00Z"),
                pushed: at("2026-04-03T10:00:00Z"),
            },
        ];
        let digest = "0".repeat(64);
        for version in ["v1".to_owned(), format!("v1@sha256:{digest}")] {
            for (by, dates) in OrderedBy::ALL.into_iter().flat_map(|by| dates.map(|dates| (by, dates))) {
                let version = Version::parse_tag(&version).expect("a version");
                let order = RecordedOrder { image: "acme/app".parse().expect("a name"), version, by, dates };
                assert_eq!(RecordedOrder::read(&order.trailer()), Some(order));
            }
        }
    }

    #[test]
    fn trailers_that_cannot_be_read_are_ignored() {
        for value in ["", "acme/app:v1", "acme/app:v1 taste built=2026-04-01T10:00:00Z", "a b:c built"] {
            assert_eq!(RecordedOrder::read(value), None, "{value}");
        }
        let order = RecordedOrder::read("acme/app:v1 built built=soon taste=sweet config").expect("an order");
        assert_eq!(order.dates, Dates::default());
    }
}
