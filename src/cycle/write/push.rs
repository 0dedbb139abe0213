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

/// Waits between attempts, by how many others push meanwhile.
#[derive(Debug, Default)]
pub struct Pauses {
    /// The tip of the attempt before, and when that began.
    before: Option<(CommitId, Instant)>,
}

impl Pauses {
    /// Waits after a race for `tip` that was lost, unless there is no attempt left. `begun` is when this one did.
    pub async fn wait(&mut self, attempt: u32, attempts: u32, begun: Instant, clone: &BareClone, tip: CommitId) {
        let took = begun.elapsed();
        // As many pushes of others fall into the time that an attempt takes.
        let crowd = self.before.map_or(0.0, |(before, since)| {
            clone.landed(before, tip) as f64 * took.as_secs_f64() / (begun - since).as_secs_f64().max(0.001)
        });
        self.before = Some((tip, begun));
        if attempt < attempts {
            tokio::time::sleep(delay(attempt, took, crowd, fastrand::f64())).await;
        }
    }
}

/// So many pushes of others in the time of an attempt are a crowd, where it helps all to spread attempts.
const CROWD: f64 = 2.5;

/// In no crowd, as many attempts follow each other at once.
const AT_ONCE: u32 = 3;

/// How long to wait after a lost race. Against a single writer, who may never rest, waiting does not help: the next
/// attempt follows at once. In a crowd pauses grow with the attempts, and so they do late in any case, for a crowd does not
/// show at a slow server. The unit is what an attempt takes. `random` is from 0 to 1.
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
