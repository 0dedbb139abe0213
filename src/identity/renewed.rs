//! Values that expire, such as access tokens. They are kept while they are valid and renewed before they expire.

use std::fmt;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::error::IdentityError;

/// The least time that is left when a value is renewed. A request that starts with it can take a while to arrive.
const MARGIN: Duration = Duration::from_secs(300);
/// The delay after a renewal that failed while the old value was still valid, and the age from which on a refused value is
/// replaced: a new one would be refused as well.
const RETRY: Duration = Duration::from_secs(60);
/// The time for which a failure stands for further requests when there is no valid value. Hundreds of requests may be
/// waiting for one, and would otherwise wait for the same time limit one after the other.
const FAILED: Duration = Duration::from_secs(10);

/// The longest lifetime that is believed.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A newly issued value.
#[derive(Debug)]
pub struct Issued<T> {
    /// The value.
    pub value: T,
    /// The time that it is valid for.
    pub lifetime: Duration,
}

/// A value that expires. Concurrent callers share one renewal.
pub struct Renewed<T, E = IdentityError> {
    state: Mutex<State<T, E>>,
}

struct State<T, E> {
    kept: Option<Kept<T>>,
    failed: Option<Failed<E>>,
}

struct Kept<T> {
    value: T,
    /// What the value was last requested for: a hash of the files that the request consists of.
    inputs: [u8; 32],
    issued_at: Instant,
    renew_at: Instant,
    expires_at: Instant,
    /// Whether the last renewal failed.
    is_failing: bool,
}

struct Failed<E> {
    error: E,
    inputs: [u8; 32],
    until: Instant,
}

impl<T: Clone, E: Clone> Renewed<T, E> {
    /// Returns the value. It is requested with `issue` if there is none, if `inputs` have changed, or if it expires soon. If
    /// that fails, the old value is returned as long as it is valid; it is then requested again after a minute.
    ///
    /// # Errors
    /// The error of `issue`, if there is no valid value. If the old one is still valid, `on_failure` is called with the error
    /// instead, for the first of several failures in a row.
    pub async fn get(
        &self,
        inputs: [u8; 32],
        issue: impl AsyncFnOnce() -> Result<Issued<T>, E>,
        on_failure: impl FnOnce(&E),
    ) -> Result<T, E> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        let valid = state.kept.as_ref().filter(|kept| now < kept.expires_at);
        if let Some(kept) = valid.filter(|kept| kept.inputs == inputs && now < kept.renew_at) {
            return Ok(kept.value.clone());
        }
        let old = valid.map(|kept| kept.value.clone());
        if let Some(failed) = state.failed.as_ref().filter(|failed| failed.inputs == inputs && now < failed.until) {
            return Err(failed.error.clone());
        }
        let issued = issue().await;
        let now = Instant::now();
        match (issued, old) {
            (Ok(issued), _) => {
                let value = issued.value.clone();
                *state = State { kept: Some(Kept::new(issued, inputs, now)), failed: None };
                Ok(value)
            }
            (Err(error), Some(old)) => {
                if let Some(kept) = &mut state.kept {
                    if !kept.is_failing {
                        on_failure(&error);
                    }
                    (kept.is_failing, kept.inputs, kept.renew_at) = (true, inputs, now + RETRY);
                }
                Ok(old)
            }
            (Err(error), None) => {
                state.failed = Some(Failed { error: error.clone(), inputs, until: now + FAILED });
                Err(error)
            }
        }
    }

    /// Forgets the value, for example because a server has refused it.
    pub async fn forget(&self) {
        *self.state.lock().await = State::default();
    }

    /// Forgets a value that a server has refused, unless it is new: then another one would be refused as well. Returns
    /// whether it was forgotten.
    pub async fn refused(&self) -> bool {
        let mut state = self.state.lock().await;
        let is_old = state.kept.as_ref().is_some_and(|kept| kept.issued_at.elapsed() > RETRY);
        if is_old {
            *state = State::default();
        }
        is_old
    }
}

impl<T> Kept<T> {
    fn new(issued: Issued<T>, inputs: [u8; 32], now: Instant) -> Kept<T> {
        let Issued { value, lifetime } = issued;
        let lifetime = lifetime.min(LONGEST);
        // A short-lived value is used for most of its life, too.
        let margin = MARGIN.min(lifetime / 4);
        let (renew_at, expires_at) = (now + (lifetime - margin), now + lifetime);
        Kept { value, inputs, issued_at: now, renew_at, expires_at, is_failing: false }
    }
}

impl<T, E> Default for State<T, E> {
    fn default() -> Self {
        State { kept: None, failed: None }
    }
}

impl<T, E> Default for Renewed<T, E> {
    fn default() -> Self {
        Renewed { state: Mutex::default() }
    }
}

impl<T, E> fmt::Debug for Renewed<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewed").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Counts what it issues and reports, and fails when it is told to.
    struct Issuer {
        renewed: Renewed<u32, &'static str>,
        issued: Cell<u32>,
        tried: Cell<u32>,
        reported: Cell<u32>,
        lifetime: Duration,
        fails: Cell<bool>,
    }

    impl Issuer {
        fn new(lifetime: Duration) -> Issuer {
            Issuer {
                renewed: Renewed::default(),
                issued: Cell::new(0),
                tried: Cell::new(0),
                reported: Cell::new(0),
                lifetime,
                fails: Cell::new(false),
            }
        }

        async fn get(&self, inputs: u8) -> Result<u32, &'static str> {
            let issue = async || {
                self.tried.set(self.tried.get() + 1);
                if self.fails.get() {
                    return Err("refused");
                }
                self.issued.set(self.issued.get() + 1);
                Ok(Issued { value: self.issued.get(), lifetime: self.lifetime })
            };
            self.renewed.get([inputs; 32], issue, |_| self.reported.set(self.reported.get() + 1)).await
        }

        /// Lets time pass for the kept value: until it is to be renewed.
        async fn age(&self, by: Duration) {
            let mut state = self.renewed.state.lock().await;
            let kept = state.kept.as_mut().expect("a value");
            kept.issued_at -= by;
            kept.renew_at -= by;
            kept.expires_at -= by;
        }
    }

    #[tokio::test]
    async fn a_value_is_kept_until_it_expires_soon_or_its_inputs_change() {
        let issuer = Issuer::new(HOUR);
        assert_eq!((issuer.get(1).await, issuer.get(1).await), (Ok(1), Ok(1)));
        issuer.age(HOUR - MARGIN - Duration::from_secs(10)).await;
        assert_eq!(issuer.get(1).await, Ok(1));
        issuer.age(Duration::from_secs(10)).await;
        assert_eq!(issuer.get(1).await, Ok(2), "it is renewed before it expires");
        assert_eq!((issuer.get(2).await, issuer.get(2).await), (Ok(3), Ok(3)));
        issuer.renewed.forget().await;
        assert_eq!(issuer.get(2).await, Ok(4));
        let expired = Issuer::new(Duration::ZERO);
        assert_eq!((expired.get(1).await, expired.get(1).await), (Ok(1), Ok(2)));
        let endless = Issuer::new(Duration::MAX);
        assert_eq!((endless.get(1).await, endless.get(1).await), (Ok(1), Ok(1)));
    }

    #[tokio::test]
    async fn a_failed_renewal_is_reported_once_and_costs_nothing_while_the_old_value_is_valid() {
        let issuer = Issuer::new(HOUR);
        assert_eq!(issuer.get(1).await, Ok(1));
        issuer.fails.set(true);
        // The kubelet has replaced a token, and the service is down.
        assert_eq!((issuer.get(2).await, issuer.get(2).await), (Ok(1), Ok(1)));
        assert_eq!((issuer.tried.get(), issuer.reported.get()), (2, 1), "it is not tried again at once");
        issuer.age(RETRY).await;
        assert_eq!(issuer.get(2).await, Ok(1));
        assert_eq!((issuer.tried.get(), issuer.reported.get()), (3, 1));
        issuer.age(HOUR).await;
        assert_eq!(issuer.get(2).await, Err("refused"), "the old value has expired");
        issuer.fails.set(false);
        assert_eq!(issuer.get(3).await, Ok(2));
        issuer.fails.set(true);
        issuer.age(HOUR - MARGIN).await;
        assert_eq!(issuer.get(3).await, Ok(2));
        assert_eq!(issuer.reported.get(), 2, "another outage");
    }

    #[tokio::test]
    async fn many_that_wait_for_a_failing_service_try_it_once() {
        let issuer = Issuer::new(HOUR);
        issuer.fails.set(true);
        for _ in 0..100 {
            assert_eq!(issuer.get(1).await, Err("refused"));
        }
        assert_eq!(issuer.tried.get(), 1);
        issuer.fails.set(false);
        assert_eq!(issuer.get(2).await, Ok(1), "another token is tried at once");
    }

    #[tokio::test]
    async fn a_refused_value_is_replaced_unless_it_is_new() {
        let issuer = Issuer::new(HOUR);
        assert_eq!(issuer.get(1).await, Ok(1));
        assert!(!issuer.renewed.refused().await);
        assert_eq!(issuer.get(1).await, Ok(1));
        issuer.age(RETRY).await;
        assert!(issuer.renewed.refused().await);
        assert_eq!(issuer.get(1).await, Ok(2));
    }
}
