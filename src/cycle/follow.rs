//! From what the registries have to a plan whose images are proved.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::block_in_place;

use crate::image::Repository;
use crate::manifest::inventory::Inventory;
use crate::plan::decide::{self, Openable, Plan, Surveys};
use crate::plan::fallback;
use crate::plan::gate::Proofs;
use crate::plan::skip::Skipped;
use crate::policy::rule::PolicySet;
use crate::policy::scope::Scope;
use crate::registry::client::Client;
use crate::registry::integrity::Audit;
use crate::repo::source::Sources;

use super::error::CycleError;
use super::past::Past;
use super::propose::Heard;
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
    /// What the forge said of pull requests, once it was asked.
    pub heard: Option<Heard>,
    /// The tree that the pass began with.
    first: Option<Arc<Inventory>>,
    /// Tags that cannot be chosen because their images are broken.
    broken: BTreeSet<Skipped>,
}

impl Learned {
    /// What of it a later pass need not ask for again, when there is news of some images only; nothing when it is about
    /// all of them. Proofs are not kept, as they hold for one pass.
    pub fn apart_from(mut self, scope: &Scope) -> Learned {
        let is_kept = |image: &Repository| !scope.covers(image);
        let covered: Vec<Repository> = self.surveys.keys().filter(|image| scope.covers(image)).cloned().collect();
        self.surveys.retain(|image, survey| is_kept(image) && survey.is_ok());
        self.broken.retain(|skipped| is_kept(&skipped.image));
        self.notes.retain(|note| !covered.iter().any(|image| note.starts_with(image.as_str())));
        Learned { surveys: self.surveys, broken: self.broken, notes: self.notes, ..Learned::default() }
    }

    /// Begins the pass anew: what was the tree before it is none of its concern.
    pub fn begin_again(&mut self) {
        self.first = None;
    }

    /// Whether a pass looked at any image that there is news of.
    pub fn knows(&self, scope: &Scope) -> bool {
        self.surveys.keys().any(|image| scope.covers(image))
    }
}

/// Plans what policies ask for, and proves every image of it. A broken winner keeps its place, and the field where it
/// is, unless the policy has a fallback; a held one does so too.
pub async fn plan(
    learned: &mut Learned,
    registry: &Client,
    sources: &Sources,
    inventory: &Arc<Inventory>,
    policies: &PolicySet,
    openable: &Openable,
    past: &mut Past<'_>,
) -> Result<Plan, CycleError> {
    let now = Timestamp::now();
    let aside =
        survey::complete(&mut learned.surveys, registry, sources, inventory, policies, &learned.audit, now).await;
    learned.broken.extend(aside.broken);
    learned.notes.extend(aside.notes);
    // What was surveyed again may say the same again.
    learned.notes.sort();
    learned.notes.dedup();
    registry.flush();
    let first = Arc::clone(learned.first.get_or_insert_with(|| Arc::clone(inventory)));
    loop {
        let mut plan = decide::by_policy(inventory, policies, &learned.surveys, openable);
        if !Arc::ptr_eq(&first, inventory) {
            decide::leave_moved(&mut plan, &first);
        }
        // What is held is not asked for; and what is proved tells how far back to look for holds.
        block_in_place(|| past.keep_back(&mut plan, policies, &learned.surveys, &learned.proofs))?;
        proof::complete(learned, registry, &plan, policies, now).await;
        block_in_place(|| past.keep_back(&mut plan, policies, &learned.surveys, &learned.proofs))?;
        let struck = fallback::strike(&mut learned.surveys, &plan, &learned.proofs, policies);
        if struck.is_empty() {
            plan.skipped.extend(learned.broken.iter().cloned());
            return Ok(plan);
        }
        learned.broken.extend(struck);
    }
}
