//! The push that no race is lost by: what the server has counts, not what it said.

use std::time::{Duration, Instant};

use crate::fault::{Explain, Fault};
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;
use crate::repo::push::{Lease, Push};

/// Pushes, and asks the server what it has then. When the connection breaks on the way, it may have taken the commit all
/// the same; and when it says that it has, the branch must hold it.
pub fn confirmed(clone: &BareClone, commit: CommitId, lease: Lease<'_>) -> Result<Push, RepoError> {
    match clone.push(commit, lease) {
        Ok(Push::Done) => match clone.tip_of(lease.branch) {
            Ok(Some(now)) if clone.contains(now, commit) => Ok(Push::Done),
            Ok(now) => {
                let now = now.map_or_else(|| "gone".to_owned(), |now| format!("at {now}"));
                let words = format!("the server confirmed the push, but the branch is {now}, which does not hold it");
                Ok(Push::LostRace { words })
            }
            Err(error) => {
                tracing::warn!(%error, "the server confirmed the push, but could not be asked afterwards");
                Ok(Push::Done)
            }
        },
        Ok(lost) => Ok(lost),
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

/// How long to wait after a lost race. The unit is what the attempt took: where many write at once, attempts are slow,
/// and spreading them further apart is what lets each of them through. `random` is from 0 to 1.
fn delay(attempt: u32, took: Duration, random: f64) -> Duration {
    let unit = took.clamp(Duration::from_millis(50), Duration::from_secs(2));
    let grown = unit.mul_f64(2.0_f64.powi(attempt.min(12) as i32 - 1));
    grown.min(Duration::from_secs(20)).mul_f64(0.1 + random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_with_the_attempts_and_with_what_they_take() {
        let second = Duration::from_secs(1);
        assert!(delay(2, second, 0.5) > delay(1, second, 0.5));
        assert!(delay(1, second, 0.5) > delay(1, second / 10, 0.5));
        assert!(delay(100, second * 100, 1.0) <= Duration::from_secs(22));
        assert!(delay(1, Duration::ZERO, 0.0) > Duration::ZERO);
    }
}
