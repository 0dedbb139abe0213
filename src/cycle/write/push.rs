//! Pushing so that no race is lost: the server's report counts, or its tip if the report got lost.

use std::time::{Duration, Instant};

use crate::fault::{Explain, Fault};
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;
use crate::repo::push::{Lease, Push};

/// Pushes. If the connection breaks, the server may have accepted the commit anyway, so it is queried for the tip.
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

/// The pauses between attempts, which depend on how much others push in the meantime.
#[derive(Debug, Default)]
pub struct Pauses {
    /// The tip of the previous attempt, and when it started.
    before: Option<(CommitId, Instant)>,
}

impl Pauses {
    /// Waits after an attempt on `tip` that started at `begun` and lost the race, unless it was the last one.
    pub async fn wait(&mut self, attempt: u32, attempts: u32, begun: Instant, clone: &BareClone, tip: CommitId) {
        let took = begun.elapsed();
        // How many commits of others arrive in the time of an attempt.
        let crowd = self.before.map_or(0.0, |(before, since)| {
            clone.landed(before, tip) as f64 * took.as_secs_f64() / (begun - since).as_secs_f64().max(0.001)
        });
        self.before = Some((tip, begun));
        if attempt < attempts {
            tokio::time::sleep(delay(attempt, took, crowd, fastrand::f64())).await;
        }
    }
}

/// With this many commits of others in the time of an attempt there is a crowd, and spreading attempts helps everyone.
const CROWD: f64 = 2.5;

/// Without a crowd, this many attempts follow each other at once.
const AT_ONCE: u32 = 3;

/// Returns how long to wait after a lost race. Against a single writer, who may never pause, waiting does not help, so the
/// next attempt follows at once. In a crowd, pauses grow with the attempts. They also grow after several attempts without
/// a visible crowd, because a slow server hides it. The unit is the time of an attempt. `random` is between 0 and 1.
fn delay(attempt: u32, took: Duration, crowd: f64, random: f64) -> Duration {
    let unit = took.clamp(Duration::from_millis(50), Duration::from_secs(2));
    let step = if crowd >= CROWD { attempt } else { attempt.saturating_sub(AT_ONCE) };
    let grown = if step == 0 { Duration::ZERO } else { unit * 2_u32.pow(step.min(10) - 1) };
    grown.min(Duration::from_secs(20)).mul_f64(0.1 + random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_crowd_the_attempts_and_what_they_take() {
        let second = Duration::from_secs(1);
        assert_eq!(delay(3, second, 1.0, 1.0), Duration::ZERO);
        assert!(delay(1, second, 5.0, 0.5) > Duration::ZERO);
        assert!(delay(2, second, 5.0, 0.5) > delay(1, second, 5.0, 0.5));
        assert!(delay(2, second, 5.0, 0.5) > delay(2, second / 10, 5.0, 0.5));
        assert!(delay(6, second, 1.0, 0.5) > delay(5, second, 1.0, 0.5));
        assert!(delay(5, Duration::ZERO, 1.0, 0.0) > Duration::ZERO);
        assert!(delay(100, second * 100, 5.0, 1.0) <= Duration::from_secs(22));
    }
}
