//! The knowledge of a cycle. A new tip does not change it, so it outlives a lost race.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::image::Repository;
use crate::manifest::inventory::Inventory;
use crate::plan::findings::{FindingsByImage, NoFindings};
use crate::plan::gate::Verifications;
use crate::plan::skip::Skipped;
use crate::policy::scope::Scope;
use crate::registry::integrity::PartCache;
use crate::stage::name::Name;

use super::candidates::round::ScanDetail;
use super::candidates::scan_notes::ImageNote;
use super::evidence::heard::Heard;
use super::time_limit::TimeLimit;
use super::write::pull_requests::PullRequests;
use super::write::stage_pull_request::StagePullRequest;

/// The knowledge of a cycle.
#[derive(Debug, Default)]
pub struct CycleState {
    /// The findings about images.
    pub findings: FindingsByImage,
    /// The verifications of images that would be written.
    pub verifications: Verifications,
    /// The parts of images that were fetched for them.
    pub part_cache: PartCache,
    /// Notes about tags that were ignored.
    pub notes: BTreeSet<ImageNote>,
    /// The progress of unfinished scans.
    pub progress: Vec<String>,
    /// The pull requests at the forge, if they were queried.
    pub pull_requests: Option<PullRequests>,
    /// The pull requests of stages, as far as they were queried.
    pub stage_pull_requests: BTreeMap<Name, StagePullRequest>,
    /// What the forge and the cluster said about checks.
    pub evidence: Heard,
    /// The time for querying registries; unlimited if `None`.
    pub budget: Option<Budget>,
    /// The detail that scans have to deliver.
    pub detail: ScanDetail,
    /// Tags that cannot be chosen because their images are broken, dated in the future, or too old.
    pub broken: BTreeSet<Skipped>,
    /// The number of tags of each image that were refused because they are older than what a field holds.
    pub older: BTreeMap<Repository, usize>,
    /// The inventory of the tip that the cycle began with.
    first: Option<Arc<Inventory>>,
    /// The time when registries were queried first.
    queried: Option<Instant>,
}

/// What registries said longer ago is queried again for another attempt.
const OUTDATED: Duration = Duration::from_secs(10);

/// The least time that is left for what has begun in time.
const LEAST: Duration = Duration::from_secs(2);

/// The time for querying registries in a cycle.
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

    /// Returns the time for scans. If git took long, some is still left. What has begun in time may take half as long
    /// again.
    pub fn scans(&self) -> TimeLimit {
        let last_start = self.begun.checked_add(self.each).max(Instant::now().checked_add(self.each / 4));
        let more = (self.each / 2).max(LEAST);
        TimeLimit { last_start, end: last_start.and_then(|last| last.checked_add(more)) }
    }

    /// Returns the time for the verification of images.
    pub fn verifications(&self) -> TimeLimit {
        let later = |time: Option<Instant>| time.and_then(|time| time.checked_add(self.each));
        let TimeLimit { last_start, end } = self.scans();
        TimeLimit { last_start: later(last_start), end: later(end) }
    }
}

impl CycleState {
    /// Returns what a later cycle about the images of a scope does not have to query again. Verifications are not part
    /// of it, because they are valid for one cycle only.
    pub fn outside(mut self, scope: &Scope) -> CycleState {
        let is_kept = |image: &Repository| !scope.covers(image);
        // An unfinished first scan continues when all images are scanned.
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

    /// Notes that registries are queried now, unless they were before.
    pub fn note_queried(&mut self) {
        self.queried.get_or_insert_with(Instant::now);
    }

    /// Forgets what registries said if that was too long ago. Attempts that lose races take time, and what they would
    /// deploy in the end should be the newest. Registries that failed are not queried again: one that is slow would cost
    /// every attempt as much time as the first.
    pub fn forget_outdated(&mut self) {
        if self.queried.is_some_and(|queried| queried.elapsed() >= OUTDATED) {
            self.queried = None;
            self.findings.retain(|_, findings| matches!(findings, Err(NoFindings::Failed(_))));
            self.older.clear();
            self.verifications.clear();
            self.part_cache = PartCache::default();
        }
    }

    /// Forgets the inventory that the cycle began with, because its tip was not the tip of the branch.
    pub fn begin_again(&mut self) {
        self.first = None;
    }

    /// Returns whether there are findings about any image of a scope.
    pub fn covers(&self, scope: &Scope) -> bool {
        self.findings.keys().any(|image| scope.covers(image))
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::scope::Target;

    use super::*;

    #[test]
    fn a_scope_keeps_the_notes_of_other_images() {
        let image = |name: &str| -> Repository { name.parse().expect("a name") };
        let note = |name: &str| ImageNote { image: image(name), text: format!("{name}: some tags are ignored") };
        let both =
            || CycleState { notes: [note("r.io/org/app"), note("r.io/org/app2")].into(), ..CycleState::default() };
        let scope = Scope::Only([Target::image(&image("r.io/org/app"))].into());
        assert_eq!(both().outside(&scope).notes, [note("r.io/org/app2")].into());
        assert!(both().outside(&Scope::All).notes.is_empty());
    }

    #[test]
    fn registries_are_queried_again_after_a_while() {
        let image: Repository = "r.io/org/app".parse().expect("a name");
        let failed: Repository = "slow.io/org/app".parse().expect("a name");
        let findings = [
            (image.clone(), Err(NoFindings::Absent("gone".to_owned()))),
            (failed.clone(), Err(NoFindings::Failed("did not finish".to_owned()))),
        ];
        let mut state = CycleState { findings: findings.into(), ..CycleState::default() };
        state.note_queried();
        state.forget_outdated();
        assert_eq!(state.findings.len(), 2);
        state.queried = Instant::now().checked_sub(OUTDATED);
        state.note_queried();
        state.forget_outdated();
        assert!(state.findings.into_keys().eq([failed]) && state.queried.is_none());
    }
}
