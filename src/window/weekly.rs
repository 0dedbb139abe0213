//! Periods that recur every week, in local time.

use std::fmt;

use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;

use super::local;
use super::span::Span;

/// A period of one or several days of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weekly {
    /// As it was written.
    days_text: String,
    /// Whether it begins on a day, from Monday.
    days: [bool; 7],
    from: Time,
    /// `None` means midnight at the end of the day.
    to: Option<Time>,
}

/// The error of a period that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeeklyError {
    /// The days are invalid.
    #[error("`{0}` is not a list of days; write for example `mon-fri` or `sat, sun`")]
    Days(String),
    /// A time is invalid.
    #[error("`{0}` is not a time of day; write for example \"09:30\", in quotes")]
    Time(String),
    /// The period is empty.
    #[error("`from` and `to` are both {0}; leave both out for whole days")]
    Empty(String),
}

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

impl Weekly {
    /// Reads days such as `mon-fri` or `sat, sun`, and the times at which the period begins and ends on each of them. A
    /// period that ends before it begins lasts until the next day.
    pub fn parse(days: &str, from: Option<&str>, to: Option<&str>) -> Result<Weekly, WeeklyError> {
        let parsed_days = parse_days(days).ok_or_else(|| WeeklyError::Days(days.to_owned()))?;
        let start = from.map(parse_time).transpose()?.unwrap_or(Time::midnight());
        let end = match to {
            None | Some("24:00") => None,
            Some(text) => Some(parse_time(text)?),
        };
        if end == Some(start) {
            return Err(WeeklyError::Empty(start.strftime("%H:%M").to_string()));
        }
        Ok(Weekly { days_text: days.trim().to_owned(), days: parsed_days, from: start, to: end })
    }

    /// Returns the times of the period on the days from `first` to `last`.
    pub(super) fn times(&self, zone: &TimeZone, first: Date, last: Date) -> Vec<Span> {
        let mut found = Vec::new();
        // A period of the day before may last until the first day.
        let mut day = first.checked_sub(1.day()).unwrap_or(first);
        while day <= last {
            if self.days[weekday(day)] {
                let from = DateTime::from_parts(day, self.from);
                found.extend(self.end_on(day).into_iter().flat_map(|to| local::times(zone, from, to)));
            }
            match day.checked_add(1.day()) {
                Ok(next) => day = next,
                Err(_) => break,
            }
        }
        found
    }

    fn end_on(&self, day: Date) -> Option<DateTime> {
        let next = || day.checked_add(1.day()).ok();
        match self.to {
            None => Some(DateTime::from_parts(next()?, Time::midnight())),
            Some(to) if to < self.from => Some(DateTime::from_parts(next()?, to)),
            Some(to) => Some(DateTime::from_parts(day, to)),
        }
    }
}

impl fmt::Display for Weekly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = self.to.map_or_else(|| "24:00".to_owned(), |to| to.strftime("%H:%M").to_string());
        write!(f, "{} {}-{to}", self.days_text, self.from.strftime("%H:%M"))
    }
}

fn weekday(day: Date) -> usize {
    day.weekday().since(Weekday::Monday) as usize
}

/// Reads a list of days and ranges of days; a range may pass the end of the week.
fn parse_days(text: &str) -> Option<[bool; 7]> {
    let day = |text: &str| {
        let text = text.trim().to_ascii_lowercase();
        DAYS.iter().position(|day| text.len() >= 3 && day.starts_with(&text))
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(part)?, day(part)?),
        };
        for offset in 0..=(last + 7 - first) % 7 {
            days[(first + offset) % 7] = true;
        }
    }
    Some(days)
}

fn parse_time(text: &str) -> Result<Time, WeeklyError> {
    let wrong = || WeeklyError::Time(text.to_owned());
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let number = |digits: &str| -> Option<i8> {
        let is_number = matches!(digits.len(), 1 | 2) && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| is_number)
    };
    let (Some(hour), Some(minute), 2) = (number(hour), number(minute), minute.len()) else { return Err(wrong()) };
    Time::new(hour, minute, 0, 0).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(days: &str, from: Option<&str>, to: Option<&str>, first: &str, last: &str) -> Vec<String> {
        let weekly = Weekly::parse(days, from, to).expect("a period");
        let date = |text: &str| text.parse().expect("a date");
        let spans = weekly.times(&TimeZone::UTC, date(first), date(last)).into_iter();
        spans.map(|span| format!("{} {}", &span.start.to_string()[5..16], &span.end.to_string()[5..16])).collect()
    }

    #[test]
    fn periods_recur_on_their_days() {
        // 27 November 2026 is a Friday.
        let hours = times("mon-fri", Some("09:30"), Some("16:00"), "2026-11-27", "2026-11-30");
        assert_eq!(hours, ["11-26T09:30 11-26T16:00", "11-27T09:30 11-27T16:00", "11-30T09:30 11-30T16:00"]);
        let night = times("fri", Some("22:00"), Some("06:00"), "2026-11-28", "2026-11-28");
        assert_eq!(night, ["11-27T22:00 11-28T06:00"]);
        let days = times("sat, sun", None, None, "2026-11-28", "2026-11-29");
        assert_eq!(days, ["11-28T00:00 11-29T00:00", "11-29T00:00 11-30T00:00"]);
        assert_eq!(times("fri-mon", None, None, "2026-11-27", "2026-12-03").len(), 4);
    }

    #[test]
    fn mistakes_are_explained() {
        let error = |days, from, to| Weekly::parse(days, from, to).expect_err("refused").to_string();
        assert!(error("weekdays", None, None).contains("`weekdays` is not a list of days"));
        assert!(error("", None, None).contains("is not a list of days"));
        for time in ["9", "24:01", "12:60", "12:5", "noon", "-1:00"] {
            assert!(error("mon", Some(time), None).contains("is not a time of day"), "{time}");
        }
        assert!(error("mon", Some("09:00"), Some("09:00")).contains("leave both out"));
    }

    #[test]
    fn periods_are_shown_as_written() {
        let shown = |days, from, to| Weekly::parse(days, from, to).expect("a period").to_string();
        assert_eq!(shown("Mon-Fri", Some("9:30"), Some("16:00")), "Mon-Fri 09:30-16:00");
        assert_eq!(shown("sunday", None, None), "sunday 00:00-24:00");
    }
}
