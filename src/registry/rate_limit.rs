//! How fast one host may be asked: a token bucket, the limits that the host itself announces, and what failures say.
//!
//! Announced limits: `Retry-After` (RFC 9110 section 10.2.3), `RateLimit-Remaining` and `RateLimit-Reset` (IETF draft
//! "RateLimit header fields for HTTP", early and late forms), and Docker Hub's `76;w=21600`, which counts manifests that
//! are pulled and nothing else.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::http::retry_after;

/// The longest that a host's wish to wait is granted within one request.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// As many refusals in a row, and nobody waits for the host any more until its pause is over.
const REFUSALS: u32 = 3;
/// As many requests in a row without an answer, and the host counts as down.
const SILENCES: u32 = 6;
/// How long a host that is down is left alone.
const DOWN: Duration = Duration::from_secs(15);

/// The pace of one host.
#[derive(Debug)]
pub struct RateLimit {
    per_second: f64,
    burst: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests that may be sent at once; below zero are those that wait already.
    tokens: f64,
    /// When the tokens were counted.
    counted: Instant,
    /// Until when nothing is asked, and until when no manifest is pulled.
    paused: Option<Instant>,
    metered: Option<Instant>,
    refusals: u32,
    silences: u32,
}

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// After this time.
    After(Duration),
    /// The host limits us for so long that it is not waited for.
    Limited(Duration),
    /// The host did not answer lately.
    Down,
}

impl RateLimit {
    /// A pace of so many requests a second on average, and so many at once.
    pub fn new(per_second: u32, burst: u32) -> RateLimit {
        let burst = f64::from(burst.max(1));
        let state =
            State { tokens: burst, counted: Instant::now(), paused: None, metered: None, refusals: 0, silences: 0 };
        RateLimit { per_second: f64::from(per_second.max(1)), burst, state: Mutex::new(state) }
    }

    /// Asks for leave to send a request. `metered` ones pull a manifest.
    pub fn take(&self, now: Instant, metered: bool) -> Permit {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let left = |until: Option<Instant>| until.map(|until| until.saturating_duration_since(now)).unwrap_or_default();
        let pause = left(state.paused).max(if metered { left(state.metered) } else { Duration::ZERO });
        if !pause.is_zero() && state.silences >= SILENCES {
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

    /// Learns from an answer.
    pub fn answered(&self, now: Instant, status: StatusCode, headers: &HeaderMap, metered: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.silences = 0;
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
        // What was under way when the first of them was refused tells nothing new.
        if state.paused.is_none_or(|until| until <= now) {
            state.refusals += 1;
        }
        let growing = Duration::from_secs(1 << state.refusals.min(6)) / 2;
        let wait = retry_after(headers).or(announced.map(|announced| announced.wait)).unwrap_or(growing);
        // Docker Hub refuses pulls alone.
        if announced.is_some_and(|announced| announced.pulls_only) && metered {
            state.metered = later(state.metered, now + wait);
        } else {
            state.paused = later(state.paused, now + wait);
        }
    }

    /// Learns that no answer came.
    pub fn silent(&self, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.silences += 1;
        if state.silences >= SILENCES {
            state.paused = later(state.paused, now + DOWN);
        }
    }
}

fn later(one: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(one.map_or(other, |one| one.max(other)))
}

/// What a host says of its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AnnouncedLimit {
    remaining: u64,
    /// How long until there is more.
    wait: Duration,
    /// Whether only pulled manifests count, as on Docker Hub.
    pulls_only: bool,
}

fn announced(headers: &HeaderMap) -> Option<AnnouncedLimit> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(remaining) = text("ratelimit-remaining").or_else(|| text("x-ratelimit-remaining")) {
        let reset = text("ratelimit-reset").and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let window = |text: &str| text.split_once(";w=").and_then(|(_, window)| window.parse::<u64>().ok());
        // Without a word on the reset, a window that slides gives one request back each so often.
        let limit = text("ratelimit-limit").map(|limit| (number(limit), window(limit)));
        let share = match limit {
            Some((Some(count), Some(window))) => Some(Duration::from_secs(window / count.max(1))),
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
        fields.find(|(name, _)| names.contains(name)).and_then(|(_, value)| value.parse::<u64>().ok())
    };
    let wait = Duration::from_secs(field(["reset", "t"]).unwrap_or(1));
    Some(AnnouncedLimit { remaining: field(["remaining", "r"])?, wait, pulls_only: false })
}

/// The digits that a text starts with.
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
            assert_eq!(rate_limit.take(now, false), Permit::After(Duration::ZERO));
        }
        assert_eq!(rate_limit.take(now, false), Permit::After(SECOND / 10));
        assert_eq!(rate_limit.take(now, false), Permit::After(SECOND / 5));
        assert_eq!(rate_limit.take(now + SECOND * 2, false), Permit::After(Duration::ZERO));
    }

    #[test]
    fn a_refusal_pauses_the_whole_host_and_a_storm_is_not_waited_out() {
        let rate_limit = RateLimit::new(100, 100);
        let now = Instant::now();
        let refused = |now, wait| {
            rate_limit.answered(now, StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", wait)]), false)
        };
        refused(now, "5");
        refused(now, "5");
        assert_eq!(rate_limit.take(now, false), Permit::After(SECOND * 5));
        refused(now + SECOND * 5, "5");
        refused(now + SECOND * 10, "5");
        assert_eq!(rate_limit.take(now + SECOND * 10, false), Permit::Limited(SECOND * 5));
        let now = now + SECOND * 16;
        assert_eq!(rate_limit.take(now, false), Permit::After(Duration::ZERO));
        rate_limit.answered(now, StatusCode::OK, &headers(&[]), false);
        refused(now, "3600");
        assert_eq!(rate_limit.take(now, false), Permit::Limited(SECOND * 3600));
    }

    #[test]
    fn what_a_host_announces_is_heeded_before_it_refuses() {
        let now = Instant::now();
        let after = |pairs: &[(&'static str, &str)], metered: bool| {
            let rate_limit = RateLimit::new(100, 100);
            rate_limit.answered(now, StatusCode::OK, &headers(pairs), metered);
            (rate_limit.take(now, false), rate_limit.take(now, true))
        };
        let (go, wait) = (Permit::After(Duration::ZERO), Permit::After(SECOND * 30));
        assert_eq!(after(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "30")], false), (wait, wait));
        assert_eq!(after(&[("ratelimit", "limit=100, remaining=0, reset=30")], false), (wait, wait));
        assert_eq!(after(&[("ratelimit", "\"default\";r=0;t=30")], false), (wait, wait));
        assert_eq!(after(&[("ratelimit", "\"default\";r=9;t=30")], false), (go, go));
        // Docker Hub: a hundred pulls in six hours; asking whether something is there is free.
        let hub = [("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "0;w=21600")];
        assert_eq!(after(&hub, true), (go, Permit::Limited(SECOND * 216)));
        assert_eq!(after(&hub, false), (go, go));
    }

    #[test]
    fn a_host_that_never_answers_is_left_alone_for_a_while() {
        let rate_limit = RateLimit::new(100, 100);
        let now = Instant::now();
        (1..SILENCES).for_each(|_| rate_limit.silent(now));
        assert_eq!(rate_limit.take(now, false), Permit::After(Duration::ZERO));
        rate_limit.silent(now);
        assert_eq!(rate_limit.take(now, false), Permit::Down);
        assert_eq!(rate_limit.take(now + DOWN, false), Permit::After(Duration::ZERO));
        rate_limit.answered(now, StatusCode::OK, &headers(&[]), false);
        rate_limit.silent(now);
        assert_eq!(rate_limit.take(now + DOWN, false), Permit::After(Duration::ZERO));
    }
}
