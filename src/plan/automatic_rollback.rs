//! Decides whether a commit that the cluster could not apply may be taken back. It may if it is an update by policies, if
//! nothing else can be the reason for the failure, and if what it replaced is known to have worked.

use crate::image::Version;

use super::order_record::OrderedBy;
use super::trailer::{RecordedMove, Trailers, agree};

/// What is known about a commit and the object that could not apply it.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'f> {
    /// The trailers of the commit, as far as they count.
    pub trailers: &'f Trailers,
    /// True if the object has applied a commit before it, and was not failing already.
    pub has_worked: bool,
    /// A file that the object deploys and that changed after the last applied commit, but before this one.
    pub changed_before: Option<&'f str>,
    /// A file that the object deploys and that changed after this commit.
    pub changed_since: Option<&'f str>,
}

/// The reason why a commit is not taken back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum Refusal {
    /// It is a rollback itself.
    #[error("it is a rollback itself")]
    IsRollback,
    /// A person made or requested it.
    #[error("it is not an update by policies")]
    Requested,
    /// The object may have failed before.
    #[error("it is not known that the version before was healthy: no earlier commit was applied, or that failed, too")]
    UnknownHealth,
    /// Another commit may be the reason.
    #[error("{file} had changed before, and that was not applied yet either")]
    ChangedBefore { file: String },
    /// A later commit may be the reason.
    #[error("{file} has changed since, so it may be the reason")]
    ChangedSince { file: String },
    /// Its fields have moved since.
    #[error("it is no longer deployed: its fields hold other versions")]
    NotDeployed,
    /// The version before is held.
    #[error("{file}: the version before, {version}, is held or not the one in history")]
    NoWayBack { file: String, version: Version },
}

/// Returns why a commit must not be taken back, whatever its fields hold.
pub fn refusal(facts: Facts<'_>) -> Option<Refusal> {
    let Facts { trailers, has_worked, changed_before, changed_since } = facts;
    let is_requested = trailers.orders.iter().any(|order| order.by == OrderedBy::Request);
    let is_by_person = trailers.actor.is_some() || trailers.reason.is_some() || !trailers.forced.is_empty();
    if !trailers.rollbacks.is_empty() {
        return Some(Refusal::IsRollback);
    }
    // Commits that are not trusted have records only, so what else they said is not known.
    if is_requested || is_by_person || trailers.orders.is_empty() {
        return Some(Refusal::Requested);
    }
    if !has_worked {
        return Some(Refusal::UnknownHealth);
    }
    let before = changed_before.map(|file| Refusal::ChangedBefore { file: file.to_owned() });
    before.or_else(|| changed_since.map(|file| Refusal::ChangedSince { file: file.to_owned() }))
}

/// Returns the version to which a field goes back, or `None` if it no longer holds what the commit set. `previous` is the
/// last version in its history that is not held.
pub fn target(
    moved: &RecordedMove,
    held: &Version,
    previous: impl FnOnce() -> Option<Version>,
) -> Result<Option<Version>, Refusal> {
    if !agree(held, &moved.to) {
        return Ok(None);
    }
    match previous() {
        Some(version) if agree(&version, &moved.from) => Ok(Some(version)),
        _ => Err(Refusal::NoWayBack { file: moved.file.clone(), version: moved.from.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPDATE: &str = "Tagalong-Update: a.yaml image r.io/org/app v1 -> v2\nTagalong-Order: r.io/org/app:v2 built\n";

    fn refused(message: &str, facts: Facts<'_>) -> Option<Refusal> {
        refusal(Facts { trailers: &Trailers::read(message), ..facts })
    }

    fn version(tag: &str) -> Version {
        Version::parse_tag(tag).expect("a tag")
    }

    #[test]
    fn only_an_update_by_policies_that_alone_can_be_the_reason_is_taken_back() {
        let none = Trailers::default();
        let good = Facts { trailers: &none, has_worked: true, changed_before: None, changed_since: None };
        assert_eq!(refused(UPDATE, good), None);
        let rollback = format!("{UPDATE}Tagalong-Rollback: r.io/org/app v2 -> v1\n");
        assert_eq!(refused(&rollback, good), Some(Refusal::IsRollback));
        let by_hand = [
            UPDATE.replace(" built", " request"),
            format!("{UPDATE}Tagalong-Actor: Ada\n"),
            format!("{UPDATE}Tagalong-Reason: now\n"),
            UPDATE.lines().take(1).collect(),
        ];
        for message in by_hand {
            assert_eq!(refused(&message, good), Some(Refusal::Requested), "{message}");
        }
        assert_eq!(refused(UPDATE, Facts { has_worked: false, ..good }), Some(Refusal::UnknownHealth));
        let file = "b.yaml".to_owned();
        let before = Facts { changed_before: Some("b.yaml"), ..good };
        assert_eq!(refused(UPDATE, before), Some(Refusal::ChangedBefore { file: file.clone() }));
        let since = Facts { changed_since: Some("b.yaml"), ..good };
        assert_eq!(refused(UPDATE, since), Some(Refusal::ChangedSince { file }));
    }

    #[test]
    fn a_field_returns_to_exactly_the_version_that_the_commit_replaced() {
        let moved = Trailers::read(UPDATE).moves.remove(0);
        assert_eq!(target(&moved, &version("v2"), || Some(version("v1"))), Ok(Some(version("v1"))));
        assert_eq!(target(&moved, &version("v3"), || Some(version("v1"))), Ok(None));
        let refusal = Refusal::NoWayBack { file: "a.yaml".to_owned(), version: version("v1") };
        // The version before is held, so the last free one is even older.
        assert_eq!(target(&moved, &version("v2"), || Some(version("v0"))), Err(refusal.clone()));
        assert_eq!(target(&moved, &version("v2"), || None), Err(refusal));
    }
}
