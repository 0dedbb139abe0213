//! Counts in how many consecutive cycles something was seen, so that it is reported once while it lasts.

use std::time::{Duration, Instant};

/// An event is not repeated within this time, however often its cause comes and goes.
pub const QUIET_PERIOD: Duration = Duration::from_secs(3600);

/// The number of consecutive cycles in which something was seen, and the time at which it was reported.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sightings {
    consecutive: u32,
    /// Whether it was reported since it started.
    is_reported: bool,
    reported_at: Option<Instant>,
}

impl Sightings {
    /// Counts another sighting; returns whether to report it now.
    pub fn seen(&mut self, threshold: u32, now: Instant) -> bool {
        self.consecutive = self.consecutive.saturating_add(1);
        let is_quiet = self.is_recent(now);
        if self.is_reported || self.consecutive < threshold || is_quiet {
            return false;
        }
        (self.is_reported, self.reported_at) = (true, Some(now));
        true
    }

    /// Records that it is over; returns whether to report that.
    pub fn over(&mut self) -> bool {
        self.consecutive = 0;
        std::mem::take(&mut self.is_reported)
    }

    /// Returns whether it still has to be remembered: it lasts, or was reported recently.
    pub fn matters(&self, now: Instant) -> bool {
        self.consecutive > 0 || self.is_recent(now)
    }

    fn is_recent(&self, now: Instant) -> bool {
        self.reported_at.is_some_and(|at| now.saturating_duration_since(at) < QUIET_PERIOD)
    }
}
