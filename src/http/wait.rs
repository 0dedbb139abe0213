//! How long a server asks to wait, in the forms that servers use. A server is granted minutes, not years: whatever it
//! asks for, it is queried again after that.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The longest wait that a server is granted.
pub const LONGEST: Duration = Duration::from_secs(10 * 60);
/// Numbers from here on are points in time, in seconds since 1970: as waits they would last for decades.
const EPOCH_SECONDS: u64 = 1_000_000_000;
/// Numbers from here on are points in time in milliseconds.
const EPOCH_MILLISECONDS: u64 = 1_000_000_000_000;

/// Parses `Retry-After`, given in seconds, as a date or as a point in time (RFC 9110, section 10.2.3, and what servers
/// send instead).
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let now = crate::clock::now();
    parse(text, now).or_else(|| {
        let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Duration::try_from(at.duration_since(now)).ok().map(|wait| wait.min(LONGEST))
    })
}

/// Parses a wait in seconds, or a point in time in seconds or milliseconds since 1970. Returns `None` for anything else,
/// and for a time that has passed.
pub fn parse(text: &str, now: Timestamp) -> Option<Duration> {
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    if whole.is_empty() || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let now = u64::try_from(now.as_second()).unwrap_or_default();
    // Digits that do not fit are a very large number.
    let seconds = match whole.parse().unwrap_or(u64::MAX) {
        at @ EPOCH_MILLISECONDS.. => (at / 1000).checked_sub(now)?,
        at @ EPOCH_SECONDS.. => at.checked_sub(now)?,
        seconds => seconds,
    };
    Some(Duration::from_secs(seconds).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        let now = Timestamp::from_second(1_800_000_000).expect("a time");
        parse(text, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn numbers_are_seconds_or_points_in_time() {
        assert_eq!((seconds("0"), seconds("30"), seconds("1.5")), (Some(0), Some(30), Some(1)));
        assert_eq!(seconds("1800000045"), Some(45));
        assert_eq!(seconds("1800000045000"), Some(45));
        assert_eq!((seconds("1700000000"), seconds("1000000000")), (None, None), "in the past");
        for text in ["", "-1", "1e9", "soon", "+5", " 5", "0x10"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn no_server_is_granted_more_than_minutes() {
        let longest = Some(LONGEST.as_secs());
        for text in ["3600", "999999999", "4000000000", "18446744073709551615", "99999999999999999999999999999999"] {
            assert_eq!(seconds(text), longest, "{text}");
        }
        let of = |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().expect("a header"))]));
        assert_eq!(of("Fri, 01 Jan 2100 00:00:00 GMT"), Some(LONGEST));
        assert_eq!((of("Thu, 01 Jan 1970 00:00:00 GMT"), of("Fri, 99 Foo 0000 25:61:61 ZZZ")), (None, None));
    }
}
