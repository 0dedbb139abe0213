//! Calendars in iCalendar format (RFC 5545): events of whole days or of some hours, once or recurring.

use std::collections::HashMap;

use icalendar::parser::{Component, Property, read_calendar, unfold};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, SpanRelativeTo, Timestamp, ToSpan};

use super::local;
use super::recurrence::{Recurrence, RecurrenceError};
use super::span::Span;

/// The events of a calendar.
#[derive(Debug, Clone)]
pub struct Calendar {
    events: Vec<Event>,
}

/// An event, with all of its occurrences.
#[derive(Debug, Clone)]
struct Event {
    summary: String,
    start: Start,
    length: SignedDuration,
    recurrence: Recurrence,
}

/// The start of an event.
#[derive(Debug, Clone)]
struct Start {
    civil: DateTime,
    clock: Clock,
}

/// The clock that the times of an event refer to.
#[derive(Debug, Clone)]
enum Clock {
    /// Days, wherever the reader is.
    Days,
    /// The reader's own clock.
    Floating,
    /// The clock of a time zone.
    Zone(TimeZone),
}

/// The error of a calendar that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// It is not an iCalendar file.
    #[error("it is not in iCalendar format (RFC 5545)")]
    Format,
    /// It is too large.
    #[error("it is larger than 1 MiB, or has more than 10,000 events")]
    TooLarge,
    /// An event has no valid start.
    #[error("the event \"{0}\" has no valid start or end")]
    Time(String),
    /// A time zone is unknown.
    #[error("the event \"{event}\" is in the time zone \"{zone}\", which is not a name of the IANA database")]
    Zone {
        /// The summary of the event.
        event: String,
        /// The zone.
        zone: String,
    },
    /// A rule for recurring events cannot be used.
    #[error("the event \"{event}\" recurs in a way that cannot be used: {error}")]
    Recurrence {
        /// The summary of the event.
        event: String,
        /// The error.
        error: RecurrenceError,
    },
}

/// The size up to which files are read.
const LARGEST: usize = 1 << 20;

/// The greatest number of events.
const MOST_EVENTS: usize = 10_000;

/// The depth to which components are nested: an alarm in an event in a calendar, and one more.
const DEEPEST: usize = 4;

impl Calendar {
    /// Reads a calendar.
    pub fn parse(text: &str) -> Result<Calendar, CalendarError> {
        if text.len() > LARGEST {
            return Err(CalendarError::TooLarge);
        }
        let text = unfold(text.trim_start_matches('\u{feff}'));
        if is_nested_too_deeply(&text) || !text.trim_start().starts_with("BEGIN:VCALENDAR") {
            return Err(CalendarError::Format);
        }
        let calendar = read_calendar(&text).map_err(|_| CalendarError::Format)?;
        let components: Vec<&Component<'_>> =
            calendar.components.iter().filter(|component| component.name == "VEVENT").collect();
        if components.len() > MOST_EVENTS {
            return Err(CalendarError::TooLarge);
        }
        // An event that replaces one occurrence of another has its ID, and names the occurrence.
        let mut replaced: HashMap<&str, Vec<&Property<'_>>> = HashMap::new();
        for component in &components {
            if let (Some(id), Some(occurrence)) = (value(component, "UID"), component.find_prop("RECURRENCE-ID")) {
                replaced.entry(id).or_default().push(occurrence);
            }
        }
        let mut events = Vec::with_capacity(components.len());
        for component in components {
            if value(component, "STATUS") == Some("CANCELLED") {
                continue;
            }
            let own = component.find_prop("RECURRENCE-ID").is_none();
            let without = value(component, "UID").filter(|_| own).and_then(|id| replaced.get(id));
            events.push(Event::read(component, without.map_or(&[][..], Vec::as_slice))?);
        }
        Ok(Calendar { events })
    }

    /// Returns the times of all events on the days from `first` to `last` in a time zone, with their summaries.
    pub fn times(&self, zone: &TimeZone, first: Date, last: Date) -> Vec<(Span, &str)> {
        let times = |event: &'_ Event| event.times(zone, first, last);
        self.events
            .iter()
            .flat_map(|event| times(event).into_iter().map(|span| (span, event.summary.as_str())))
            .collect()
    }

    /// Returns the end of the last event, or `None` if there is always another one.
    pub fn end(&self, zone: &TimeZone) -> Option<Timestamp> {
        let mut end = Timestamp::MIN;
        for event in &self.events {
            let last = event.recurrence.last(event.start.civil)?;
            end = event.span(last, zone).into_iter().map(|span| span.end).chain([end]).max()?;
        }
        Some(end)
    }
}

impl Event {
    fn read(component: &Component<'_>, replaced: &[&Property<'_>]) -> Result<Event, CalendarError> {
        let summary = value(component, "SUMMARY").unwrap_or("unnamed").to_owned();
        let wrong = || CalendarError::Time(summary.clone());
        let time = |property: &Property<'_>| Start::read(property, &summary);
        let start = component.find_prop("DTSTART").ok_or_else(wrong).and_then(time)?;
        let length = match (component.find_prop("DTEND"), value(component, "DURATION")) {
            (Some(end), _) => {
                let end = time(end)?;
                start.until(&end).ok_or_else(wrong)?
            }
            (None, Some(duration)) => {
                let span: jiff::Span = duration.parse().map_err(|_| wrong())?;
                span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?
            }
            (None, None) if matches!(start.clock, Clock::Days) => SignedDuration::from_hours(24),
            (None, None) => SignedDuration::ZERO,
        };
        if length.is_negative() {
            return Err(wrong());
        }
        let all = |name: &str| -> Result<Vec<DateTime>, CalendarError> {
            let properties = component.properties.iter().filter(|property| property.name == name);
            let values =
                properties.flat_map(|property| property.val.as_str().split(',').map(move |value| (property, value)));
            values.map(|(property, value)| Ok(start.same_clock(&Start::of(value, property, &summary)?))).collect()
        };
        let mut without = all("EXDATE")?;
        for occurrence in replaced {
            without.push(start.same_clock(&time(occurrence)?));
        }
        let rules: Vec<&str> =
            component.properties.iter().filter(|p| p.name == "RRULE").map(|p| p.val.as_str()).collect();
        let local = |utc: DateTime| start.in_own_clock(utc);
        let recurrence = Recurrence::new(start.civil, &rules, &all("RDATE")?, &without, local)
            .map_err(|error| CalendarError::Recurrence { event: summary.clone(), error })?;
        Ok(Event { summary, start, length, recurrence })
    }

    fn times(&self, zone: &TimeZone, first: Date, last: Date) -> Vec<Span> {
        // The clock of the event may show another day, and an earlier occurrence may last.
        let begin = DateTime::from_parts(first, Time::midnight()).saturating_sub(2.days()).saturating_sub(self.length);
        let end = DateTime::from_parts(last, Time::midnight()).saturating_add(3.days());
        let starts = self.recurrence.between(self.start.civil, begin, end);
        starts.into_iter().flat_map(|start| self.span(start, zone)).collect()
    }

    /// Returns the times of the occurrence that starts at a time of the event's clock.
    fn span(&self, start: DateTime, zone: &TimeZone) -> Vec<Span> {
        match &self.start.clock {
            Clock::Days | Clock::Floating => local::times(zone, start, start.saturating_add(self.length)),
            Clock::Zone(own) => {
                // RFC 5545, section 3.3.5: skipped times have the offset before the change, and of two equal times the
                // first counts.
                let Ok(start) = own.to_timestamp(start) else { return Vec::new() };
                vec![Span { start, end: start.saturating_add(self.length).unwrap_or(Timestamp::MAX) }]
            }
        }
    }
}

impl Start {
    fn read(property: &Property<'_>, event: &str) -> Result<Start, CalendarError> {
        Start::of(property.val.as_str(), property, event)
    }

    /// Reads one of the values of a property.
    fn of(value: &str, property: &Property<'_>, event: &str) -> Result<Start, CalendarError> {
        let wrong = || CalendarError::Time(event.to_owned());
        let value = value.trim();
        if value.len() == 8 {
            let day: Date = value.parse().map_err(|_| wrong())?;
            return Ok(Start { civil: DateTime::from_parts(day, Time::midnight()), clock: Clock::Days });
        }
        let (text, is_utc) = value.strip_suffix('Z').map_or((value, false), |text| (text, true));
        let civil: DateTime = text.parse().map_err(|_| wrong())?;
        let zone = property.params.iter().find(|parameter| parameter.key == "TZID").and_then(|zone| zone.val.as_ref());
        let clock = match zone {
            _ if is_utc => Clock::Zone(TimeZone::UTC),
            None => Clock::Floating,
            Some(name) => {
                let name = name.as_str().trim_matches('"');
                let unknown = || CalendarError::Zone { event: event.to_owned(), zone: name.to_owned() };
                Clock::Zone(time_zone(name).ok_or_else(unknown)?)
            }
        };
        Ok(Start { civil, clock })
    }

    /// Returns the time to the end of an event that starts here.
    fn until(&self, end: &Start) -> Option<SignedDuration> {
        match (&self.clock, &end.clock) {
            (Clock::Zone(zone), Clock::Zone(other)) => {
                let (start, end) = (zone.to_timestamp(self.civil).ok()?, other.to_timestamp(end.civil).ok()?);
                Some(end.duration_since(start))
            }
            (Clock::Days, Clock::Days) | (Clock::Floating, Clock::Floating) => {
                Some(end.civil.duration_since(self.civil))
            }
            _ => None,
        }
    }

    /// Returns what this clock shows at another time.
    fn same_clock(&self, other: &Start) -> DateTime {
        match (&self.clock, &other.clock) {
            (Clock::Zone(zone), Clock::Zone(other_zone)) => {
                other_zone.to_timestamp(other.civil).map_or(other.civil, |at| zone.to_datetime(at))
            }
            _ => other.civil,
        }
    }

    /// Returns what this clock shows at a time in UTC.
    fn in_own_clock(&self, utc: DateTime) -> DateTime {
        self.same_clock(&Start { civil: utc, clock: Clock::Zone(TimeZone::UTC) })
    }
}

/// Returns a time zone by its name; some programs put a path of their own before it.
fn time_zone(name: &str) -> Option<TimeZone> {
    let last_two = name.rmatch_indices('/').nth(1).map(|(at, _)| &name[at + 1..]);
    [Some(name), last_two].into_iter().flatten().find_map(|name| TimeZone::get(name).ok())
}

/// Returns the value of a property.
fn value<'c>(component: &'c Component<'_>, name: &str) -> Option<&'c str> {
    component.find_prop(name).map(|property| property.val.as_str())
}

/// Returns whether components are nested more deeply than calendars need, before the parser follows them.
fn is_nested_too_deeply(text: &str) -> bool {
    let mut depth = 0_usize;
    text.lines().any(|line| {
        let line = line.trim_start().as_bytes();
        let starts = |word: &[u8]| line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        if starts(b"BEGIN:") {
            depth += 1;
        } else if starts(b"END:") {
            depth = depth.saturating_sub(1);
        }
        depth > DEEPEST
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(events: &[&str]) -> Result<Calendar, CalendarError> {
        let events: String = events
            .iter()
            .map(|event| format!("BEGIN:VEVENT\r\n{}\r\nEND:VEVENT\r\n", event.replace('\n', "\r\n")))
            .collect();
        Calendar::parse(&format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//t//EN\r\n{events}END:VCALENDAR\r\n"))
    }

    fn times(events: &[&str], first: &str, last: &str) -> Vec<String> {
        let zone = TimeZone::get("America/New_York").expect("a zone");
        let date = |text: &str| text.parse().expect("a date");
        let calendar = calendar(events).expect("a calendar");
        let mut found = calendar.times(&zone, date(first), date(last));
        let begin = zone.to_timestamp(DateTime::from_parts(date(first), Time::midnight())).expect("a time");
        let end = zone.to_timestamp(DateTime::from_parts(date(last), Time::midnight()) + 1.day()).expect("a time");
        found.retain(|(span, _)| span.start < end && begin < span.end);
        found.sort();
        found.iter().map(|(span, name)| format!("{name} {} {}", span.start, span.end)).collect()
    }

    #[test]
    fn days_and_hours_are_those_of_the_reader_unless_they_name_a_zone() {
        let events = [
            "SUMMARY:Thanksgiving\nDTSTART;VALUE=DATE:20261126",
            "SUMMARY:Early close\nDTSTART;TZID=America/New_York:20261127T130000\nDTEND;TZID=America/New_York:20261127T160000",
            "SUMMARY:Freeze\nDTSTART:20261127T220000Z\nDURATION:PT90M",
            "SUMMARY:Lunch\nDTSTART:20261127T120000\nDTEND:20261127T130000",
        ];
        assert_eq!(
            times(&events, "2026-11-26", "2026-11-27"),
            [
                "Thanksgiving 2026-11-26T05:00:00Z 2026-11-27T05:00:00Z",
                "Lunch 2026-11-27T17:00:00Z 2026-11-27T18:00:00Z",
                "Early close 2026-11-27T18:00:00Z 2026-11-27T21:00:00Z",
                "Freeze 2026-11-27T22:00:00Z 2026-11-27T23:30:00Z",
            ]
        );
    }

    #[test]
    fn events_recur_with_exceptions_and_replacements() {
        let weekly = "UID:1\nSUMMARY:Review\nDTSTART;TZID=America/New_York:20261027T100000\nDTEND;TZID=America/New_York:20261027T110000\n\
                      RRULE:FREQ=WEEKLY;BYDAY=TU;UNTIL=20261124T150000Z\nEXDATE;TZID=America/New_York:20261103T100000";
        let moved = "UID:1\nSUMMARY:Review, later\nRECURRENCE-ID;TZID=America/New_York:20261110T100000\n\
                     DTSTART;TZID=America/New_York:20261110T150000\nDTEND;TZID=America/New_York:20261110T160000";
        // The clocks are set back on 1 November, and the review stays at ten.
        assert_eq!(
            times(&[weekly, moved], "2026-10-01", "2026-12-31"),
            [
                "Review 2026-10-27T14:00:00Z 2026-10-27T15:00:00Z",
                "Review, later 2026-11-10T20:00:00Z 2026-11-10T21:00:00Z",
                "Review 2026-11-17T15:00:00Z 2026-11-17T16:00:00Z",
                "Review 2026-11-24T15:00:00Z 2026-11-24T16:00:00Z",
            ]
        );
    }

    #[test]
    fn yearly_holidays_are_found_far_from_their_start() {
        let thanksgiving = "SUMMARY:Thanksgiving\nDTSTART;VALUE=DATE:19701126\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH";
        assert_eq!(
            times(&[thanksgiving], "2026-01-01", "2027-12-31"),
            [
                "Thanksgiving 2026-11-26T05:00:00Z 2026-11-27T05:00:00Z",
                "Thanksgiving 2027-11-25T05:00:00Z 2027-11-26T05:00:00Z",
            ]
        );
    }

    #[test]
    fn calendars_end_with_their_last_event() {
        let end =
            |events: &[&str]| calendar(events).expect("a calendar").end(&TimeZone::UTC).map(|end| end.to_string());
        let once = "SUMMARY:a\nDTSTART;VALUE=DATE:20270326";
        assert_eq!(end(&[once]).as_deref(), Some("2027-03-27T00:00:00Z"));
        let counted = "SUMMARY:b\nDTSTART;VALUE=DATE:20270326\nRRULE:FREQ=YEARLY;COUNT=3";
        assert_eq!(end(&[once, counted]).as_deref(), Some("2029-03-27T00:00:00Z"));
        let endless = "SUMMARY:c\nDTSTART;VALUE=DATE:20270326\nRRULE:FREQ=YEARLY";
        assert_eq!(end(&[counted, endless]), None);
        assert_eq!(end(&[]), Some(Timestamp::MIN.to_string()));
    }

    #[test]
    fn cancelled_events_do_not_count() {
        let cancelled = "SUMMARY:a\nSTATUS:CANCELLED\nDTSTART;VALUE=DATE:20261126";
        assert_eq!(times(&[cancelled], "2026-11-26", "2026-11-26"), [""; 0]);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let error = |event: &str| calendar(&[event]).expect_err("refused").to_string();
        assert!(error("SUMMARY:a").contains("\"a\" has no valid start"));
        assert!(error("SUMMARY:a\nDTSTART:2026").contains("no valid start"));
        assert!(error("SUMMARY:a\nDTSTART:20261126T100000Z\nDTEND:20261126T090000Z").contains("no valid start or end"));
        let with_path = "SUMMARY:a\nDTSTART;TZID=/example.org/2026/Europe/Berlin:20261126T100000";
        assert!(calendar(&[with_path]).is_ok());
        assert!(error("SUMMARY:a\nDTSTART;TZID=Nowhere:20261126T100000").contains("\"Nowhere\""));
        assert!(error("SUMMARY:a\nDTSTART;VALUE=DATE:20261126\nRRULE:FREQ=SOMETIMES").contains("recurs in a way"));
        assert!(error("SUMMARY:a\nDTSTART:20261126T100000Z\nRRULE:FREQ=SECONDLY").contains("at most daily"));
        assert_eq!(Calendar::parse("hello").expect_err("refused"), CalendarError::Format);
        let nested = "BEGIN:VCALENDAR\r\n".repeat(60_000);
        assert_eq!(Calendar::parse(&nested).expect_err("refused"), CalendarError::Format);
        assert_eq!(Calendar::parse(&"x".repeat(2 << 20)).expect_err("refused"), CalendarError::TooLarge);
    }
}
