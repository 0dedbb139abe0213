//! The queues of the channels. Handing over an event never waits: a queue that is full loses it, and says so.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fault::Explain;

use super::config::Channel;
use super::delivery;
use super::event::Event;

/// As many events wait for one channel.
const WAITING: usize = 256;

/// How often a channel was told, since this was asked last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deliveries {
    /// The channel.
    pub channel: String,
    /// `done`, `failed` or `lost`.
    pub result: &'static str,
    /// How many events.
    pub events: u64,
}

/// Takes events and brings them to the channels.
#[derive(Debug, Default)]
pub struct Dispatcher {
    counters: Vec<ChannelQueue>,
    deliveries: Arc<Mutex<Vec<Deliveries>>>,
    closed: CancellationToken,
}

#[derive(Debug)]
struct ChannelQueue {
    channel: Channel,
    queue: Sender<Event>,
    task: JoinHandle<()>,
}

impl Dispatcher {
    /// Opens for these channels.
    pub fn start(channels: Vec<Channel>) -> Dispatcher {
        let (deliveries, closed): (Arc<Mutex<Vec<Deliveries>>>, _) = (Arc::default(), CancellationToken::new());
        let open = |channel: Channel| {
            let (queue, waiting) = mpsc::channel(WAITING);
            let work = serve(channel.clone(), waiting, Arc::clone(&deliveries), closed.clone());
            ChannelQueue { channel, queue, task: tokio::spawn(work) }
        };
        let counters = channels.into_iter().map(&open).collect();
        Dispatcher { counters, deliveries, closed }
    }

    /// Hands an event over to the channels that want its kind.
    pub fn dispatch(&self, event: &Event) {
        for ChannelQueue { channel, queue, .. } in &self.counters {
            if channel.kinds.contains(&event.kind) && queue.try_send(event.clone()).is_err() {
                tracing::warn!(channel = %channel.name, title = %event.title, "too much waits for this channel; lost");
                note(&self.deliveries, &channel.name, "lost", 1);
            }
        }
    }

    /// What became of events since this was asked last.
    pub fn take_deliveries(&self) -> Vec<Deliveries> {
        std::mem::take(&mut self.deliveries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes no more, and lets what waits be brought within a time.
    pub async fn close(self, patience: Duration) {
        let end = Instant::now() + patience;
        self.closed.cancel();
        for ChannelQueue { channel, queue, task } in self.counters {
            drop(queue);
            let stop = task.abort_handle();
            if tokio::time::timeout_at(end, task).await.is_err() {
                tracing::warn!(channel = %channel.name, "there is no time left to tell this channel");
                stop.abort();
            }
        }
    }
}

fn note(deliveries: &Mutex<Vec<Deliveries>>, channel: &str, result: &'static str, events: usize) {
    let made = Deliveries { channel: channel.to_owned(), result, events: events as u64 };
    deliveries.lock().unwrap_or_else(PoisonError::into_inner).push(made);
}

/// Brings what waits until the queue is closed and empty. A chat is told of all that waits at once.
async fn serve(
    channel: Channel,
    mut waiting: Receiver<Event>,
    deliveries: Arc<Mutex<Vec<Deliveries>>>,
    closed: CancellationToken,
) {
    let most = if channel.service.is_chat() { WAITING } else { 1 };
    let mut free = Instant::now();
    loop {
        let mut events = Vec::new();
        if waiting.recv_many(&mut events, most).await == 0 {
            return;
        }
        if channel.service.is_chat() && Instant::now() < free {
            tokio::select! {
                () = tokio::time::sleep_until(free) => {}
                // Nothing more comes to wait for.
                () = closed.cancelled() => {}
            }
            while events.len() < most
                && let Ok(event) = waiting.try_recv()
            {
                events.push(event);
            }
        }
        match delivery::deliver(&channel, &events).await {
            Ok(true) => note(&deliveries, &channel.name, "done", events.len()),
            Ok(false) => {}
            Err(error) => {
                let help = error.help().unwrap_or_default();
                tracing::error!(channel = %channel.name, events = events.len(), %error, %help, "could not be told");
                note(&deliveries, &channel.name, "failed", events.len());
            }
        }
        free = Instant::now() + channel.pause;
    }
}
