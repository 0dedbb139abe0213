//! The signals that the running agent takes from outside.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::trigger::Trigger;

/// The signals that the running agent takes from outside.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// Stop; the running cycle may finish within the grace period.
    pub stop: CancellationToken,
    /// Stop immediately.
    pub stop_now: CancellationToken,
    /// Read the configuration again.
    pub reload: Arc<Notify>,
    /// Start the next cycle now, for images that were pushed.
    pub trigger: Trigger,
}

impl Signals {
    /// Waits for the signal to stop, and then for the end of the grace period.
    pub(super) async fn grace_is_over(&self, grace: Duration) {
        self.stop.cancelled().await;
        tokio::select! {
            () = self.stop_now.cancelled() => {}
            () = tokio::time::sleep(grace) => {}
        }
    }
}
