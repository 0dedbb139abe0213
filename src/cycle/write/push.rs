//! The push that no race is lost by: what the server reports counts, and where its report got lost, what it has.

use std::time::{Duration, Instant};

use crate::fault::{Explain, Fault};
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;
use crate::repo::push::{Lease, Push};

/// Pushes. When the connection breaks on the way, the server may have taken the commit all the same; so it is asked then.
pub fn confirmed(clone: &BareClone, commit: CommitId, lease: Lease<'_>) -> Result<Push, RepoError> {
    match clone.push(commit, lease) {
        Ok(reported) => Ok(reported),
        Err(error) if error.fault() == Fault::Transient => {
            tracing::warn!(%error, "the push broke off; asking the server what it has");
            match clone.tip_of(lease.branch) {
                Ok(Some(now)) if clone.contains(now, commit) => Ok(Push::Done),
                Ok(now) if now != lease.expected => Ok(Push::LostRace { words: error.to_string() }),
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Waits after a lost race, unless there is no attempt left. `begun` is when this one did.
pub async fn pause(attempt: u32, attempts: u32, begun: Instant) {
    if attempt < attempts {
        tokio::time::sleep(delay(attempt, begun.elapsed(), fastrand::f64())).await;
    }
}

/// How long to wait after a lost race. The first two are followed by another attempt at once: whoever was first has just
/// pushed. Further ones tell of many rivals, whom it helps to spread; the unit is what the attempt took. Against a writer
/// who never rests waiting does not help, so pauses soon grow no more. `random` is from 0 to 1.
fn delay(attempt: u32, took: Duration, random: f64) -> Duration {
    let unit = took.clamp(Duration::from_millis(50), Duration::from_secs(2));
    unit.mul_f64(f64::from(attempt.saturating_sub(2).min(4)) * random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_with_the_attempts_and_with_what_they_take() {
        let second = Duration::from_secs(1);
        assert_eq!(delay(2, second, 1.0), Duration::ZERO);
        assert!(delay(4, second, 0.5) > delay(3, second, 0.5));
        assert!(delay(3, second, 0.5) > delay(3, second / 10, 0.5));
        assert!(delay(3, Duration::ZERO, 0.5) > Duration::ZERO);
        assert!(delay(100, second * 100, 1.0) <= 8 * second);
    }
}
