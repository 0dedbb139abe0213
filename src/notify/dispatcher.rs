//! The queues of the channels. Dispatching an event never blocks: if a queue is full, the event is dropped and counted.

use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fault::Explain;

use super::config::Channel;
use super::delivery;
use super::event::Event;
use super::metrics::{Delivery, NotifyMetrics};

/// The most events that are queued per channel.
const QUEUE: usize = 256;

/// Dispatches events to the channels that subscribe to them.
#[derive(Debug, Default)]
pub struct Dispatcher {
    queues: Vec<ChannelQueue>,
    metrics: NotifyMetrics,
    closed: CancellationToken,
}

#[derive(Debug)]
struct ChannelQueue {
    channel: Channel,
    queue: Sender<Event>,
    task: JoinHandle<()>,
}

impl Dispatcher {
    /// Starts a task for each channel.
    pub fn start(channels: Vec<Channel>, metrics: NotifyMetrics) -> Dispatcher {
        let closed = CancellationToken::new();
        let start = |channel: Channel| {
            metrics.start(&channel.name);
            let (queue, queued) = mpsc::channel(QUEUE);
            let work = serve(channel.clone(), queued, metrics.clone(), closed.clone());
            ChannelQueue { channel, queue, task: tokio::spawn(work) }
        };
        let queues = channels.into_iter().map(start).collect();
        Dispatcher { queues, metrics, closed }
    }

    /// Queues an event for the channels that subscribe to its kind.
    pub fn dispatch(&self, event: &Event) {
        for ChannelQueue { channel, queue, .. } in &self.queues {
            if channel.kinds.contains(&event.kind) && queue.try_send(event.clone()).is_err() {
                tracing::warn!(channel = %channel.name, title = %event.title, "the channel's queue is full; event dropped");
                self.metrics.count(&channel.name, Delivery::Lost, 1);
            }
        }
    }

    /// Accepts no more events, and waits until the queued ones are delivered, for at most `timeout`.
    pub async fn close(self, timeout: Duration) {
        let end = Instant::now() + timeout;
        self.closed.cancel();
        for ChannelQueue { channel, queue, task } in self.queues {
            drop(queue);
            let stop = task.abort_handle();
            if tokio::time::timeout_at(end, task).await.is_err() {
                tracing::warn!(channel = %channel.name, "no time left to deliver the channel's events");
                stop.abort();
            }
        }
    }
}

/// Delivers queued events until the queue is closed and empty. A chat gets all that are queued in one message.
async fn serve(channel: Channel, mut queued: Receiver<Event>, metrics: NotifyMetrics, closed: CancellationToken) {
    let most = if channel.service.is_chat() { QUEUE } else { 1 };
    let mut next = Instant::now();
    loop {
        let mut events = Vec::new();
        if queued.recv_many(&mut events, most).await == 0 {
            return;
        }
        if channel.service.is_chat() && Instant::now() < next {
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                // No more events will come, so there is nothing to wait for.
                () = closed.cancelled() => {}
            }
            while events.len() < most
                && let Ok(event) = queued.try_recv()
            {
                events.push(event);
            }
        }
        match delivery::deliver(&channel, &events).await {
            Ok(true) => metrics.count(&channel.name, Delivery::Done, events.len()),
            Ok(false) => {}
            Err(error) => {
                let help = error.help().unwrap_or_default();
                tracing::error!(channel = %channel.name, events = events.len(), %error, %help, "notification failed");
                metrics.count(&channel.name, Delivery::Failed, events.len());
            }
        }
        next = Instant::now() + channel.pause;
    }
}
