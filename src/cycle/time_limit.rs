//! Work that is abandoned at a time.

use std::time::Instant;

use crate::image::Repository;

/// The time for work on images: none begins after `last_start`, and what is not finished at `end` is abandoned. Either
/// may be unlimited.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimeLimit {
    /// The time after which no work begins.
    pub last_start: Option<Instant>,
    /// The time at which work is abandoned.
    pub end: Option<Instant>,
}

impl TimeLimit {
    /// Returns whether work may begin.
    pub fn may_begin(&self) -> bool {
        self.last_start.is_none_or(|last| Instant::now() < last)
    }

    /// Returns whether work that began at a time and was abandoned at the end had enough time. Otherwise it is not the
    /// registry's fault.
    pub fn was_enough(&self, begun: Instant) -> bool {
        let (Some(last_start), Some(end)) = (self.last_start, self.end) else { return true };
        end.saturating_duration_since(begun) >= end.saturating_duration_since(last_start) * 3 / 2
    }
}

/// Returns what a future returns before a time, or `None`. Without a time it may take as long as it likes.
pub async fn before<T>(end: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match end {
        Some(end) => tokio::time::timeout_at(end.into(), work).await.ok(),
        None => Some(work.await),
    }
}

/// The reason why nothing is known about an image whose registry did not finish in time.
pub fn unfinished(image: &Repository, begun: Instant) -> String {
    let (host, seconds) = (image.host(), begun.elapsed().as_secs());
    format!("{host} did not finish in the time that a cycle has for it ({seconds} s); the next one tries again")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn work_that_began_late_did_not_have_enough_time() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let limit = TimeLimit { last_start: Some(now + second * 2), end: Some(now + second * 3) };
        assert!(limit.was_enough(now) && limit.was_enough(now + second) && !limit.was_enough(now + second * 2));
        assert!(TimeLimit::default().was_enough(now) && TimeLimit::default().may_begin());
    }
}
