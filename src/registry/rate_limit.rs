//! Limits the rate of requests to one host: by a token bucket, by the limits that the host announces, and after
//! failures.
//!
//! Announced limits: `Retry-After` (RFC 9110 section 10.2.3), `RateLimit-Remaining` and `RateLimit-Reset` (IETF draft
//! "RateLimit header fields for HTTP", early and late forms), and Docker Hub's `76;w=21600`, which counts only pulled
//! manifests. All of them are capped ([`wait::LONGEST`]): a host that asks for more is queried again after that.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::http::wait::{self, retry_after};

/// The longest pause that a request waits for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After this many consecutive refusals, requests fail instead of waiting for a pause to end.
const REFUSALS: u32 = 3;
/// After this many consecutive requests without a response, the host is considered down.
const NO_RESPONSES: u32 = 6;
/// The pause of requests to a host that is down.
const DOWN: Duration = Duration::from_secs(15);

/// The rate limit of one host.
#[derive(Debug)]
pub struct RateLimit {
    per_second: f64,
    burst: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The number of requests that may be sent at once; negative while requests are waiting.
    tokens: f64,
    /// When `tokens` was updated.
    counted: Instant,
    /// The end of the pause for all requests, and of that for pulling manifests.
    paused: Option<Instant>,
    metered: Option<Instant>,
    refusals: u32,
    no_responses: u32,
}

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// It may be sent after this time.
    After(Duration),
    /// It may not be sent: the host limits us for too long to wait.
    Limited(Duration),
    /// It may not be sent: the host is down.
    Down,
}

impl RateLimit {
    /// Allows this many requests per second on average, and `burst` at once.
    pub fn new(per_second: u32, burst: u32) -> RateLimit {
        let burst = f64::from(burst.max(1));
        let state =
            State { tokens: burst, counted: Instant::now(), paused: None, metered: None, refusals: 0, no_responses: 0 };
        RateLimit { per_second: f64::from(per_second.max(1)), burst, state: Mutex::new(state) }
    }

    /// Acquires a permit for a request. `metered` requests pull a manifest.
    pub fn acquire(&self, now: Instant, metered: bool) -> Permit {
        let mut state = self.state.lock();
        let state = &mut *state;
        let left = |until: Option<Instant>| until.map(|until| until.saturating_duration_since(now)).unwrap_or_default();
        let pause = left(state.paused).max(if metered { left(state.metered) } else { Duration::ZERO });
        if !pause.is_zero() && state.no_responses >= NO_RESPONSES {
            return Permit::Down;
        }
        if pause > LONGEST_WAIT || (!pause.is_zero() && state.refusals >= REFUSALS) {
            return Permit::Limited(pause);
        }
        let since = now.saturating_duration_since(state.counted).as_secs_f64();
        state.tokens = (state.tokens + since * self.per_second).min(self.burst) - 1.0;
        state.counted = now;
        let debt = (-state.tokens).max(0.0) / self.per_second;
        Permit::After(pause.max(Duration::from_secs_f64(debt)))
    }

    /// Updates the limit from a response.
    pub fn response(&self, now: Instant, status: StatusCode, headers: &HeaderMap, metered: bool) {
        let mut state = self.state.lock();
        state.no_responses = 0;
        let announced = announced(headers);
        if status != StatusCode::TOO_MANY_REQUESTS {
            state.refusals = 0;
            match announced {
                Some(AnnouncedLimit { remaining: 0, wait, .. }) if metered => {
                    state.metered = later(state.metered, now + wait)
                }
                Some(AnnouncedLimit { remaining: 0, wait, pulls_only: false }) => {
                    state.paused = later(state.paused, now + wait);
                }
                _ => {}
            }
            return;
        }
        // Responses to requests sent before the first refusal add no information.
        if state.paused.is_none_or(|until| until <= now) {
            state.refusals += 1;
        }
        let growing = Duration::from_secs(1 << state.refusals.min(6)) / 2;
        let wait = retry_after(headers).or(announced.map(|announced| announced.wait)).unwrap_or(growing);
        // Docker Hub refuses only pulls.
        if announced.is_some_and(|announced| announced.pulls_only) && metered {
            state.metered = later(state.metered, now + wait);
        } else {
            state.paused = later(state.paused, now + wait);
        }
    }

    /// Updates the limit after a request without a response.
    pub fn no_response(&self, now: Instant) {
        let mut state = self.state.lock();
        state.no_responses += 1;
        if state.no_responses >= NO_RESPONSES {
            state.paused = later(state.paused, now + DOWN);
        }
    }
}

fn later(one: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(one.map_or(other, |one| one.max(other)))
}

/// The limit that a host announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AnnouncedLimit {
    remaining: u64,
    /// The time until more requests are allowed.
    wait: Duration,
    /// Whether only pulled manifests count, as on Docker Hub.
    pulls_only: bool,
}

fn announced(headers: &HeaderMap) -> Option<AnnouncedLimit> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(remaining) = text("ratelimit-remaining").or_else(|| text("x-ratelimit-remaining")) {
        let reset = text("ratelimit-reset").or_else(|| text("x-ratelimit-reset"));
        let reset = reset.and_then(|text| wait::parse(text, crate::clock::now()));
        let window = |text: &str| text.split_once(";w=").and_then(|(_, window)| window.parse::<u64>().ok());
        // Without a reset time, a sliding window returns one request at regular intervals.
        let limit = text("ratelimit-limit").map(|limit| (number(limit), window(limit)));
        let share = match limit {
            Some((Some(count), Some(window))) => Some(Duration::from_secs(window / count.max(1)).min(wait::LONGEST)),
            _ => None,
        };
        let pulls_only = window(remaining).is_some() || matches!(limit, Some((_, Some(_))));
        let wait = reset.or(share).unwrap_or(Duration::from_secs(1));
        return Some(AnnouncedLimit { remaining: number(remaining)?, wait, pulls_only });
    }
    // `limit=100, remaining=0, reset=30`, later `"default";r=0;t=30`.
    let fields = text("ratelimit")?;
    let field = |names: [&str; 2]| {
        let mut fields = fields.split([',', ';']).filter_map(|field| field.trim().split_once('='));
        fields.find(|(name, _)| names.contains(name)).map(|(_, value)| value)
    };
    let wait = field(["reset", "t"]).and_then(|text| wait::parse(text, crate::clock::now()));
    let remaining = field(["remaining", "r"])?.parse().ok()?;
    Some(AnnouncedLimit { remaining, wait: wait.unwrap_or(Duration::from_secs(1)), pulls_only: false })
}

/// The number that a text starts with.
fn number(text: &str) -> Option<u64> {
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_is_free_and_then_requests_are_spread() {
        let rate_limit = RateLimit::new(10, 3);
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(rate_limit.acquire(now, false), Permit::After(Duration::ZERO));
        }
        assert_eq!(rate_limit.acquire(now, false), Permit::After(SECOND / 10));
        assert_eq!(rate_limit.acquire(now, false), Permit::After(SECOND / 5));
        assert_eq!(rate_limit.acquire(now + SECOND * 2, false), Permit::After(Duration::ZERO));
    }

    #[test]
    fn a_refusal_pauses_the_whole_host_and_repeated_ones_fail_requests() {
        let rate_limit = RateLimit::new(100, 100);
        let now = Instant::now();
        let refused = |now, wait| {
            rate_limit.response(now, StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", wait)]), false)
        };
        refused(now, "5");
        refused(now, "5");
        assert_eq!(rate_limit.acquire(now, false), Permit::After(SECOND * 5));
        refused(now + SECOND * 5, "5");
        refused(now + SECOND * 10, "5");
        assert_eq!(rate_limit.acquire(now + SECOND * 10, false), Permit::Limited(SECOND * 5));
        let now = now + SECOND * 16;
        assert_eq!(rate_limit.acquire(now, false), Permit::After(Duration::ZERO));
        rate_limit.response(now, StatusCode::OK, &headers(&[]), false);
        refused(now, "3600");
        assert_eq!(rate_limit.acquire(now, false), Permit::Limited(wait::LONGEST));
    }

    #[test]
    fn announced_limits_are_respected_before_a_refusal() {
        let now = Instant::now();
        let after = |pairs: &[(&'static str, &str)], metered: bool| {
            let rate_limit = RateLimit::new(100, 100);
            rate_limit.response(now, StatusCode::OK, &headers(pairs), metered);
            (rate_limit.acquire(now, false), rate_limit.acquire(now, true))
        };
        let (go, wait) = (Permit::After(Duration::ZERO), Permit::After(SECOND * 30));
        assert_eq!(after(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "30")], false), (wait, wait));
        assert_eq!(after(&[("ratelimit", "limit=100, remaining=0, reset=30")], false), (wait, wait));
        assert_eq!(after(&[("ratelimit", "\"default\";r=0;t=30")], false), (wait, wait));
        assert_eq!(after(&[("ratelimit", "\"default\";r=9;t=30")], false), (go, go));
        // However long the wait, in whatever form, the host is queried again within minutes.
        let limited = Permit::Limited(wait::LONGEST);
        for reset in ["18446744073709551615", "99999999999999999999", "4000000000", "4000000000000"] {
            assert_eq!(after(&[("ratelimit-remaining", "0"), ("ratelimit-reset", reset)], false), (limited, limited));
            assert_eq!(after(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset)], false).0, limited);
            assert_eq!(after(&[("ratelimit", &format!("remaining=0, reset={reset}"))], false), (limited, limited));
        }
        let window = [("ratelimit-limit", "1;w=18446744073709551615"), ("ratelimit-remaining", "0")];
        assert_eq!(after(&window, true).1, limited);
        // Docker Hub: a hundred pulls in six hours; HEAD requests are free.
        let hub = [("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "0;w=21600")];
        assert_eq!(after(&hub, true), (go, Permit::Limited(SECOND * 216)));
        assert_eq!(after(&hub, false), (go, go));
    }

    #[test]
    fn requests_to_a_host_that_is_down_are_paused() {
        let rate_limit = RateLimit::new(100, 100);
        let now = Instant::now();
        (1..NO_RESPONSES).for_each(|_| rate_limit.no_response(now));
        assert_eq!(rate_limit.acquire(now, false), Permit::After(Duration::ZERO));
        rate_limit.no_response(now);
        assert_eq!(rate_limit.acquire(now, false), Permit::Down);
        assert_eq!(rate_limit.acquire(now + DOWN, false), Permit::After(Duration::ZERO));
        rate_limit.response(now, StatusCode::OK, &headers(&[]), false);
        rate_limit.no_response(now);
        assert_eq!(rate_limit.acquire(now + DOWN, false), Permit::After(Duration::ZERO));
    }
}
