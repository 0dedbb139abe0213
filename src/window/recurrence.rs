//! The occurrences of an event, computed as if its clock were UTC, so that they keep their local time when clocks change.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rrule::RRuleSet;

/// When an event recurs.
#[derive(Debug, Clone)]
pub(super) struct Recurrence {
    /// The rules; none if the event happens once.
    set: Option<RRuleSet>,
    /// True if it recurs for ever.
    is_endless: bool,
}

/// The error of rules that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecurrenceError {
    /// The rule is invalid.
    #[error("{0}")]
    Invalid(String),
    /// It recurs more often than windows need.
    #[error("events may recur at most daily")]
    TooOften,
}

/// The greatest number of occurrences that are computed.
const MOST: u16 = 10_000;

impl Recurrence {
    /// Reads rules, further dates and exceptions. `local` returns what the clock of the event shows at a time in UTC.
    pub(super) fn new(
        start: DateTime,
        rules: &[&str],
        further: &[DateTime],
        without: &[DateTime],
        local: impl Fn(DateTime) -> DateTime,
    ) -> Result<Recurrence, RecurrenceError> {
        if rules.is_empty() && further.is_empty() && without.is_empty() {
            return Ok(Recurrence { set: None, is_endless: false });
        }
        let mut text = format!("DTSTART:{}", written(start));
        let mut is_endless = false;
        for rule in rules {
            let rule = rule.to_ascii_uppercase();
            let mut parts: Vec<String> = rule.split(';').map(str::to_owned).collect();
            if ["SECONDLY", "MINUTELY", "HOURLY"].iter().any(|often| parts.contains(&format!("FREQ={often}"))) {
                return Err(RecurrenceError::TooOften);
            }
            is_endless |= !parts.iter().any(|part| part.starts_with("COUNT=") || part.starts_with("UNTIL="));
            for part in &mut parts {
                if let Some(until) = part.strip_prefix("UNTIL=") {
                    *part = format!("UNTIL={}", written(parse_until(until, &local)?));
                }
            }
            text.push_str(&format!("\nRRULE:{}", parts.join(";")));
        }
        for (name, times) in [("RDATE", further), ("EXDATE", without)] {
            times.iter().for_each(|time| text.push_str(&format!("\n{name}:{}", written(*time))));
        }
        if rules.is_empty() {
            // Without a rule, the start is an occurrence like the further dates.
            text.push_str(&format!("\nRDATE:{}", written(start)));
        }
        let set = text.parse().map_err(|error: rrule::RRuleError| RecurrenceError::Invalid(error.to_string()))?;
        Ok(Recurrence { set: Some(set), is_endless })
    }

    /// Returns the starts of the occurrences between two times of the event's clock.
    pub(super) fn between(&self, start: DateTime, begin: DateTime, end: DateTime) -> Vec<DateTime> {
        let Some(set) = &self.set else {
            return Vec::from_iter((begin <= start && start <= end).then_some(start));
        };
        let (Some(begin), Some(end)) = (chrono_time(begin), chrono_time(end)) else { return Vec::new() };
        set.clone().after(begin).before(end).all(MOST).dates.iter().filter_map(civil_time).collect()
    }

    /// Returns the start of the last occurrence, or `None` if there is always another one.
    pub(super) fn last(&self, start: DateTime) -> Option<DateTime> {
        match &self.set {
            _ if self.is_endless => None,
            None => Some(start),
            Some(set) => Some(set.clone().all(MOST).dates.iter().filter_map(civil_time).max().unwrap_or(start)),
        }
    }
}

/// Reads the end of a rule: a day, a time of the event's clock, or a time in UTC.
fn parse_until(text: &str, local: &impl Fn(DateTime) -> DateTime) -> Result<DateTime, RecurrenceError> {
    let wrong = || RecurrenceError::Invalid(format!("`UNTIL={text}` is not a time"));
    if let Some(utc) = text.strip_suffix('Z') {
        return Ok(local(utc.parse().map_err(|_| wrong())?));
    }
    let until: DateTime = text.parse().map_err(|_| wrong())?;
    // A day includes its last second.
    Ok(if text.len() == 8 { until.date().at(23, 59, 59, 0) } else { until })
}

fn written(time: DateTime) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn chrono_time(time: DateTime) -> Option<chrono::DateTime<rrule::Tz>> {
    let second = TimeZone::UTC.to_timestamp(time).ok()?.as_second();
    Some(chrono::DateTime::from_timestamp(second, 0)?.with_timezone(&rrule::Tz::UTC))
}

fn civil_time(time: &chrono::DateTime<rrule::Tz>) -> Option<DateTime> {
    Some(TimeZone::UTC.to_datetime(jiff::Timestamp::from_second(time.timestamp()).ok()?))
}
