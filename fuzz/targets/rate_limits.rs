//! Announced rate limits, one `name: value` header per line after a line with the status: whatever a host announces, a
//! request that is let through waits no more than a minute, and the host is asked again.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tagalong::http::wait;
use tagalong::registry::rate_limit::{Permit, RateLimit};

const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub fn run(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let status = lines.next().and_then(|line| StatusCode::from_bytes(line.get(..3)?).ok()).unwrap_or_default();
    let headers: HeaderMap = lines.filter_map(header).collect();
    assert!(wait::retry_after(&headers).is_none_or(|wait| wait <= wait::LONGEST));
    for is_metered in [false, true] {
        let rate_limit = RateLimit::new(10, 10);
        let mut now = Instant::now();
        for _ in 0..8 {
            rate_limit.response(now, status, &headers, is_metered);
            for is_metered in [false, true] {
                match rate_limit.acquire(now, is_metered) {
                    Permit::After(wait) => assert!(wait <= LONGEST_WAIT, "{wait:?}"),
                    Permit::Limited(wait) => assert!(wait <= wait::LONGEST, "{wait:?}"),
                    Permit::Down => panic!("it responded"),
                }
            }
            now += Duration::from_secs(1);
        }
        now += wait::LONGEST + LONGEST_WAIT;
        assert_eq!(rate_limit.acquire(now, is_metered), Permit::After(Duration::ZERO));
    }
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
}
