//! The times at which the clocks of a time zone show something.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::span::Span;

/// The largest difference between local time and UTC anywhere, and some more.
const FARTHEST: SignedDuration = SignedDuration::from_hours(26);

/// Returns the times at which the clocks of a zone show `from` or later, but not yet `to`.
///
/// Where clocks are set forward, a time that they skip is the instant at which they are set. Where they are set back, an
/// hour that they show twice counts both times.
pub fn times(zone: &TimeZone, from: DateTime, to: DateTime) -> Vec<Span> {
    let instant = |civil: DateTime| TimeZone::UTC.to_timestamp(civil).unwrap_or(Timestamp::MAX);
    let begin = instant(from).checked_sub(FARTHEST).unwrap_or(Timestamp::MIN);
    let end = instant(to).checked_add(FARTHEST).unwrap_or(Timestamp::MAX);
    let mut found: Vec<Span> = Vec::new();
    let mut add = |start: Timestamp, end: Timestamp| {
        // Between two changes the clocks have one offset.
        let offset = zone.to_offset(start);
        let at = |civil: DateTime| offset.to_timestamp(civil).unwrap_or(Timestamp::MAX);
        let span = Span { start: at(from).max(start), end: at(to).min(end) };
        if span.start < span.end {
            match found.last_mut().filter(|last| last.end == span.start) {
                Some(last) => last.end = span.end,
                None => found.push(span),
            }
        }
    };
    let mut start = begin;
    for change in zone.following(begin).map(|transition| transition.timestamp()).take_while(|change| *change < end) {
        add(start, change);
        start = change;
    }
    add(start, end);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_york(from: &str, to: &str) -> Vec<String> {
        let zone = TimeZone::get("America/New_York").expect("a zone");
        let civil = |text: &str| text.parse().expect("a local time");
        let spans = times(&zone, civil(from), civil(to)).into_iter();
        spans.map(|span| format!("{} {}", span.start, span.end)).collect()
    }

    #[test]
    fn clocks_that_are_set_forward_skip_times() {
        // On 8 March 2026, 02:30 does not exist.
        assert_eq!(new_york("2026-03-08T02:30", "2026-03-08T05:00"), ["2026-03-08T07:00:00Z 2026-03-08T09:00:00Z"]);
        assert_eq!(new_york("2026-03-08T01:00", "2026-03-08T02:30"), ["2026-03-08T06:00:00Z 2026-03-08T07:00:00Z"]);
        assert_eq!(new_york("2026-03-08T02:10", "2026-03-08T02:50"), [""; 0]);
        assert_eq!(new_york("2026-03-08T00:00", "2026-03-09T00:00"), ["2026-03-08T05:00:00Z 2026-03-09T04:00:00Z"]);
    }

    #[test]
    fn clocks_that_are_set_back_show_times_twice() {
        // On 1 November 2026, 01:30 occurs twice.
        assert_eq!(new_york("2026-11-01T01:00", "2026-11-01T02:00"), ["2026-11-01T05:00:00Z 2026-11-01T07:00:00Z"]);
        assert_eq!(
            new_york("2026-11-01T01:15", "2026-11-01T01:45"),
            ["2026-11-01T05:15:00Z 2026-11-01T05:45:00Z", "2026-11-01T06:15:00Z 2026-11-01T06:45:00Z"]
        );
        assert_eq!(new_york("2026-11-01T00:00", "2026-11-02T00:00"), ["2026-11-01T04:00:00Z 2026-11-02T05:00:00Z"]);
    }
}
