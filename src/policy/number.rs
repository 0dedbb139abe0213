//! Numbers of any length, compared exactly: a build number of 17 digits does not fit a float.

use std::cmp::Ordering;

/// A decimal number, kept as digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    negative: bool,
    /// Without leading zeros.
    whole: String,
    /// Without trailing zeros.
    fraction: String,
}

impl Number {
    /// Parses `[+-]digits[.digits]`.
    pub fn parse(text: &str) -> Option<Number> {
        let (negative, body) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = body.split_once('.').unwrap_or((body, "0"));
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return None;
        }
        let whole = whole.trim_start_matches('0').to_owned();
        let fraction = fraction.trim_end_matches('0').to_owned();
        let zero = whole.is_empty() && fraction.is_empty();
        Some(Number { negative: negative && !zero, whole, fraction })
    }

    /// Returns a whole number as an integer, if it is small enough.
    pub fn to_i16(&self) -> Option<i16> {
        let whole = if self.whole.is_empty() { "0" } else { self.whole.as_str() };
        let number: i16 = whole.parse().ok().filter(|_| self.fraction.is_empty())?;
        Some(if self.negative { -number } else { number })
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let magnitude = |a: &Number, b: &Number| {
            let whole = a.whole.len().cmp(&b.whole.len()).then_with(|| a.whole.cmp(&b.whole));
            whole.then_with(|| a.fraction.cmp(&b.fraction))
        };
        match (self.negative, other.negative) {
            (false, false) => magnitude(self, other),
            (true, true) => magnitude(other, self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_exactly() {
        let n = |text: &str| Number::parse(text).expect(text);
        assert!(n("20260401123456789") < n("20260401123456790"));
        assert!(n("9") < n("10") && n("1.5") < n("1.50001") && n("-2") < n("-1") && n("-1") < n("0"));
        assert_eq!(n("007"), n("7.0"));
        assert_eq!(n("-0"), n("0"));
        for text in ["", "1e5", "a", "1.", ".5", "1.2.3", "--1"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }
}
