//! Whose turn it is, told from a Lease. Clocks are never compared: how long a leader has said nothing is measured here,
//! from when its record was last seen to change. The semantics are those of client-go's `leaderelection`.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;

use super::config::ObjectRef;

/// What one replica has seen of a Lease.
#[derive(Debug)]
pub struct LeaseObserver {
    identity: String,
    duration: Duration,
    seen: Option<(LeaseSpec, Instant)>,
}

/// What is to be done about a Lease.
#[derive(Debug, Clone, PartialEq)]
pub enum LeaseAction {
    /// Someone else leads.
    Wait {
        /// Who.
        leader: String,
    },
    /// It is ours to make, take or renew, by writing this.
    Write(Box<Lease>),
}

impl LeaseObserver {
    /// A replica by its identity, which no other has; it leads for so long after each renewal.
    pub fn new(identity: String, duration: Duration) -> LeaseObserver {
        LeaseObserver { identity, duration, seen: None }
    }

    /// Who this is.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Looks at the Lease as it is, or is not there. `now` labels what is written; `at` is what is measured by.
    pub fn observe(&mut self, place: &ObjectRef, lease: Option<Lease>, now: Timestamp, at: Instant) -> LeaseAction {
        let Some(mut lease) = lease else {
            self.seen = None;
            let metadata = ObjectMeta {
                name: Some(place.name.clone()),
                namespace: Some(place.namespace.clone()),
                ..ObjectMeta::default()
            };
            let spec = Some(self.spec(&LeaseSpec::default(), now));
            return LeaseAction::Write(Box::new(Lease { metadata, spec }));
        };
        let spec = lease.spec.take().unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == spec => *since,
            _ => at,
        };
        self.seen = Some((spec.clone(), since));
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let seconds = spec.lease_duration_seconds.map_or(0, |seconds| seconds.max(0).unsigned_abs());
        let has_expired = at.saturating_duration_since(since) >= Duration::from_secs(seconds.into());
        if !holder.is_empty() && holder != self.identity && !has_expired {
            return LeaseAction::Wait { leader: holder };
        }
        lease.spec = Some(self.spec(&spec, now));
        LeaseAction::Write(Box::new(lease))
    }

    /// Remembers what was written, so that a change by another is told from our own.
    pub fn wrote(&mut self, lease: &Lease, at: Instant) {
        self.seen = Some((lease.spec.clone().unwrap_or_default(), at));
    }

    /// The Lease without a holder, if it is ours: whoever sees it need not wait for it to expire.
    pub fn release(&self, mut lease: Lease, now: Timestamp) -> Option<Lease> {
        let spec = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity))?;
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        (spec.renew_time, spec.acquire_time) = (Some(MicroTime::from(now)), Some(MicroTime::from(now)));
        Some(lease)
    }

    /// The record by which we lead, after the one that is there.
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
            LeaseAction::Wait { leader } => panic!("{leader} leads"),
        }
    }

    #[test]
    fn a_lease_that_is_not_there_is_made_and_then_renewed() {
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
    fn a_leader_is_waited_for_as_long_as_its_record_changes_whatever_its_clock_says() {
        let (mut one, mut two, start) = (observer("one"), observer("two"), Instant::now());
        // The leader's clock is years behind.
        let mut lease = written(one.observe(&place(), None, at(0), start));
        for step in 0..10 {
            let seen = two.observe(&place(), Some(lease.clone()), at(2_000_000_000), start + 10 * step * SECOND);
            assert_eq!(seen, LeaseAction::Wait { leader: "one".to_owned() });
            lease = written(one.observe(&place(), Some(lease), at(1 + i64::from(step)), start));
        }
        let last = start + 100 * SECOND;
        let wait = |two: &mut LeaseObserver, after: Duration| {
            two.observe(&place(), Some(lease.clone()), at(2_000_000_000), last + after)
        };
        assert!(matches!(wait(&mut two, Duration::ZERO), LeaseAction::Wait { .. }));
        assert!(matches!(wait(&mut two, 14 * SECOND), LeaseAction::Wait { .. }));
        let taken = written(wait(&mut two, 15 * SECOND)).spec.expect("a spec");
        assert_eq!((taken.holder_identity.as_deref(), taken.lease_transitions), (Some("two"), Some(1)));
        assert_eq!(taken.acquire_time, Some(MicroTime::from(at(2_000_000_000))));
    }

    #[test]
    fn a_lease_that_was_left_is_taken_at_once_and_only_ones_own_is_left() {
        let (mut one, mut two, start) = (observer("one"), observer("two"), Instant::now());
        let held = written(one.observe(&place(), None, at(100), start));
        assert_eq!(two.release(held.clone(), at(101)), None);
        let left = one.release(held.clone(), at(101)).expect("it is ours");
        assert_eq!(left.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()), Some(""));
        two.observe(&place(), Some(held), at(100), start);
        let taken = written(two.observe(&place(), Some(left), at(101), start + SECOND)).spec.expect("a spec");
        assert_eq!((taken.holder_identity.as_deref(), taken.lease_transitions), (Some("two"), Some(1)));
    }
}
