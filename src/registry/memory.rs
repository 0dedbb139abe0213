//! Limits how many long listings and other large responses are in memory at a time.
//!
//! Small responses are limited only by the number of requests. However many images a registry serves, only a few of its
//! largest responses are held at once; the others wait for a slot.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The number of large answers that are in memory at a time.
const LARGE_ANSWERS: usize = 4;
/// The number of long listings, which are kept for as long as their tags are inspected.
const LONG_LISTINGS: usize = 2;

/// The number of large indexes of charts that are in memory at a time.
const LARGE_INDEXES: usize = 2;
/// The number of images whose signatures and attestations are large and in memory at a time.
const LARGE_PROOFS: usize = 2;

/// The slots that one host may use.
#[derive(Debug, Clone)]
pub(super) struct HostMemory {
    /// For large answers, until they have been parsed.
    pub answers: Slots,
    /// For long listings, until their tags have been sorted out.
    pub listings: Slots,
    /// For large indexes of charts, until they have been parsed.
    pub indexes: Slots,
    /// For the large signatures and attestations of an image, until they have been verified.
    pub proofs: Slots,
}

impl HostMemory {
    /// Returns the slots for another host, which shares the total.
    pub fn for_another_host(&self) -> HostMemory {
        HostMemory {
            answers: self.answers.for_another_host(),
            listings: self.listings.for_another_host(),
            indexes: self.indexes.for_another_host(),
            proofs: self.proofs.for_another_host(),
        }
    }
}

impl Default for HostMemory {
    fn default() -> Self {
        let (answers, listings) = (Slots::new(LARGE_ANSWERS), Slots::new(LONG_LISTINGS));
        let (indexes, proofs) = (Slots::new(LARGE_INDEXES), Slots::new(LARGE_PROOFS));
        HostMemory { answers, listings, indexes, proofs }
    }
}

/// The slots for one kind of response: those that all hosts share, of which each host uses one at a time.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
}

/// A slot, which becomes free when this is dropped.
#[derive(Debug)]
pub struct Slot {
    _own: Option<OwnedSemaphorePermit>,
    _shared: Option<OwnedSemaphorePermit>,
}

impl Slots {
    fn new(count: usize) -> Slots {
        Slots { all: Arc::new(Semaphore::new(count)), own: Arc::new(Semaphore::new(1)) }
    }

    fn for_another_host(&self) -> Slots {
        Slots { all: Arc::clone(&self.all), own: Arc::new(Semaphore::new(1)) }
    }

    /// Waits for a slot. A task that has one for an answer or an index must not wait for another, and one that has a
    /// slot for a listing or for proofs must not wait for another of its kind.
    pub async fn acquire(&self) -> Slot {
        // In this order, a host with many large answers waits for itself and not in front of other hosts. The
        // semaphores are never closed.
        let own = Arc::clone(&self.own).acquire_owned().await.ok();
        Slot { _own: own, _shared: Arc::clone(&self.all).acquire_owned().await.ok() }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_host_has_one_slot_and_leaves_the_others_free() {
        let one = Slots::new(2);
        let (two, three) = (one.for_another_host(), one.for_another_host());
        let slot = one.acquire().await;
        assert!(one.acquire().now_or_never().is_none(), "its own is taken");
        let other = two.acquire().now_or_never().expect("free");
        assert!(three.acquire().now_or_never().is_none(), "both are taken");
        drop(slot);
        assert!(three.acquire().now_or_never().is_some());
        drop(other);
    }
}
