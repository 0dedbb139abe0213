//! The bell by which the agent is woken for images of which there is news. However often it is rung while a cycle is under
//! way, one cycle follows.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::policy::scope::{Scope, Target};

/// With more than this the next cycle is about everything.
const MAX_TARGETS: usize = 1_000;

/// The bell. Clones ring the same one.
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
    /// There is news of these images.
    pub fn fire(&self, targets: BTreeSet<Target>) {
        if targets.is_empty() {
            return;
        }
        let mut pending = self.inner.pending.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Waits until there is news; gives all that there is, and forgets it.
    pub async fn fired(&self) -> Scope {
        loop {
            if let Some(scope) = self.take() {
                return scope;
            }
            self.inner.notify.notified().await;
        }
    }

    /// The news so far, if there is any; it is forgotten.
    pub fn take(&self) -> Option<Scope> {
        self.inner.pending.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(names: std::ops::Range<usize>) -> BTreeSet<Target> {
        names.map(|n| Target { host: None, path: format!("org/app-{n}"), with_below: false }).collect()
    }

    #[tokio::test]
    async fn a_burst_is_one_call() {
        let trigger = Trigger::default();
        trigger.fire(targets(0..0));
        assert_eq!(trigger.take(), None);
        (0..50).for_each(|n| trigger.fire(targets(n % 5..n % 5 + 1)));
        assert_eq!(trigger.fired().await, Scope::Only(targets(0..5)));
        assert_eq!(trigger.take(), None);
        let (waiting, ringing) = (trigger.clone(), trigger.clone());
        let waiter = tokio::spawn(async move { waiting.fired().await });
        ringing.fire(targets(7..8));
        assert_eq!(waiter.await.expect("it ends"), Scope::Only(targets(7..8)));
    }

    #[test]
    fn too_much_news_is_about_everything() {
        let trigger = Trigger::default();
        trigger.fire(targets(0..600));
        trigger.fire(targets(500..1000));
        trigger.fire(targets(1..2));
        assert_eq!(trigger.take(), Some(Scope::All));
        trigger.fire(targets(0..1));
        assert_eq!(trigger.take(), Some(Scope::Only(targets(0..1))));
    }
}
