//! Values that expire, such as access tokens. They are kept while they are valid and renewed before they expire.

use std::fmt;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// The least time that is left when a value is renewed. A request that starts with it can take a while to arrive.
const MARGIN: Duration = Duration::from_secs(300);
/// The delay after a renewal that failed while the old value was still valid.
const RETRY: Duration = Duration::from_secs(60);

/// A newly issued value.
#[derive(Debug)]
pub struct Issued<T> {
    /// The value.
    pub value: T,
    /// The time that it is valid for.
    pub lifetime: Duration,
}

/// A value that expires. Concurrent callers share one renewal.
pub struct Renewed<T> {
    kept: Mutex<Option<Kept<T>>>,
}

struct Kept<T> {
    value: T,
    /// What the value was issued for: a hash of the files and settings that the request consisted of.
    inputs: [u8; 32],
    renew_at: Instant,
    expires_at: Instant,
}

impl<T: Clone> Renewed<T> {
    /// Returns the value that was issued for `inputs`. It is requested with `issue` if there is none, if it was issued for
    /// other inputs, or if it expires soon.
    ///
    /// # Errors
    /// The error of `issue`, if there is no valid value. If the old one is still valid, `on_failure` is called with the error.
    pub async fn get<E>(
        &self,
        inputs: [u8; 32],
        issue: impl AsyncFnOnce() -> Result<Issued<T>, E>,
        on_failure: impl FnOnce(&E),
    ) -> Result<T, E> {
        let mut kept = self.kept.lock().await;
        let valid = kept.as_ref().filter(|kept| kept.inputs == inputs && Instant::now() < kept.expires_at);
        if let Some(kept) = valid.filter(|kept| Instant::now() < kept.renew_at) {
            return Ok(kept.value.clone());
        }
        let old = valid.map(|kept| kept.value.clone());
        match (issue().await, old) {
            (Ok(Issued { value, lifetime }), _) => {
                let now = Instant::now();
                // A short-lived value is used for most of its life, too.
                let margin = MARGIN.min(lifetime / 4);
                let (renew_at, expires_at) = (now + (lifetime - margin), now + lifetime);
                *kept = Some(Kept { value: value.clone(), inputs, renew_at, expires_at });
                Ok(value)
            }
            (Err(error), Some(old)) => {
                on_failure(&error);
                if let Some(kept) = kept.as_mut() {
                    kept.renew_at = Instant::now() + RETRY;
                }
                Ok(old)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Forgets the value, for example because a server has refused it.
    pub async fn forget(&self) {
        *self.kept.lock().await = None;
    }
}

impl<T> Default for Renewed<T> {
    fn default() -> Self {
        Renewed { kept: Mutex::new(None) }
    }
}

impl<T> fmt::Debug for Renewed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewed").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Counts what it issues, and fails when it is told to.
    struct Issuer {
        issued: Cell<u32>,
        lifetime: Duration,
        fails: Cell<bool>,
    }

    impl Issuer {
        fn new(lifetime: Duration) -> Issuer {
            Issuer { issued: Cell::new(0), lifetime, fails: Cell::new(false) }
        }

        async fn get(&self, renewed: &Renewed<u32>, inputs: u8) -> Result<u32, &'static str> {
            let issue = async || {
                if self.fails.get() {
                    return Err("refused");
                }
                self.issued.set(self.issued.get() + 1);
                Ok(Issued { value: self.issued.get(), lifetime: self.lifetime })
            };
            renewed.get([inputs; 32], issue, |_| ()).await
        }
    }

    #[tokio::test]
    async fn a_value_is_kept_until_it_expires_or_its_inputs_change() {
        let (renewed, issuer) = (Renewed::default(), Issuer::new(HOUR));
        assert_eq!(issuer.get(&renewed, 1).await, Ok(1));
        assert_eq!(issuer.get(&renewed, 1).await, Ok(1));
        assert_eq!(issuer.get(&renewed, 2).await, Ok(2));
        renewed.forget().await;
        assert_eq!(issuer.get(&renewed, 2).await, Ok(3));
        let (renewed, expired) = (Renewed::default(), Issuer::new(Duration::ZERO));
        assert_eq!(expired.get(&renewed, 1).await, Ok(1));
        assert_eq!(expired.get(&renewed, 1).await, Ok(2));
    }

    #[tokio::test]
    async fn a_failed_renewal_costs_nothing_while_the_old_value_is_valid() {
        let (renewed, issuer) = (Renewed::default(), Issuer::new(HOUR));
        assert_eq!(issuer.get(&renewed, 1).await, Ok(1));
        renewed.kept.lock().await.as_mut().expect("a value").renew_at = Instant::now();
        issuer.fails.set(true);
        assert_eq!(issuer.get(&renewed, 1).await, Ok(1));
        // The value of other inputs is none for these.
        assert_eq!(issuer.get(&renewed, 2).await, Err("refused"));
        issuer.fails.set(false);
        renewed.kept.lock().await.as_mut().expect("a value").renew_at = Instant::now();
        assert_eq!(issuer.get(&renewed, 1).await, Ok(2));
    }
}
