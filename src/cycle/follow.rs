//! From what the registries have to a plan whose images are proved.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::manifest::inventory::Inventory;
use crate::plan::decide::{self, Openable, Plan, Surveys};
use crate::plan::fallback;
use crate::plan::gate::Proofs;
use crate::plan::skip::Skipped;
use crate::policy::rule::PolicySet;
use crate::registry::client::Client;
use crate::registry::integrity::Audit;
use crate::repo::source::Sources;

use super::{proof, survey};

/// What a pass learned of the registries. A new tip does not change it.
#[derive(Debug, Default)]
pub struct Learned {
    /// What they have.
    pub surveys: Surveys,
    /// What is proved of the images that would be written.
    pub proofs: Proofs,
    /// What was asked for to prove it.
    pub audit: Audit,
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// Tags that cannot be chosen because their images are broken.
    broken: BTreeSet<Skipped>,
}

/// Plans what policies ask for, and proves every image of it. A broken winner keeps its place, and the field where it
/// is, unless the policy has a fallback.
pub async fn plan(
    learned: &mut Learned,
    registry: &Client,
    sources: &Sources,
    inventory: &Inventory,
    policies: &PolicySet,
    openable: &Openable,
) -> Plan {
    let now = Timestamp::now();
    let aside = survey::complete(&mut learned.surveys, registry, sources, inventory, policies, now).await;
    learned.broken.extend(aside.broken);
    learned.notes.extend(aside.notes);
    registry.flush();
    loop {
        let mut plan = decide::by_policy(inventory, policies, &learned.surveys, openable);
        proof::complete(learned, registry, &plan, policies, now).await;
        let struck = fallback::strike(&mut learned.surveys, &plan, &learned.proofs, policies);
        if struck.is_empty() {
            plan.skipped.extend(learned.broken.iter().cloned());
            return plan;
        }
        learned.broken.extend(struck);
    }
}
