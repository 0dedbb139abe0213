//! Falls back to the next best tag if the best one is broken in the registry or lacks proof of its origin, for policies
//! that allow it.

use std::collections::BTreeSet;

use crate::policy::rule::PolicySet;

use super::decide::Update;
use super::findings::Findings;
use super::findings::FindingsByImage;
use super::gate::{Verification, Verifications, wanted};
use super::skip::{Reason, Skipped};

/// Removes broken and unproven tags from the findings of policies with a fallback. Returns what was removed; unless that is empty,
/// the plan has to be made again.
pub fn strike(
    findings: &mut FindingsByImage,
    updates: &[Update],
    verifications: &Verifications,
    policies: &PolicySet,
) -> BTreeSet<Skipped> {
    let mut struck = BTreeSet::new();
    for update in updates {
        let image = &update.field.repository;
        let (Some(verification), Some(tag)) = (verifications.get(&wanted(update)), &update.tag) else { continue };
        let Some((reason, detail)) = flaw(verification) else { continue };
        let falls_back = policies.rule_for(image).is_some_and(|rule| rule.fallback);
        let Some(Ok(Findings::AllTags(candidates))) = findings.get_mut(image).filter(|_| falls_back) else { continue };
        let before = candidates.seen.len();
        candidates.seen.retain(|seen| seen.tag != *tag);
        if candidates.seen.len() < before {
            struck.insert(Skipped::tag(image, tag, reason, detail.to_owned()));
        }
    }
    struck
}

/// Returns why another tag may be chosen instead of an image.
pub fn flaw(verification: &Verification) -> Option<(Reason, &str)> {
    match verification {
        Verification::Broken(detail) => Some((Reason::BlockedImage, detail)),
        Verification::Unproven(detail) => Some((Reason::BlockedSignature, detail)),
        Verification::Complete { .. } | Verification::Unknown(_) => None,
    }
}
