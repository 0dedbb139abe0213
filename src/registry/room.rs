//! Room in memory for what is large: long listings and big answers.
//!
//! What is small is not limited any further than the number of requests. Anything larger takes its turn, so that
//! however many images a registry serves, few of its largest answers are in memory at a time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The number of large answers that are in memory at a time.
const LARGE_ANSWERS: usize = 4;
/// The number of long listings, which are kept for as long as their tags are inspected.
const LONG_LISTINGS: usize = 2;

/// The rooms of one host.
#[derive(Debug, Clone)]
pub(super) struct HostRooms {
    /// For large answers, until they have been parsed.
    pub answers: Rooms,
    /// For long listings, until their tags have been sorted out.
    pub listings: Rooms,
}

impl HostRooms {
    /// The same rooms for another host.
    pub fn for_another_host(&self) -> HostRooms {
        HostRooms { answers: self.answers.for_another_host(), listings: self.listings.for_another_host() }
    }
}

impl Default for HostRooms {
    fn default() -> Self {
        HostRooms { answers: Rooms::new(LARGE_ANSWERS), listings: Rooms::new(LONG_LISTINGS) }
    }
}

/// The rooms for one kind that one host may use: one at a time, of those that all hosts share.
#[derive(Debug, Clone)]
pub(super) struct Rooms {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
}

/// A room, which is left when this is dropped.
#[derive(Debug)]
pub struct Room {
    _own: Option<OwnedSemaphorePermit>,
    _shared: Option<OwnedSemaphorePermit>,
}

impl Rooms {
    fn new(count: usize) -> Rooms {
        Rooms { all: Arc::new(Semaphore::new(count)), own: Arc::new(Semaphore::new(1)) }
    }

    fn for_another_host(&self) -> Rooms {
        Rooms { all: Arc::clone(&self.all), own: Arc::new(Semaphore::new(1)) }
    }

    /// Waits for a room. A task that is in one must not wait for another.
    pub async fn enter(&self) -> Room {
        // In this order, a host with many large answers waits for itself and not in front of other hosts. The
        // semaphores are never closed.
        let own = Arc::clone(&self.own).acquire_owned().await.ok();
        Room { _own: own, _shared: Arc::clone(&self.all).acquire_owned().await.ok() }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_host_has_one_room_and_leaves_the_others_free() {
        let one = Rooms::new(2);
        let (two, three) = (one.for_another_host(), one.for_another_host());
        let room = one.enter().await;
        assert!(one.enter().now_or_never().is_none(), "its own is taken");
        let other = two.enter().now_or_never().expect("free");
        assert!(three.enter().now_or_never().is_none(), "both are taken");
        drop(room);
        assert!(three.enter().now_or_never().is_some());
        drop(other);
    }
}
