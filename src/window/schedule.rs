//! Windows, and when they are open.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::calendar::Calendar;
use super::span::{Span, Spans};
use super::weekly::Weekly;

/// A window as it is configured. Times that no rule covers are open.
#[derive(Debug, Clone)]
pub struct Window {
    /// Its name.
    pub name: String,
    /// The time zone of its rules.
    pub zone: TimeZone,
    /// The periods in which it is closed.
    pub closed: Vec<Weekly>,
    /// A calendar, which overrides those periods.
    pub calendar: Option<CalendarFile>,
    /// How much earlier it closes, so that a rollout finishes in time.
    pub lead: SignedDuration,
}

/// A calendar in the infrastructure repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarFile {
    /// Its path.
    pub path: String,
    /// The meaning of its events.
    pub means: Means,
}

/// The meaning of a calendar's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// The window is open during events, whatever its weekly periods.
    Open,
    /// The window is closed during events.
    Closed,
}

/// A window with its calendar.
#[derive(Debug, Clone)]
pub struct Schedule {
    window: Window,
    calendar: Option<Result<Calendar, String>>,
}

/// The state of a window at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The reason why it is closed.
    pub closed_by: Option<String>,
    /// The rule that opens it, if one does: most of the time no rule applies.
    pub opened_by: Option<String>,
    /// When it opens or closes next, as far as that can be told.
    pub until: Option<Timestamp>,
    /// A problem that people should know about.
    pub warning: Option<String>,
}

/// The time that a calendar should reach ahead.
const CALENDAR_AHEAD: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The number of days in which the next change is searched.
const HORIZON: i32 = 400;

impl Window {
    /// Makes a window that is always open.
    pub fn new(name: &str, zone: TimeZone) -> Window {
        Window { name: name.to_owned(), zone, closed: Vec::new(), calendar: None, lead: SignedDuration::ZERO }
    }
}

impl State {
    /// Returns whether the window is open.
    pub fn is_open(&self) -> bool {
        self.closed_by.is_none()
    }
}

impl Schedule {
    /// Makes a schedule. `calendar` is the text of the window's calendar, or the reason why there is none; a window whose
    /// calendar cannot be read is closed.
    pub fn new(window: Window, calendar: Option<Result<String, String>>) -> Schedule {
        let calendar = calendar.map(|text| Calendar::parse(&text?).map_err(|error| error.to_string()));
        Schedule { window, calendar }
    }

    /// Returns the name of the window.
    pub fn name(&self) -> &str {
        &self.window.name
    }

    /// Returns the time zone of its rules.
    pub fn zone(&self) -> &TimeZone {
        &self.window.zone
    }

    /// Returns the state at some time.
    pub fn state_at(&self, now: Timestamp) -> State {
        let (closed, warning) = match self.usable_until() {
            Err(why) => {
                return State { closed_by: Some(why), opened_by: None, until: None, warning: None };
            }
            Ok(end) => (self.closed(now, end), end.and_then(|end| self.warning(now, end))),
        };
        match closed.at(now) {
            Some(span) => {
                let until = Some(span.end).filter(|end| *end < Timestamp::MAX);
                let closed_by =
                    Some(self.closed_by(now.max(span.start.saturating_add(self.window.lead).unwrap_or(now)), now));
                State { closed_by, opened_by: None, until, warning }
            }
            None => {
                let until = closed.after(now).map(|span| span.start);
                State { closed_by: None, opened_by: self.event_at(now, Means::Open), until, warning }
            }
        }
    }

    /// Returns the next changes after some time, with the states that begin then.
    pub fn changes(&self, from: Timestamp, count: usize) -> Vec<(Timestamp, State)> {
        let mut changes = Vec::new();
        let mut at = from;
        while let Some(next) = self.state_at(at).until.filter(|_| changes.len() < count) {
            changes.push((next, self.state_at(next)));
            at = next;
        }
        changes
    }

    /// Returns the end of the calendar's last event, if it has one, or the reason why the window cannot be used.
    fn usable_until(&self) -> Result<Option<Timestamp>, String> {
        match (&self.window.calendar, &self.calendar) {
            (Some(file), Some(Err(error))) => Err(format!("the calendar {} cannot be used: {error}", file.path)),
            (Some(file), None) => Err(format!("the calendar {} was not read", file.path)),
            (_, Some(Ok(calendar))) => Ok(calendar.end(&self.window.zone)),
            (None, _) => Ok(None),
        }
    }

    fn warning(&self, now: Timestamp, end: Timestamp) -> Option<String> {
        let file = self.window.calendar.as_ref().filter(|_| now < end && end.duration_since(now) < CALENDAR_AHEAD)?;
        let last = end.saturating_sub(SignedDuration::from_secs(1)).unwrap_or(end);
        let (name, day) = (&self.window.name, self.window.zone.to_datetime(last).date());
        Some(format!("the calendar {} has no events after {day}; from then on the window {name} is closed", file.path))
    }

    /// Returns the times at which the window is closed, from a few days before some time to the horizon.
    fn closed(&self, now: Timestamp, calendar_end: Option<Timestamp>) -> Spans {
        let (first, last) = self.days_around(now);
        let Window { zone, closed, calendar, lead, .. } = &self.window;
        let weekly = Spans::of(closed.iter().flat_map(|period| period.times(zone, first, last)));
        let events = self.events(first, last);
        let events = Spans::of(events.into_iter().map(|(span, _)| span));
        let closed = match calendar.as_ref().map(|calendar| calendar.means) {
            Some(Means::Open) => weekly.minus(&events),
            Some(Means::Closed) => weekly.union(&events),
            None => weekly,
        };
        let run_out = calendar_end.map(|start| Span { start, end: Timestamp::MAX });
        let earlier = |span: Span| Span { start: span.start.saturating_sub(*lead).unwrap_or(Timestamp::MIN), ..span };
        Spans::of(closed.iter().chain(run_out).map(earlier))
    }

    /// Returns the rule that closes the window at `at`; or why it is closed at `now` already.
    fn closed_by(&self, at: Timestamp, now: Timestamp) -> String {
        let (first, last) = self.days_around(at);
        let of_week = |at: Timestamp| {
            let mut periods = self.window.closed.iter();
            periods.find(|period| period.times(&self.window.zone, first, last).iter().any(|span| span.contains(at)))
        };
        let rule = self.event_at(at, Means::Closed).or_else(|| of_week(at).map(ToString::to_string));
        match (rule, &self.window.calendar) {
            (Some(rule), _) if at > now => format!("{rule}, and {:#} before", self.window.lead),
            (Some(rule), _) => rule,
            (None, Some(file)) => format!("the calendar {} has no more events", file.path),
            (None, None) => "closed".to_owned(),
        }
    }

    /// Returns the summary of an event at some time, if events have this meaning.
    fn event_at(&self, at: Timestamp, means: Means) -> Option<String> {
        let file = self.window.calendar.as_ref().filter(|file| file.means == means)?;
        let (first, last) = self.days_around(at);
        let events = self.events(first, last.min(first.saturating_add(8.days())));
        let (_, summary) = events.into_iter().find(|(span, _)| span.contains(at))?;
        Some(format!("{summary} ({})", file.path))
    }

    fn events(&self, first: Date, last: Date) -> Vec<(Span, &str)> {
        match &self.calendar {
            Some(Ok(calendar)) => calendar.times(&self.window.zone, first, last),
            _ => Vec::new(),
        }
    }

    fn days_around(&self, now: Timestamp) -> (Date, Date) {
        let today = self.window.zone.to_datetime(now).date();
        (today.saturating_sub(3.days()), today.saturating_add(HORIZON.days()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The days on which the New York Stock Exchange is closed, or closes early.
    const NYSE: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//example//EN\r\n\
        BEGIN:VEVENT\r\nSUMMARY:Thanksgiving\r\nDTSTART;VALUE=DATE:20261126\r\nDTEND;VALUE=DATE:20261127\r\nEND:VEVENT\r\n\
        BEGIN:VEVENT\r\nSUMMARY:Early close\r\nDTSTART;TZID=America/New_York:20261127T130000\r\n\
        DTEND;TZID=America/New_York:20261127T160000\r\nRDATE;TZID=America/New_York:20261224T130000\r\nEND:VEVENT\r\n\
        BEGIN:VEVENT\r\nSUMMARY:Good Friday\r\nDTSTART;VALUE=DATE:20270326\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

    fn new_york() -> TimeZone {
        TimeZone::get("America/New_York").expect("a zone")
    }

    fn market(lead: SignedDuration, calendar: Option<Result<String, String>>) -> Schedule {
        let closed = vec![Weekly::parse("mon-fri", Some("09:30"), Some("16:00")).expect("a period")];
        let file = CalendarFile { path: "calendars/nyse.ics".to_owned(), means: Means::Open };
        let calendar_file = calendar.as_ref().map(|_| file);
        let window =
            Window { closed, calendar: calendar_file, lead, ..Window::new("outside-market-hours", new_york()) };
        Schedule::new(window, calendar)
    }

    fn at(local: &str) -> Timestamp {
        new_york().to_timestamp(local.parse().expect("a local time")).expect("a time")
    }

    fn opens(schedule: &Schedule, local: &str) -> Option<String> {
        let state = schedule.state_at(at(local));
        let until = state.until.map(|until| new_york().to_datetime(until).to_string());
        (!state.is_open()).then(|| until.unwrap_or_default())
    }

    #[test]
    fn holidays_open_the_whole_day_and_early_closes_end_it_early() {
        let schedule = market(SignedDuration::ZERO, Some(Ok(NYSE.to_owned())));
        assert_eq!(opens(&schedule, "2026-11-25T12:00").as_deref(), Some("2026-11-25T16:00:00"));
        assert_eq!(opens(&schedule, "2026-11-25T16:00"), None);
        assert_eq!(opens(&schedule, "2026-11-26T12:00"), None, "Thanksgiving");
        assert_eq!(opens(&schedule, "2026-11-27T12:59").as_deref(), Some("2026-11-27T13:00:00"));
        assert_eq!(opens(&schedule, "2026-11-27T13:00"), None);
        assert_eq!(opens(&schedule, "2026-12-24T10:00").as_deref(), Some("2026-12-24T13:00:00"));
        assert_eq!(opens(&schedule, "2027-03-26T12:00"), None, "Good Friday");
        let thanksgiving = schedule.state_at(at("2026-11-26T12:00"));
        assert_eq!(thanksgiving.opened_by.as_deref(), Some("Thanksgiving (calendars/nyse.ics)"));
        assert_eq!(thanksgiving.until, Some(at("2026-11-27T09:30")));
        assert_eq!(schedule.state_at(at("2026-11-25T12:00")).closed_by.as_deref(), Some("mon-fri 09:30-16:00"));
    }

    #[test]
    fn windows_close_earlier_by_their_lead() {
        let schedule = market(SignedDuration::from_mins(15), None);
        assert_eq!(opens(&schedule, "2026-11-25T09:14"), None);
        assert_eq!(opens(&schedule, "2026-11-25T09:15").as_deref(), Some("2026-11-25T16:00:00"));
        let closed = schedule.state_at(at("2026-11-25T09:20")).closed_by.expect("closed");
        assert!(closed.contains("mon-fri 09:30-16:00, and 15m before"), "{closed}");
    }

    #[test]
    fn a_calendar_that_runs_out_warns_and_then_closes() {
        let schedule = market(SignedDuration::ZERO, Some(Ok(NYSE.to_owned())));
        assert_eq!(schedule.state_at(at("2026-11-28T12:00")).warning, None);
        let warned = schedule.state_at(at("2027-03-13T12:00"));
        assert!(warned.is_open() && warned.warning.is_some_and(|warning| warning.contains("after 2027-03-26")));
        let out = schedule.state_at(at("2027-03-27T12:00"));
        assert_eq!(out.closed_by.as_deref(), Some("the calendar calendars/nyse.ics has no more events"));
        assert_eq!(out.until, None);
    }

    #[test]
    fn a_calendar_that_cannot_be_read_closes() {
        for (calendar, why) in
            [(Ok("hello".to_owned()), "iCalendar"), (Err("it does not exist".to_owned()), "not exist")]
        {
            let state = market(SignedDuration::ZERO, Some(calendar)).state_at(at("2026-11-28T12:00"));
            assert!(state.closed_by.is_some_and(|closed| closed.contains(why)));
        }
    }

    #[test]
    fn calendars_can_close_as_well() {
        let file = CalendarFile { path: "freeze.ics".to_owned(), means: Means::Closed };
        let window = Window { calendar: Some(file), ..Window::new("no-freeze", new_york()) };
        let schedule = Schedule::new(window, Some(Ok(NYSE.to_owned())));
        let state = schedule.state_at(at("2026-11-26T12:00"));
        assert_eq!(state.closed_by.as_deref(), Some("Thanksgiving (freeze.ics)"));
        assert_eq!(state.until, Some(at("2026-11-27T00:00")));
        assert!(schedule.state_at(at("2026-11-27T12:00")).is_open());
    }

    #[test]
    fn changes_follow_each_other() {
        let schedule = market(SignedDuration::ZERO, Some(Ok(NYSE.to_owned())));
        let changes = schedule.changes(at("2026-11-25T12:00"), 4);
        let shown: Vec<(String, bool)> =
            changes.iter().map(|(at, state)| (new_york().to_datetime(*at).to_string(), state.is_open())).collect();
        let expected = [
            ("2026-11-25T16:00:00", true),
            ("2026-11-27T09:30:00", false),
            ("2026-11-27T13:00:00", true),
            ("2026-11-30T09:30:00", false),
        ];
        assert_eq!(shown, expected.map(|(at, open)| (at.to_owned(), open)));
    }

    #[test]
    fn a_period_that_starts_in_a_skipped_hour_starts_after_it() {
        let closed = vec![Weekly::parse("sun", Some("02:30"), Some("05:00")).expect("a period")];
        let schedule = Schedule::new(Window { closed, ..Window::new("night", new_york()) }, None);
        let saturday = schedule.state_at(at("2026-03-07T12:00"));
        assert_eq!(saturday.until, Some("2026-03-08T07:00:00Z".parse().expect("a time")));
    }
}
