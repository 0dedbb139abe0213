//! The choice of the next cycle, and the delay before it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::policy::scope::{Scope, Target};

/// The longest delay after failed cycles, unless the interval itself is longer.
const MAX_BACKOFF: Duration = Duration::from_secs(300);

/// The images that the next cycle checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextCycle {
    /// All images.
    Full,
    /// The images of an event.
    Updated(BTreeSet<Target>),
    /// The images of an event that led to no update, once more.
    Recheck(BTreeSet<Target>),
}

impl NextCycle {
    /// A cycle for the images of an event.
    pub fn of(scope: Scope) -> NextCycle {
        match scope {
            Scope::All => NextCycle::Full,
            Scope::Only(targets) => NextCycle::Updated(targets),
        }
    }

    /// The images that it checks.
    pub fn scope(&self) -> Scope {
        match self {
            NextCycle::Full => Scope::All,
            NextCycle::Updated(targets) | NextCycle::Recheck(targets) => Scope::Only(targets.clone()),
        }
    }
}

/// Returns the delay before the next cycle: the interval, doubled for each consecutive failure up to a few minutes, with
/// 10 % jitter so that many agents do not query a registry in lockstep. `random` is between 0 and 1.
pub fn backoff(interval: Duration, failures: u32, random: f64) -> Duration {
    let grown = interval.saturating_mul(1 << failures.min(16));
    grown.min(MAX_BACKOFF.max(interval)).mul_f64(0.9 + 0.2 * random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_with_failures_up_to_a_few_minutes() {
        let second = Duration::from_secs(1);
        assert_eq!(backoff(second * 30, 0, 0.5), second * 30);
        assert_eq!(backoff(second * 30, 2, 0.5), second * 120);
        assert_eq!(backoff(second * 30, 99, 0.5), MAX_BACKOFF);
        assert_eq!(backoff(second * 3600, 99, 0.5), second * 3600);
        assert!(backoff(second, 0, 0.0) < second && backoff(second, 0, 1.0) > second);
    }
}
