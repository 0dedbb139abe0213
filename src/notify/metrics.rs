//! Counts events by channel and result.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The metrics of dispatchers. Clones count into the same families, so counts outlive any one dispatcher.
#[derive(Debug, Clone, Default)]
pub struct NotifyMetrics {
    notifications: Family<[(&'static str, String); 2], Counter>,
}

/// The result of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It was delivered.
    Done,
    /// It could not be delivered.
    Failed,
    /// It was dropped, because the channel's queue was full.
    Lost,
}

impl Delivery {
    /// All results.
    pub const ALL: [Delivery; 3] = [Delivery::Done, Delivery::Failed, Delivery::Lost];

    fn label(self) -> &'static str {
        match self {
            Delivery::Done => "done",
            Delivery::Failed => "failed",
            Delivery::Lost => "lost",
        }
    }
}

impl NotifyMetrics {
    /// Registers the families.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Events for channels by result: done, failed, lost";
        registry.register("notifications", help, self.notifications.clone());
    }

    /// Starts to count the events of a channel, from 0.
    pub(super) fn start(&self, channel: &str) {
        Delivery::ALL.into_iter().for_each(|delivery| self.count(channel, delivery, 0));
    }

    /// Counts events of a channel.
    pub fn count(&self, channel: &str, delivery: Delivery, events: usize) {
        let labels = [("channel", channel.to_owned()), ("result", delivery.label().to_owned())];
        self.notifications.get_or_create(&labels).inc_by(events as u64);
    }
}
