//! Decides from a Lease who may lead, with the semantics of client-go's `leaderelection`. Clocks of different machines
//! are never compared: a Lease expires some time after its record was last observed to change, by the local clock.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;

use super::config::ObjectRef;

/// One replica's observations of a Lease.
#[derive(Debug)]
pub struct LeaseObserver {
    identity: String,
    duration: Duration,
    observed: Option<(LeaseSpec, Instant)>,
}

/// The action to take on a Lease.
#[derive(Debug, Clone, PartialEq)]
pub enum LeaseAction {
    /// Wait, because another replica leads.
    Wait {
        /// The identity of the leader.
        leader: String,
        /// The time until its Lease expires unless it is renewed.
        expires_in: Duration,
    },
    /// Create, take or renew the Lease by writing this.
    Write(Box<Lease>),
}

impl LeaseObserver {
    /// An observer for the replica with this unique identity, which leads for `duration` after each renewal.
    pub fn new(identity: String, duration: Duration) -> LeaseObserver {
        LeaseObserver { identity, duration, observed: None }
    }

    /// The identity of this replica.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Decides what to do about the current Lease, if it exists. `now` is written into the Lease; `at` measures time.
    pub fn observe(&mut self, place: &ObjectRef, lease: Option<Lease>, now: Timestamp, at: Instant) -> LeaseAction {
        let Some(mut lease) = lease else {
            self.observed = None;
            let metadata = ObjectMeta {
                name: Some(place.name.clone()),
                namespace: Some(place.namespace.clone()),
                ..ObjectMeta::default()
            };
            let spec = Some(self.spec(&LeaseSpec::default(), now));
            return LeaseAction::Write(Box::new(Lease { metadata, spec }));
        };
        let spec = lease.spec.take().unwrap_or_default();
        let since = match &self.observed {
            Some((observed, since)) if *observed == spec => *since,
            _ => at,
        };
        self.observed = Some((spec.clone(), since));
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let seconds = spec.lease_duration_seconds.map_or(0, |seconds| seconds.max(0).unsigned_abs());
        let expires_in = Duration::from_secs(seconds.into()).saturating_sub(at.saturating_duration_since(since));
        if !holder.is_empty() && holder != self.identity && !expires_in.is_zero() {
            return LeaseAction::Wait { leader: holder, expires_in };
        }
        lease.spec = Some(self.spec(&spec, now));
        LeaseAction::Write(Box::new(lease))
    }

    /// Remembers what was written, to tell the changes of other replicas from our own.
    pub fn wrote(&mut self, lease: &Lease, at: Instant) {
        self.observed = Some((lease.spec.clone().unwrap_or_default(), at));
    }

    /// The Lease without a holder, if this replica holds it, so that others need not wait for it to expire.
    pub fn release(&self, mut lease: Lease, now: Timestamp) -> Option<Lease> {
        let spec = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity))?;
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        (spec.renew_time, spec.acquire_time) = (Some(MicroTime::from(now)), Some(MicroTime::from(now)));
        Some(lease)
    }

    /// The record that makes this replica the leader, derived from the current one.
    fn spec(&self, before: &LeaseSpec, now: Timestamp) -> LeaseSpec {
        let is_renewal = before.holder_identity.as_ref() == Some(&self.identity);
        let had_record = before.renew_time.is_some() || before.holder_identity.is_some();
        let transitions = before.lease_transitions.unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(self.duration.as_secs()).unwrap_or(i32::MAX)),
            acquire_time: before.acquire_time.clone().filter(|_| is_renewal).or_else(|| Some(MicroTime::from(now))),
            renew_time: Some(MicroTime::from(now)),
            lease_transitions: Some(if had_record && !is_renewal {
                transitions.saturating_add(1)
            } else {
                transitions
            }),
            ..before.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn place() -> ObjectRef {
        ObjectRef { namespace: "flux-system".to_owned(), name: "tagalong".to_owned() }
    }

    fn observer(identity: &str) -> LeaseObserver {
        LeaseObserver::new(identity.to_owned(), 15 * SECOND)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn written(action: LeaseAction) -> Lease {
        match action {
            LeaseAction::Write(lease) => *lease,
            LeaseAction::Wait { leader, .. } => panic!("{leader} leads"),
        }
    }

    #[test]
    fn a_missing_lease_is_created_and_then_renewed() {
        let (mut one, start) = (observer("one"), Instant::now());
        let made = written(one.observe(&place(), None, at(100), start));
        let spec = made.spec.clone().expect("a spec");
        assert_eq!((spec.holder_identity.as_deref(), spec.lease_duration_seconds), (Some("one"), Some(15)));
        assert_eq!((spec.lease_transitions, made.metadata.name.as_deref()), (Some(0), Some("tagalong")));
        one.wrote(&made, start);
        let renewed = written(one.observe(&place(), Some(made), at(102), start + 2 * SECOND)).spec.expect("a spec");
        assert_eq!((renewed.acquire_time, renewed.lease_transitions), (spec.acquire_time, Some(0)));
        assert_eq!(renewed.renew_time, Some(MicroTime::from(at(102))));
    }

    #[test]
    fn a_leader_is_respected_while_its_record_changes_whatever_its_clock_says() {
        let (mut one, mut two, start) = (observer("one"), observer("two"), Instant::now());
        // The leader's clock is years behind.
        let mut lease = written(one.observe(&place(), None, at(0), start));
        for step in 0..10 {
            let seen = two.observe(&place(), Some(lease.clone()), at(2_000_000_000), start + 10 * step * SECOND);
            assert_eq!(seen, LeaseAction::Wait { leader: "one".to_owned(), expires_in: 15 * SECOND });
            lease = written(one.observe(&place(), Some(lease), at(1 + i64::from(step)), start));
        }
        let last = start + 100 * SECOND;
        let wait = |two: &mut LeaseObserver, after: Duration| {
            two.observe(&place(), Some(lease.clone()), at(2_000_000_000), last + after)
        };
        let left = |action| match action {
            LeaseAction::Wait { expires_in, .. } => Some(expires_in),
            LeaseAction::Write(_) => None,
        };
        assert_eq!(left(wait(&mut two, Duration::ZERO)), Some(15 * SECOND));
        assert_eq!(left(wait(&mut two, 14 * SECOND)), Some(SECOND));
        let taken = written(wait(&mut two, 15 * SECOND)).spec.expect("a spec");
        assert_eq!((taken.holder_identity.as_deref(), taken.lease_transitions), (Some("two"), Some(1)));
        assert_eq!(taken.acquire_time, Some(MicroTime::from(at(2_000_000_000))));
    }

    #[test]
    fn a_released_lease_is_taken_at_once_and_only_the_holder_releases_it() {
        let (mut one, mut two, start) = (observer("one"), observer("two"), Instant::now());
        let held = written(one.observe(&place(), None, at(100), start));
        assert_eq!(two.release(held.clone(), at(101)), None);
        let released = one.release(held.clone(), at(101)).expect("held by this replica");
        assert_eq!(released.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()), Some(""));
        two.observe(&place(), Some(held), at(100), start);
        let taken = written(two.observe(&place(), Some(released), at(101), start + SECOND)).spec.expect("a spec");
        assert_eq!((taken.holder_identity.as_deref(), taken.lease_transitions), (Some("two"), Some(1)));
    }
}
