//! From what the registries have to a plan whose images are proved.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::block_in_place;

use crate::image::Repository;
use crate::manifest::inventory::Inventory;
use crate::plan::decide::{self, NoSurvey, Openable, Plan, Surveys};
use crate::plan::fallback;
use crate::plan::gate::{ImageProof, Proofs, all_wanted, wanted};
use crate::plan::skip::{Reason, Skipped};
use crate::policy::rule::PolicySet;
use crate::policy::scope::Scope;
use crate::registry::client::Client;
use crate::registry::integrity::PartCache;
use crate::repo::source::Sources;

use super::error::CycleError;
use super::kept::Kept;
use super::past::Past;
use super::proof;
use super::propose::Heard;
use super::round::{Extent, ImageNote, Round};

/// What a pass learned of the registries. A new tip does not change it.
#[derive(Debug, Default)]
pub struct Learned {
    /// What they have.
    pub surveys: Surveys,
    /// What is proved of the images that would be written.
    pub proofs: Proofs,
    /// What was asked for to prove it.
    pub part_cache: PartCache,
    /// What was left out, and why.
    pub notes: BTreeSet<ImageNote>,
    /// How far looks are that have not come to their end.
    pub progress: Vec<String>,
    /// What the forge said of pull requests, once it was asked.
    pub heard: Option<Heard>,
    /// How long registries may be asked; without it to the end.
    pub budget: Option<Budget>,
    /// How much of what registries have is wanted.
    pub extent: Extent,
    /// The tree that the pass began with.
    first: Option<Arc<Inventory>>,
    /// Tags that cannot be chosen because their images are broken.
    broken: BTreeSet<Skipped>,
}

/// How long registries may be asked in a pass.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    begun: Instant,
    each: Duration,
}

impl Budget {
    /// So much for looks from now on, and as much again for proofs.
    pub fn from_now(each: Duration) -> Budget {
        Budget { begun: Instant::now(), each }
    }

    /// After this no further image is looked into. There is some time for it even where git took long.
    pub fn looks(&self) -> Option<Instant> {
        self.begun.checked_add(self.each).max(Instant::now().checked_add(self.each / 4))
    }

    /// After this none is proved.
    pub fn proofs(&self) -> Option<Instant> {
        self.looks().and_then(|looks| looks.checked_add(self.each))
    }
}

impl Learned {
    /// What of it a later pass need not ask for again, when there is news of some images only; nothing when it is about
    /// all of them. Proofs are not kept, as they hold for one pass.
    pub fn apart_from(mut self, scope: &Scope) -> Learned {
        let is_kept = |image: &Repository| !scope.covers(image);
        // A first look that is under way goes on when all of them are looked at.
        let is_known = |survey: &Result<_, NoSurvey>| matches!(survey, Ok(_) | Err(NoSurvey::Unfinished(_)));
        self.surveys.retain(|image, survey| is_kept(image) && is_known(survey));
        self.broken.retain(|skipped| is_kept(&skipped.image));
        self.notes.retain(|note| is_kept(&note.image));
        if *scope == Scope::All {
            self.progress.clear();
        }
        let Learned { surveys, broken, notes, progress, .. } = self;
        Learned { surveys, broken, notes, progress, ..Learned::default() }
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
    (registry, sources, kept): (&Client, &Sources, &Kept),
    inventory: &Arc<Inventory>,
    policies: &PolicySet,
    openable: &Openable,
    past: &mut Past<'_>,
) -> Result<Plan, CycleError> {
    let now = Timestamp::now();
    let (part_cache, extent) = (learned.part_cache.clone(), learned.extent);
    let until = learned.budget.and_then(|budget| budget.looks());
    let round = Round { registry, sources, part_cache: &part_cache, kept, extent, until, now };
    let told = round.complete(&mut learned.surveys, inventory, policies).await;
    learned.broken.extend(told.broken);
    learned.notes.extend(told.notes);
    if !told.progress.is_empty() {
        learned.progress = told.progress;
    }
    block_in_place(|| registry.flush());
    let first = Arc::clone(learned.first.get_or_insert_with(|| Arc::clone(inventory)));
    loop {
        let mut plan = decide::by_policy(inventory, policies, &learned.surveys, openable);
        if !Arc::ptr_eq(&first, inventory) {
            decide::leave_moved(&mut plan, &first);
        }
        let wanted = block_in_place(|| compared(&plan, &learned.proofs, policies, past))?;
        round.make_whole(&mut learned.surveys, &wanted, inventory, policies).await;
        // What is held is not asked for; and what is proved tells how far back to look for holds.
        block_in_place(|| past.keep_back(&mut plan, policies, &learned.surveys, &learned.proofs))?;
        proof::complete(learned, registry, &plan, policies, now).await;
        leave_unproved(&mut plan, &learned.proofs);
        let wanted = block_in_place(|| compared(&plan, &learned.proofs, policies, past))?;
        round.make_whole(&mut learned.surveys, &wanted, inventory, policies).await;
        block_in_place(|| past.keep_back(&mut plan, policies, &learned.surveys, &learned.proofs))?;
        let struck = fallback::strike(&mut learned.surveys, &plan, &learned.proofs, policies);
        if struck.is_empty() {
            plan.skipped.extend(learned.broken.iter().cloned());
            return Ok(plan);
        }
        learned.broken.extend(struck);
    }
}

/// Leaves updates for whose proof there was no time; they are the first of the next pass that are not done.
fn leave_unproved(plan: &mut Plan, proofs: &Proofs) {
    for update in std::mem::take(&mut plan.updates) {
        if all_wanted(&update).iter().all(|wanted| proofs.contains_key(wanted)) {
            plan.updates.push(update);
            continue;
        }
        let detail =
            format!("{}: there was no time to prove the image in this cycle; the next one goes on", update.file);
        plan.skipped.insert(Skipped::field(&update.file, &update.field, update.tag, Reason::NoCandidate, detail));
    }
}

/// The images whose other tags matter, too: those that move while something else was deployed before that is not known to
/// be older, and those that are broken, of which the next best may be taken. They are few, so that their tags fit into
/// memory.
fn compared<'p>(
    plan: &'p Plan,
    proofs: &Proofs,
    policies: &PolicySet,
    past: &mut Past<'_>,
) -> Result<BTreeSet<&'p Repository>, CycleError> {
    let mut images = BTreeSet::new();
    for update in &plan.updates {
        let image = &update.field.repository;
        let is_compared = match proofs.get(&wanted(update)) {
            Some(ImageProof::Whole { created, .. }) => past.has_other_than(update, *created)?,
            Some(ImageProof::Broken(_)) => policies.rule_for(image).is_some_and(|rule| rule.fallback),
            _ => false,
        };
        images.extend(is_compared.then_some(image));
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use crate::policy::scope::Target;

    use super::*;

    #[test]
    fn news_of_an_image_leaves_what_is_known_of_others() {
        let image = |name: &str| -> Repository { name.parse().expect("a name") };
        let note = |name: &str| ImageNote { image: image(name), text: format!("{name}: some tags are left out") };
        let both = || Learned { notes: [note("r.io/org/app"), note("r.io/org/app2")].into(), ..Learned::default() };
        let scope = Scope::Only([Target::image(&image("r.io/org/app"))].into());
        assert_eq!(both().apart_from(&scope).notes, [note("r.io/org/app2")].into());
        assert!(both().apart_from(&Scope::All).notes.is_empty());
    }
}
