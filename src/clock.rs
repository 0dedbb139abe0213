//! The current time, limited to what every part of the program can handle.

use std::time::SystemTime;

use jiff::Timestamp;

/// 9000-01-01T00:00:00Z. Timestamps end with the year 9999, and sums of times and durations have to fit as well.
const LATEST: Timestamp = Timestamp::constant(221_845_392_000, 0);

/// Returns the current time. If the clock of the machine is far beyond any time that makes sense, it is the year 9000.
pub fn now() -> Timestamp {
    limited(SystemTime::now())
}

fn limited(now: SystemTime) -> Timestamp {
    Timestamp::try_from(now).unwrap_or(Timestamp::MAX).min(LATEST)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_far_in_the_future_leaves_room_for_sums() {
        let at = |seconds: u64| limited(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(1_775_000_000).as_second(), 1_775_000_000);
        // The years 9001, 9999 and 30000.
        for seconds in [221_900_000_000, 253_402_300_799, 884_000_000_000] {
            assert_eq!(at(seconds).to_string(), "9000-01-01T00:00:00Z");
        }
    }
}
