//! Calendar versions (<https://calver.org>): `2026.04`, `26.4.1`, `2026-04-01.3`, described by a format such as
//! `YYYY.0M.MICRO`.

use std::cmp::Ordering;
use std::fmt;

use jiff::civil::Date;

use super::number::Number;

/// The format of calendar versions, with the names of calver.org: `YYYY`, `YY`, `0Y`, `MM`, `0M`, `WW`, `0W`, `DD`, `0D`,
/// `MAJOR`, `MINOR`, `MICRO`, `MODIFIER`. What is in brackets at the end may be missing: `YYYY.0M.0D[.MICRO]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalverFormat {
    text: String,
    required: Vec<Piece>,
    optional: Vec<Piece>,
}

/// The reason why a format is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid calendar version format: {reason}")]
pub struct CalverError {
    text: String,
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Part(Part),
}

/// A part of a version, in the notation of calver.org.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    FullYear,
    ShortYear,
    PaddedYear,
    Month,
    PaddedMonth,
    Week,
    PaddedWeek,
    Day,
    PaddedDay,
    Major,
    Minor,
    Micro,
    Modifier,
}

use Part::{
    Day, FullYear, Major, Micro, Minor, Modifier, Month, PaddedDay, PaddedMonth, PaddedWeek, PaddedYear, ShortYear,
    Week,
};

/// The names of all parts; a name comes before those that it begins with.
const NAMES: [(&str, Part); 13] = [
    ("YYYY", FullYear),
    ("YY", ShortYear),
    ("0Y", PaddedYear),
    ("MAJOR", Major),
    ("MINOR", Minor),
    ("MICRO", Micro),
    ("MODIFIER", Modifier),
    ("MM", Month),
    ("0M", PaddedMonth),
    ("WW", Week),
    ("0W", PaddedWeek),
    ("DD", Day),
    ("0D", PaddedDay),
];

/// The unit that a part of a date counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Year,
    Month,
    Week,
    Day,
}

/// A calendar version, as the values of its parts. Versions of one format are compared part by part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CalendarVersion(Vec<Value>);

/// The value of a part. The order of the variants puts a missing number before all numbers, and a missing modifier after
/// all modifiers: `2026.04` is older than `2026.04.1` and newer than `2026.04-rc1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Missing,
    Number(Number),
    Modifier(Words),
    Final,
}

/// A modifier such as `rc2`, compared by its words and numbers: `rc2` is older than `rc10`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Words(String);

impl Part {
    fn unit(self) -> Option<Unit> {
        match self {
            FullYear | ShortYear | PaddedYear => Some(Unit::Year),
            Month | PaddedMonth => Some(Unit::Month),
            Week | PaddedWeek => Some(Unit::Week),
            Day | PaddedDay => Some(Unit::Day),
            Major | Minor | Micro | Modifier => None,
        }
    }

    /// Returns whether its length varies, so that it cannot be told from digits right after it.
    fn is_open(self) -> bool {
        !matches!(self, FullYear | PaddedMonth | PaddedWeek | PaddedDay)
    }

    fn name(self) -> &'static str {
        NAMES.iter().find(|(_, part)| *part == self).map_or("", |(name, _)| name)
    }

    /// Returns the number of bytes at the beginning of a text that this part takes.
    fn length_in(self, text: &str) -> usize {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        match self {
            FullYear => 4.min(digits),
            PaddedMonth | PaddedWeek | PaddedDay => 2.min(digits),
            Modifier => text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'.').count(),
            _ => digits,
        }
    }

    /// Returns whether digits are a valid value of this part.
    fn allows(self, digits: &str) -> bool {
        let (length, number) = (digits.len(), digits.parse::<u64>().ok());
        let is_plain = !digits.starts_with('0') || digits == "0";
        let within = |least, most| number.is_some_and(|number| (least..=most).contains(&number));
        match self {
            FullYear => length == 4 && within(1970, 9999),
            ShortYear => is_plain && within(0, 999),
            PaddedYear => (length == 2 || length == 3 && is_plain) && within(0, 999),
            Month => is_plain && within(1, 12),
            PaddedMonth => length == 2 && within(1, 12),
            Week => is_plain && within(0, 53),
            PaddedWeek => length == 2 && within(0, 53),
            Day => is_plain && within(1, 31),
            PaddedDay => length == 2 && within(1, 31),
            Major | Minor | Micro => length > 0,
            Modifier => false,
        }
    }

    fn missing(self) -> Value {
        if self == Modifier { Value::Final } else { Value::Missing }
    }
}

impl CalverFormat {
    /// Parses a format.
    pub fn parse(text: &str) -> Result<CalverFormat, CalverError> {
        let fail = |reason: String| CalverError { text: text.to_owned(), reason };
        let (required, optional) = match text.split_once('[') {
            None => (text, ""),
            Some((required, rest)) => {
                let inner = rest.strip_suffix(']').filter(|inner| !inner.contains(['[', ']']));
                (required, inner.ok_or_else(|| fail("one pair of brackets may enclose the end".to_owned()))?)
            }
        };
        let (required, optional) = (pieces(required).map_err(fail)?, pieces(optional).map_err(fail)?);
        let all: Vec<&Piece> = required.iter().chain(&optional).collect();
        check(&all).map_err(fail)?;
        if !required.iter().any(|piece| matches!(piece, Piece::Part(part) if part.unit() == Some(Unit::Year))) {
            return Err(fail("it needs a year: YYYY, YY or 0Y".to_owned()));
        }
        Ok(CalverFormat { text: text.to_owned(), required, optional })
    }

    /// Returns the format as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads a version; `None` if it does not have this format, or if its date does not exist.
    pub fn read(&self, text: &str) -> Option<CalendarVersion> {
        let mut values = Vec::new();
        let rest = take(&self.required, text, &mut values)?;
        if rest.is_empty() {
            values.extend(parts(&self.optional).map(|part| (part, part.missing())));
        } else if !take(&self.optional, rest, &mut values)?.is_empty() {
            return None;
        }
        is_on_calendar(&values).then(|| CalendarVersion(values.into_iter().map(|(_, value)| value).collect()))
    }
}

impl fmt::Display for CalverFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parts(pieces: &[Piece]) -> impl Iterator<Item = Part> + '_ {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Part(part) => Some(*part),
        Piece::Literal(_) => None,
    })
}

/// Splits a format into names and the text between them. Upper case is for names only, so that a typing error is not
/// taken for text.
fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((name, part)) = NAMES.iter().find(|(name, _)| rest.starts_with(name)) {
            pieces.push(Piece::Part(*part));
            rest = &rest[name.len()..];
            continue;
        }
        if first.is_ascii_uppercase() || !(first.is_ascii_alphanumeric() || matches!(first, '.' | '-' | '_')) {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            return Err(format!("at `{rest}`: expected one of {}, or text in lower case", names.join(", ")));
        }
        match pieces.last_mut() {
            Some(Piece::Literal(literal)) => literal.push(first),
            _ => pieces.push(Piece::Literal(first.to_string())),
        }
        rest = &rest[first.len_utf8()..];
    }
    Ok(pieces)
}

/// Checks that parts are in order, at most once each, and can be told apart.
fn check(pieces: &[&Piece]) -> Result<(), String> {
    let mut last: Option<(Unit, Part)> = None;
    let mut seen: Vec<Part> = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let Piece::Part(part) = piece else { continue };
        if seen.contains(part) {
            return Err(format!("{} occurs twice", part.name()));
        }
        seen.push(*part);
        if let Some(unit) = part.unit() {
            match last {
                None if unit != Unit::Year => return Err(format!("{} needs a year before it", part.name())),
                Some((before, other)) if before >= unit => {
                    return Err(format!(
                        "{} must not come after {}: dates go from year to day",
                        part.name(),
                        other.name()
                    ));
                }
                Some((Unit::Year, _)) if unit == Unit::Day => return Err(format!("{} needs a month", part.name())),
                Some((Unit::Month, _)) if unit == Unit::Week => return Err("use either months or weeks".to_owned()),
                Some((Unit::Week, _)) => return Err("use either weeks or days of a month".to_owned()),
                _ => last = Some((unit, *part)),
            }
        }
        let is_followed_by_digits = match pieces.get(index + 1) {
            Some(Piece::Part(_)) => true,
            Some(Piece::Literal(text)) => text.starts_with(|c: char| c.is_ascii_digit()),
            None => false,
        };
        if part.is_open() && is_followed_by_digits {
            let name = part.name();
            return Err(format!("{name} varies in length, so it must be followed by a separator such as `.`"));
        }
    }
    Ok(())
}

/// Takes pieces from the beginning of a text, and returns the rest.
fn take<'t>(pieces: &[Piece], text: &'t str, values: &mut Vec<(Part, Value)>) -> Option<&'t str> {
    let mut rest = text;
    for piece in pieces {
        let part = match piece {
            Piece::Literal(literal) => {
                rest = rest.strip_prefix(literal.as_str())?;
                continue;
            }
            Piece::Part(part) => *part,
        };
        let (own, after) = rest.split_at(part.length_in(rest));
        let value = match part {
            Modifier if !own.is_empty() => Value::Modifier(Words(own.to_owned())),
            part if part.allows(own) => Value::Number(Number::parse(own)?),
            _ => return None,
        };
        values.push((part, value));
        rest = after;
    }
    Some(rest)
}

/// Returns whether the day of a version, if it has one, exists in its month.
fn is_on_calendar(values: &[(Part, Value)]) -> bool {
    let number = |unit: Unit| {
        let value = values.iter().find(|(part, _)| part.unit() == Some(unit)).map(|(_, value)| value);
        if let Some(Value::Number(number)) = value { number.to_i16() } else { None }
    };
    let (Some(year), Some(month), Some(day)) = (number(Unit::Year), number(Unit::Month), number(Unit::Day)) else {
        return true;
    };
    let year = if year < 1000 { year + 2000 } else { year };
    let (month, day) = (i8::try_from(month), i8::try_from(day));
    month.is_ok_and(|month| day.is_ok_and(|day| Date::new(year, month, day).is_ok()))
}

impl Ord for Words {
    fn cmp(&self, other: &Words) -> Ordering {
        let (mut own, mut others) = (self.0.as_str(), other.0.as_str());
        while !own.is_empty() && !others.is_empty() {
            let ((word, rest), (other_word, other_rest)) = (first_word(own), first_word(others));
            let order = match (Number::parse(word), Number::parse(other_word)) {
                (Some(number), Some(other)) => number.cmp(&other),
                _ => word.cmp(other_word),
            };
            if order.is_ne() {
                return order;
            }
            (own, others) = (rest, other_rest);
        }
        // Equal numbers may be written with different zeros.
        own.len().cmp(&others.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Words {
    fn partial_cmp(&self, other: &Words) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Splits off the digits, or what is not a digit, at the beginning of a text.
fn first_word(text: &str) -> (&str, &str) {
    let is_digit = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(text: &str) -> CalverFormat {
        CalverFormat::parse(text).expect(text)
    }

    /// Asserts that tags have a format and are in ascending order.
    #[track_caller]
    fn ascending(text: &str, tags: &[&str]) {
        let format = format(text);
        let versions: Vec<CalendarVersion> =
            tags.iter().map(|tag| format.read(tag).unwrap_or_else(|| panic!("{tag} is not {text}"))).collect();
        assert!(versions.is_sorted_by(|a, b| a < b), "{text}: {versions:#?}");
    }

    #[test]
    fn versions_are_ordered_by_date_and_build() {
        ascending("YYYY.0M", &["2025.12", "2026.01", "2026.10"]);
        ascending("YYYY.MM.DD", &["2026.4.9", "2026.4.10", "2026.10.1"]);
        ascending("YY.MM.MICRO", &["9.12.40", "26.4.2", "26.4.10", "26.12.0", "106.1.0"]);
        ascending("0Y.0M", &["09.01", "26.04", "106.01"]);
        ascending("YYYY0M0D-MICRO", &["20260401-9", "20260401-10", "20260402-1"]);
        ascending("YYYY.0W", &["2026.09", "2026.10"]);
        ascending("vYYYY.0M.0D[.MICRO]", &["v2026.04.01", "v2026.04.01.0", "v2026.04.01.12", "v2026.04.02"]);
        ascending("YYYY.MM.MICRO[-MODIFIER]", &["2026.4.1-beta9", "2026.4.1-rc2", "2026.4.1-rc10", "2026.4.1"]);
        ascending("YYYY.MICRO", &["2026.98765432109876543209", "2026.98765432109876543210"]);
    }

    #[test]
    fn what_has_another_form_or_no_date_is_refused() {
        for (text, tags) in [
            ("YYYY.0M", &["2026.4", "2026.13", "2026.00", "26.04", "2026.04.1", "2026.04-rc1", "v2026.04", "1.2"][..]),
            ("YYYY.MM.DD", &["2026.04.1", "2026.2.30", "2026.4.31", "2026.4.", "2026.4"]),
            ("YY.MM.MICRO", &["026.4.1", "2026.4.1", "26.4.", "26.4.x"]),
            ("YYYY0M0D", &["2026041", "20260230", "12345678", "202604011"]),
            ("YYYY.0M[-MODIFIER]", &["2026.04-", "2026.04rc1"]),
        ] {
            for tag in tags {
                assert_eq!(format(text).read(tag), None, "{tag} is not {text}");
            }
        }
        assert!(format("YYYY.0M.0D").read("2024.02.29").is_some() && format("YY.MM.DD").read("24.2.29").is_some());
    }

    #[test]
    fn invalid_formats_are_explained() {
        for (text, reason) in [
            ("", "needs a year"),
            ("MAJOR.MINOR", "needs a year"),
            ("[YYYY]", "needs a year"),
            ("MM.YYYY", "MM needs a year before it"),
            ("YYYY.0D.0M", "0D needs a month"),
            ("YYYY.0M.YY", "YY must not come after 0M"),
            ("YYYY.0M.MM", "MM must not come after 0M"),
            ("YYYY.MICRO.MICRO", "MICRO occurs twice"),
            ("YYYYMM0D", "MM varies in length"),
            ("YYYY.MMDD", "MM varies in length"),
            ("YYYY.0W.DD", "use either weeks or days"),
            ("YYYY.0M.0W", "use either months or weeks"),
            ("YYYY.BUILD", "at `BUILD`: expected one of YYYY, YY"),
            ("YYYY.0M[.MICRO", "brackets"),
            ("YYYY.0M[.MICRO].DD", "brackets"),
            ("YYYY/0M", "expected one of"),
        ] {
            let error = CalverFormat::parse(text).expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
