//! The next best tag where the best is broken in the registry, for policies that ask for it.

use std::collections::BTreeSet;

use crate::policy::rule::PolicySet;

use super::decide::Update;
use super::findings::Findings;
use super::findings::FindingsByImage;
use super::gate::{ImageProof, Proofs, wanted};
use super::skip::{Reason, Skipped};

/// Strikes broken winners off the findings of policies with a fallback. Gives what was struck off, empty when the plan
/// stands; else it is to be made again.
pub fn strike(
    findings: &mut FindingsByImage,
    updates: &[Update],
    proofs: &Proofs,
    policies: &PolicySet,
) -> BTreeSet<Skipped> {
    let mut struck = BTreeSet::new();
    for update in updates {
        let image = &update.field.repository;
        let (Some(ImageProof::Broken(detail)), Some(tag)) = (proofs.get(&wanted(update)), &update.tag) else {
            continue;
        };
        let falls_back = policies.rule_for(image).is_some_and(|rule| rule.fallback);
        let Some(Ok(Findings::Whole(candidates))) = findings.get_mut(image).filter(|_| falls_back) else { continue };
        let before = candidates.seen.len();
        candidates.seen.retain(|seen| seen.tag != *tag);
        if candidates.seen.len() < before {
            struck.insert(Skipped::tag(image, tag, Reason::BlockedImage, detail.clone()));
        }
    }
    struck
}
