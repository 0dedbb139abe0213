//! The signatures of commits, and whose approvals they are.

use crate::plan::commit_signature::{CommitSignature, SignatureVerdict};
use crate::plan::stage_order::{RefusedApproval, SignedBy, StageOrder};
use crate::plan::trailer::{Effect, Trailers};
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;
use crate::repo::signers::people::Role;
use crate::repo::signers::verdict::{SignedWith, Verdict};

/// Returns the signature of a commit and what `trust.signers` makes of it, or `None` without any.
pub fn signature(clone: &BareClone, id: CommitId) -> Result<Option<CommitSignature>, RepoError> {
    Ok(clone.verdict(id)?.map(|verdict| shown(verdict, id)))
}

/// Returns whether the message of a commit counts, given its signature.
pub fn is_trusted(signature: Option<&CommitSignature>) -> bool {
    signature.is_none_or(|signature| signature.verdict == SignatureVerdict::Accepted)
}

/// Returns who signed a commit, by what they may do.
pub fn signed_by(clone: &BareClone, id: CommitId) -> Result<SignedBy, RepoError> {
    let name = |role: Role| {
        let name = |verdict: Verdict| match verdict {
            Verdict::Accepted(with) => Some(with.name().to_owned()),
            _ => None,
        };
        Ok::<_, RepoError>(clone.verdict_of(id, role)?.and_then(name))
    };
    Ok(SignedBy {
        approver: name(Role::Approver)?,
        glass_breaker: name(Role::GlassBreaker)?,
        is_unproved: clone.people().is_empty(),
    })
}

/// Returns the approvals that a commit gives and that do not count because of its signature, given all of its trailers.
pub fn refused_approvals(
    clone: &BareClone,
    id: CommitId,
    all: &Trailers,
    effect: Effect,
    signature: Option<&CommitSignature>,
) -> Result<Vec<RefusedApproval>, RepoError> {
    let gives = |order: &StageOrder| matches!(order, StageOrder::Approve(_));
    if effect != Effect::Nothing || !all.stage_orders.iter().any(gives) {
        return Ok(Vec::new());
    }
    let why = match signature.filter(|signature| signature.verdict != SignatureVerdict::Accepted) {
        Some(signature) => signature.to_string(),
        None => match clone.verdict_of(id, Role::Approver)? {
            None => return Ok(Vec::new()),
            Some(Verdict::Accepted(_)) => return Ok(Vec::new()),
            Some(verdict) => shown(verdict, id).to_string(),
        },
    };
    let refused = |order: StageOrder| match order {
        StageOrder::Approve(what) => Some(RefusedApproval { what, commit: id.to_string(), why: why.clone() }),
        _ => None,
    };
    Ok(all.clone().counting(effect, true).stage_orders.into_iter().filter_map(refused).collect())
}

fn shown(verdict: Verdict, id: CommitId) -> CommitSignature {
    let signature = |verdict, with: Option<SignedWith>, reason| {
        let (key, signer) = with.map(|with| (Some(with.key), with.who)).unwrap_or_default();
        CommitSignature { verdict, commit: id.to_string(), signer, key, reason }
    };
    match verdict {
        Verdict::Accepted(with) => signature(SignatureVerdict::Accepted, Some(with), None),
        Verdict::Refused { with, reason } => signature(SignatureVerdict::Refused, with, Some(reason)),
        Verdict::UnknownKey(key) => CommitSignature { key, ..signature(SignatureVerdict::UnknownKey, None, None) },
        Verdict::Unsigned => signature(SignatureVerdict::Unsigned, None, None),
    }
}
