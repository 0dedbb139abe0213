//! What a cycle has learned so far. A new tip does not change it, so it outlives a lost race.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::image::Repository;
use crate::manifest::inventory::Inventory;
use crate::plan::findings::{FindingsByImage, NoFindings};
use crate::plan::gate::Proofs;
use crate::plan::skip::Skipped;
use crate::policy::scope::Scope;
use crate::registry::integrity::PartCache;

use super::candidates::round::Extent;
use super::candidates::scan_notes::ImageNote;
use super::write::pull_requests::PullRequests;

/// What a cycle has learned so far.
#[derive(Debug, Default)]
pub struct CycleState {
    /// The tags that registries have.
    pub findings: FindingsByImage,
    /// The images that would be written, verified.
    pub proofs: Proofs,
    /// The parts of images that registries handed out for that.
    pub part_cache: PartCache,
    /// Tags that were left out, and why.
    pub notes: BTreeSet<ImageNote>,
    /// How far scans have come that are not finished.
    pub progress: Vec<String>,
    /// The pull requests at the forge, once they were queried.
    pub pull_requests: Option<PullRequests>,
    /// How long registries may be queried; without a limit if `None`.
    pub budget: Option<Budget>,
    /// How much of what registries have is wanted.
    pub extent: Extent,
    /// Tags that cannot be chosen because their images are broken.
    pub broken: BTreeSet<Skipped>,
    /// The inventory of the tip that the cycle began with.
    first: Option<Arc<Inventory>>,
}

/// How long registries may be queried in a cycle.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    begun: Instant,
    each: Duration,
}

impl Budget {
    /// Allows `each` for scans from now on, and as much again for the verification of images.
    pub fn from_now(each: Duration) -> Budget {
        Budget { begun: Instant::now(), each }
    }

    /// Returns when no further tag is scanned. There is some time for it even where git took long.
    pub fn scans(&self) -> Option<Instant> {
        self.begun.checked_add(self.each).max(Instant::now().checked_add(self.each / 4))
    }

    /// Returns when no further image is verified.
    pub fn proofs(&self) -> Option<Instant> {
        self.scans().and_then(|scans| scans.checked_add(self.each))
    }
}

impl CycleState {
    /// Returns what a later cycle about the images of a scope need not ask again. Verified images are not part of it, as
    /// they hold for one cycle.
    pub fn outside(mut self, scope: &Scope) -> CycleState {
        let is_kept = |image: &Repository| !scope.covers(image);
        // A first scan that is under way goes on when all images are scanned.
        let is_known =
            |candidates: &Result<_, NoFindings>| matches!(candidates, Ok(_) | Err(NoFindings::Unfinished(_)));
        self.findings.retain(|image, candidates| is_kept(image) && is_known(candidates));
        self.broken.retain(|skipped| is_kept(&skipped.image));
        self.notes.retain(|note| is_kept(&note.image));
        if *scope == Scope::All {
            self.progress.clear();
        }
        let CycleState { findings, broken, notes, progress, .. } = self;
        CycleState { findings, broken, notes, progress, ..CycleState::default() }
    }

    /// Returns the inventory that the cycle began with, which is this one if there was none before.
    pub fn first_inventory(&mut self, inventory: &Arc<Inventory>) -> Arc<Inventory> {
        Arc::clone(self.first.get_or_insert_with(|| Arc::clone(inventory)))
    }

    /// Forgets the tip that the cycle began with, because it was not the tip of the branch.
    pub fn begin_again(&mut self) {
        self.first = None;
    }

    /// Returns whether any image of a scope is known.
    pub fn covers(&self, scope: &Scope) -> bool {
        self.findings.keys().any(|image| scope.covers(image))
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::scope::Target;

    use super::*;

    #[test]
    fn updates_of_an_image_leave_what_is_known_of_others() {
        let image = |name: &str| -> Repository { name.parse().expect("a name") };
        let note = |name: &str| ImageNote { image: image(name), text: format!("{name}: some tags are left out") };
        let both =
            || CycleState { notes: [note("r.io/org/app"), note("r.io/org/app2")].into(), ..CycleState::default() };
        let scope = Scope::Only([Target::image(&image("r.io/org/app"))].into());
        assert_eq!(both().outside(&scope).notes, [note("r.io/org/app2")].into());
        assert!(both().outside(&Scope::All).notes.is_empty());
    }
}
