//! Texts that change their meaning when written without quotes.
//!
//! YAML readers differ: what is a string to one (YAML 1.2 core schema, section 10.3.2) is a number, a boolean or a date
//! to another (YAML 1.1 types). A tag is always meant as a string, so it is quoted if any reader would take it for
//! another type.

/// Returns whether any YAML 1.1 or 1.2 reader takes `text`, written plain, for something other than a string.
pub fn is_ambiguous(text: &str) -> bool {
    is_word(text) || is_number(text) || is_sexagesimal(text) || is_date(text)
}

fn is_word(text: &str) -> bool {
    const WORDS: [&str; 12] = ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "<<"];
    let text = text.to_ascii_lowercase();
    WORDS.contains(&text.as_str()) || text == "="
}

/// Matches integers and floats of YAML 1.1 (with `_`, octal, hexadecimal, binary) and 1.2, infinities and NaN.
fn is_number(text: &str) -> bool {
    let text = text.to_ascii_lowercase().replace('_', "");
    let body = text.strip_prefix(['+', '-']).unwrap_or(&text);
    if matches!(body, ".inf" | ".nan") {
        return true;
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = body.strip_prefix(prefix) {
            return !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        }
    }
    let (mantissa, exponent) = match body.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (body, None),
    };
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_is_number = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let exponent_is_number = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    mantissa_is_number && exponent_is_number
}

/// Matches numbers to base 60 of YAML 1.1: `1:30`, `190:20:30.15`.
fn is_sexagesimal(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = body.split(':');
    let first = parts.next().unwrap_or_default();
    let number = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit() || b == b'_' || b == b'.');
    number(first) && body.contains(':') && parts.all(number)
}

/// Matches everything that starts like a date or time of YAML 1.1 (`2026-04-01`, `2026-4-1T10:00:00Z`).
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let (Some(year), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let digits = |t: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit())
    };
    let day = rest.bytes().take_while(u8::is_ascii_digit).count();
    let after = rest.as_bytes().get(day);
    digits(year, 4..=4)
        && digits(month, 1..=2)
        && (1..=2).contains(&day)
        && matches!(after, None | Some(b'T' | b't' | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_need_quotes() {
        for text in [
            "12e4567",
            "1e5",
            "0123",
            "1.10",
            "123456789012",
            "on",
            "0x1f",
            ".5",
            "1_000",
            "2026-04-01",
            "1:30",
            "NO",
            "Null",
            "~",
            "",
            "1",
            "0",
            "1.",
            "+1",
            "0b11",
            "0o17",
            ".inf",
            "1E5",
            "6.8523015e+5",
            "1e-3",
            "y",
            "2026-4-1T10:00:00Z",
            "190:20:30",
        ] {
            assert!(is_ambiguous(text), "{text}");
        }
    }

    #[test]
    fn texts_that_need_none() {
        for text in [
            "1a2b3c4",
            "v1.2.3",
            "1.2.3",
            "latest",
            "1.10-alpine",
            "12e45g7",
            "e5",
            "0xfg",
            "main-1234567",
            "2026.04.01",
            "2026-04-01-abc",
            "2026-04-01_1",
            "1e",
            "on1",
            "nginx:1.10",
            "1.2.3e5",
            "a1e5",
        ] {
            assert!(!is_ambiguous(text), "{text}");
        }
    }
}
