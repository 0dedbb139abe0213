//! Starts a cycle for images that were pushed. However often it fires while a cycle is running, one cycle follows.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::policy::scope::{Scope, Target};

/// With more images than this, the next cycle is a full one.
const MAX_TARGETS: usize = 1_000;

/// Starts a cycle for images that were pushed. Clones share their state.
#[derive(Debug, Clone, Default)]
pub struct Trigger {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    pending: Mutex<Option<Scope>>,
    notify: Notify,
}

impl Trigger {
    /// Requests a cycle for these images.
    pub fn fire(&self, targets: BTreeSet<Target>) {
        if targets.is_empty() {
            return;
        }
        let mut pending = self.inner.pending.lock();
        *pending = Some(match pending.take() {
            Some(Scope::All) => Scope::All,
            Some(Scope::Only(known)) if known.len() + targets.len() > MAX_TARGETS => Scope::All,
            Some(Scope::Only(mut known)) => {
                known.extend(targets);
                Scope::Only(known)
            }
            None => Scope::Only(targets),
        });
        drop(pending);
        self.inner.notify.notify_one();
    }

    /// Waits until it has fired, and takes all requested images.
    pub async fn fired(&self) -> Scope {
        loop {
            if let Some(scope) = self.take() {
                return scope;
            }
            self.inner.notify.notified().await;
        }
    }

    /// Takes the images requested so far, if any.
    pub fn take(&self) -> Option<Scope> {
        self.inner.pending.lock().take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(names: std::ops::Range<usize>) -> BTreeSet<Target> {
        names.map(|n| Target { host: None, path: format!("org/app-{n}"), with_below: false }).collect()
    }

    #[tokio::test]
    async fn a_burst_starts_one_cycle() {
        let trigger = Trigger::default();
        trigger.fire(targets(0..0));
        assert_eq!(trigger.take(), None);
        (0..50).for_each(|n| trigger.fire(targets(n % 5..n % 5 + 1)));
        assert_eq!(trigger.fired().await, Scope::Only(targets(0..5)));
        assert_eq!(trigger.take(), None);
        let (waiting, firing) = (trigger.clone(), trigger.clone());
        let waiter = tokio::spawn(async move { waiting.fired().await });
        firing.fire(targets(7..8));
        assert_eq!(waiter.await.expect("it ends"), Scope::Only(targets(7..8)));
    }

    #[test]
    fn too_many_images_make_a_full_cycle() {
        let trigger = Trigger::default();
        trigger.fire(targets(0..600));
        trigger.fire(targets(500..1000));
        trigger.fire(targets(1..2));
        assert_eq!(trigger.take(), Some(Scope::All));
        trigger.fire(targets(0..1));
        assert_eq!(trigger.take(), Some(Scope::Only(targets(0..1))));
    }
}
