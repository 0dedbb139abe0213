//! Counts refused requests. Anybody can send any number of them, so they are not logged one by one.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The time between two log lines about refused requests.
const INTERVAL: Duration = Duration::from_secs(60);

/// The refused requests since the last log line.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<(u64, Option<Instant>)>);

impl Refusals {
    /// Counts a refused request. Returns how many there were since the last log line, if another one is due.
    pub fn count(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        let (count, logged) = &mut *state;
        *count += 1;
        if logged.is_some_and(|at| now.saturating_duration_since(at) < INTERVAL) {
            return None;
        }
        *logged = Some(now);
        Some(std::mem::take(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_is_logged_at_once_and_the_others_are_counted() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        assert_eq!(refusals.count(start), Some(1));
        for second in 1..60 {
            assert_eq!(refusals.count(start + Duration::from_secs(second)), None);
        }
        assert_eq!(refusals.count(start + INTERVAL), Some(60));
        assert_eq!(refusals.count(start + INTERVAL), None);
    }
}
