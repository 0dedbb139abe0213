//! Reads scalars like Go's YAML (v3) and Go's `strconv`. SOPS authenticates plaintext values by their type and value,
//! so `017` counts as 15, `yes` as a string and `2026-04-01` as a time.

/// An integer beyond 64 bits with sign, which SOPS does not support.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an integer that is too large for SOPS")]
pub struct TooLarge;

/// The value of a plain scalar.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolved {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A date or time, as RFC 3339.
    Time(String),
    /// The text itself.
    Text,
}

/// Resolves a plain scalar without tag (go-yaml `resolve.go`).
pub fn resolve(text: &str) -> Result<Resolved, TooLarge> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Resolved::Null,
        "true" | "True" | "TRUE" => Resolved::Bool(true),
        "false" | "False" | "FALSE" => Resolved::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Resolved::Float(f64::NEG_INFINITY),
        _ => match text.as_bytes()[0] {
            b'.' => go_literal(text).and_then(|text| parse_float(&text)).map_or(Resolved::Text, Resolved::Float),
            b'+' | b'-' | b'0'..=b'9' => number_or_time(text)?,
            _ => Resolved::Text,
        },
    })
}

fn number_or_time(text: &str) -> Result<Resolved, TooLarge> {
    if let Some(time) = parse_yaml_time(text) {
        return Ok(Resolved::Time(time));
    }
    let plain = text.replace('_', "");
    match parse_whole(&plain) {
        Some(Whole::Fits(number)) => return Ok(Resolved::Int(number)),
        Some(Whole::Unsigned) => return Err(TooLarge),
        Some(Whole::Beyond) | None => {}
    }
    if is_yaml_float(&plain)
        && let Some(number) = parse_float(&plain)
    {
        return Ok(Resolved::Float(number));
    }
    Ok(Resolved::Text)
}

enum Whole {
    Fits(i64),
    /// Fits 64 bits without sign.
    Unsigned,
    /// Digits, but too many.
    Beyond,
}

/// Go's `ParseInt` with base 0: `0x`, `0o`, `0b` and a leading `0` give the base.
fn parse_whole(text: &str) -> Option<Whole> {
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = body.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let Ok(magnitude) = i128::from_str_radix(digits, radix) else { return Some(Whole::Beyond) };
    let number = if negative { -magnitude } else { magnitude };
    Some(match i64::try_from(number) {
        Ok(number) => Whole::Fits(number),
        // Go's ParseUint takes no sign at all.
        Err(_) if u64::try_from(magnitude).is_ok() && !text.starts_with(['+', '-']) => Whole::Unsigned,
        Err(_) => Whole::Beyond,
    })
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_yaml_float(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa_fits && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
}

/// Removes the `_` that Go allows between digits; `None` if there is one anywhere else.
fn go_literal(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let mut underscores = text.match_indices('_').map(|(at, _)| at);
    underscores.all(|at| digit(at.checked_sub(1)) && digit(Some(at + 1))).then(|| text.replace('_', ""))
}

/// Go's `ParseFloat`, for decimal numbers: `None` if out of range.
pub fn parse_float(text: &str) -> Option<f64> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    if body.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
        return match body.to_ascii_lowercase().as_str() {
            "inf" | "infinity" => Some(sign * f64::INFINITY),
            "nan" if body == text => Some(f64::NAN),
            _ => None,
        };
    }
    is_yaml_float(text).then(|| text.parse::<f64>().ok()).flatten().filter(|number| number.is_finite())
}

/// Go's `Atoi`: decimal digits with an optional sign.
pub fn parse_decimal(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    decimal.then(|| text.parse().ok()).flatten()
}

/// Go's `ParseBool`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Go's `FormatFloat(number, 'f', -1, 64)`: the shortest digits that read back, without exponent.
pub fn write_float(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        number.to_string()
    }
}

/// Parses the four forms of times that Go's YAML reads, to RFC 3339.
fn parse_yaml_time(text: &str) -> Option<String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits != 4 || text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    let mut clock = Clock { rest: text };
    let date = clock.date(1)?;
    let separator = clock.rest.chars().next();
    match separator {
        None => Some(format!("{date}T00:00:00Z")),
        Some('T' | 't') => {
            clock.rest = &clock.rest[1..];
            let time = clock.time(1)?;
            let zone = clock.zone()?;
            clock.rest.is_empty().then(|| format!("{date}T{time}{zone}"))
        }
        Some(' ') => {
            clock.rest = &clock.rest[1..];
            let time = clock.time(1)?;
            clock.rest.is_empty().then(|| format!("{date}T{time}Z"))
        }
        Some(_) => None,
    }
}

/// Parses an RFC 3339 time and returns it in Go's spelling; `None` if it is not valid.
pub fn parse_rfc3339(text: &str) -> Option<String> {
    let mut clock = Clock { rest: text };
    let date = clock.date(2)?;
    clock.rest = clock.rest.strip_prefix('T')?;
    let time = clock.time(2)?;
    let zone = clock.zone()?;
    clock.rest.is_empty().then(|| format!("{date}T{time}{zone}"))
}

/// A reader of dates and times.
struct Clock<'a> {
    rest: &'a str,
}

impl Clock<'_> {
    /// Reads a number of `least` to `most` digits.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let digits = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        (digits >= least).then(|| number.parse().ok()).flatten()
    }

    fn expect(&mut self, c: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(c)?;
        Some(())
    }

    fn date(&mut self, least: usize) -> Option<String> {
        let year = self.number(4, 4)?;
        self.expect('-')?;
        let month = self.number(least, 2)?;
        self.expect('-')?;
        let day = self.number(least, 2)?;
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            1..=12 => 31,
            _ => return None,
        };
        (1..=days).contains(&day).then(|| format!("{year:04}-{month:02}-{day:02}"))
    }

    /// Reads hours, minutes, seconds and an optional fraction, to the nanosecond.
    fn time(&mut self, least: usize) -> Option<String> {
        let hour = self.number(least, 2)?;
        self.expect(':')?;
        let minute = self.number(least, 2)?;
        self.expect(':')?;
        let second = self.number(least, 2)?;
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let mut fraction = String::new();
        if let Some(rest) = self.rest.strip_prefix(['.', ',']) {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits > 0 {
                fraction = rest[..digits.min(9)].trim_end_matches('0').to_owned();
                self.rest = &rest[digits..];
            }
        }
        let point = if fraction.is_empty() { "" } else { "." };
        Some(format!("{hour:02}:{minute:02}:{second:02}{point}{fraction}"))
    }

    fn zone(&mut self) -> Option<String> {
        if self.expect('Z').is_some() {
            return Some("Z".to_owned());
        }
        let sign = self.rest.chars().next().filter(|c| matches!(c, '+' | '-'))?;
        self.expect(sign)?;
        let hour = self.number(2, 2)?;
        self.expect(':')?;
        let minute = self.number(2, 2)?;
        if hour > 23 || minute > 59 {
            return None;
        }
        Some(if hour == 0 && minute == 0 { "Z".to_owned() } else { format!("{sign}{hour:02}:{minute:02}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match resolve(text) {
            Ok(Resolved::Null) => "null".to_owned(),
            Ok(Resolved::Bool(value)) => format!("bool {value}"),
            Ok(Resolved::Int(value)) => format!("int {value}"),
            Ok(Resolved::Float(value)) => format!("float {}", write_float(value)),
            Ok(Resolved::Time(value)) => format!("time {value}"),
            Ok(Resolved::Text) => "text".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// The values that Go's YAML v3 reads in the same texts.
    #[test]
    fn plain_scalars_are_typed_as_go_types_them() {
        for (text, expected) in [
            ("017", "int 15"),
            ("0o17", "int 15"),
            ("-0b11", "int -3"),
            ("0x1F", "int 31"),
            ("08", "float 8"),
            ("1_000", "int 1000"),
            ("+5", "int 5"),
            ("-", "text"),
            ("1e5", "float 100000"),
            ("1.50", "float 1.5"),
            (".5", "float 0.5"),
            (".5_0", "float 0.5"),
            ("._5", "text"),
            ("+0o7", "int 7"),
            ("-0", "int 0"),
            ("-0.0", "float -0"),
            ("18446744073709551616", "float 18446744073709552000"),
            ("0x1p4", "text"),
            ("2026-4-1T1:2:3,5Z", "time 2026-04-01T01:02:03.5Z"),
            ("2026-04-01T10:00:00-25:00", "text"),
            ("NaN", "text"),
            ("-.5", "float -0.5"),
            ("1e999", "text"),
            ("1e-7", "float 0.0000001"),
            (".inf", "float +Inf"),
            ("-.INF", "float -Inf"),
            (".nan", "float NaN"),
            ("yes", "text"),
            ("True", "bool true"),
            ("tRUE", "text"),
            ("~", "null"),
            ("9223372036854775807", "int 9223372036854775807"),
            ("9223372036854775808", "an integer that is too large for SOPS"),
            ("-9223372036854775809", "float -9223372036854776000"),
            ("99999999999999999999", "float 100000000000000000000"),
            ("2026-04-01", "time 2026-04-01T00:00:00Z"),
            ("2026-4-1T1:2:3.120Z", "time 2026-04-01T01:02:03.12Z"),
            ("2026-04-01t10:00:00+02:00", "time 2026-04-01T10:00:00+02:00"),
            ("2026-04-01 10:00:00", "time 2026-04-01T10:00:00Z"),
            ("2026-04-01T10:00:00+00:00", "time 2026-04-01T10:00:00Z"),
            ("2026-02-30", "text"),
            ("2026-04-01T10:00", "text"),
            ("1:30", "text"),
            ("<<", "text"),
            ("1a2b3c4", "text"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn decrypted_texts_are_read_as_go_reads_them() {
        assert_eq!(parse_decimal("+7"), Some(7));
        assert_eq!(parse_decimal("0x7"), None);
        assert_eq!(parse_bool("t"), Some(true));
        assert_eq!(parse_bool("yes"), None);
        assert_eq!(parse_float("+Inf"), Some(f64::INFINITY));
        assert_eq!(parse_rfc3339("2026-04-01T10:00:00.000Z").as_deref(), Some("2026-04-01T10:00:00Z"));
        assert_eq!(parse_rfc3339("2026-04-01 10:00:00Z"), None);
    }
}
