//! One scan of the repositories of all images that policies govern.
//!
//! Repositories with an unchanged listing cost one request. Those with a few new tags come next, and those with many
//! come last, the fewest first: so a registry that is scanned for the first time does not delay the others. A round
//! with a time limit ends with what it has, and the next one continues from there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::image::{Repository, Tag};
use crate::manifest::inventory::Inventory;
use crate::plan::candidates::Candidates;
use crate::plan::decide::governed;
use crate::plan::findings::Findings;
use crate::plan::findings::{FindingsByImage, NoFindings};
use crate::policy::rule::{PolicySet, Rule};
use crate::policy::tags::TagRule;
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::integrity::PartCache;
use crate::registry::listing::Fingerprint;
use crate::repo::source::Sources;

use super::findings_cache::{CachedFindings, FindingsCache};
use super::progress::{describe, images};
use super::scan::{Inspections, Scanner, Stop};
use super::scan_notes::{ImageNote, RoundNotes, ScanNotes};
use super::source_histories::SourceHistories;

/// The number of repositories that are scanned at a time; the client limits the requests to each host.
const REPOSITORIES: usize = 16;
/// A repository with more new tags than this waits until all others were scanned.
const FEW: usize = 10;

/// The detail that a scan has to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScanDetail {
    /// The choices for fields.
    #[default]
    Choices,
    /// All tags with what is known about them.
    AllTags,
}

/// One scan of the repositories of images.
pub struct Round<'r> {
    /// The registries.
    pub registry: &'r Client,
    /// The repositories from which images are built.
    pub sources: &'r Sources,
    /// The parts of images that were fetched before.
    pub part_cache: &'r PartCache,
    /// The findings of earlier rounds.
    pub findings_cache: &'r FindingsCache,
    /// The detail to deliver.
    pub detail: ScanDetail,
    /// The time at which it ends with what it has.
    pub until: Option<Instant>,
    /// The current time.
    pub now: Timestamp,
}

/// A repository with its policy and the current tags of its fields.
#[derive(Debug, Clone)]
struct Followed<'o> {
    repository: &'o Repository,
    rule: &'o Rule,
    current: BTreeSet<&'o Tag>,
}

/// The origin of a repository's listing.
#[derive(Debug, Clone, Copy)]
enum Listing {
    /// It is queried from the registry.
    FromRegistry,
    /// It was queried in this cycle already, with this fingerprint if known.
    Known(Option<Fingerprint>),
}

/// The result of visiting a repository.
enum Visit<'o> {
    Done(Followed<'o>, Result<Findings, NoFindings>, ScanNotes),
    /// More tags have to be inspected.
    Later(Later<'o>),
    /// There was no time to query it.
    NotQueried(Followed<'o>),
}

/// A repository that is scanned after the others.
struct Later<'o> {
    followed: Followed<'o>,
    inspected: usize,
    total: usize,
    fingerprint: Option<Fingerprint>,
}

impl Round<'_> {
    /// Scans all governed repositories for which `findings` has no choices yet. A registry that fails affects only its
    /// own images.
    pub async fn complete(
        &self,
        findings: &mut FindingsByImage,
        inventory: &Inventory,
        policies: &PolicySet,
    ) -> RoundNotes {
        let followed = followed(inventory, policies);
        self.findings_cache.keep_only(|repository| followed.contains_key(repository));
        let mut followed: Vec<Followed<'_>> = followed.into_values().collect();
        followed.retain(|followed| match findings.get(followed.repository) {
            Some(Ok(findings)) => !findings.covers(&followed.rule.tags, &followed.current),
            Some(Err(_)) => false,
            None => true,
        });
        // If there was no time to query all of them, others come first the next time.
        followed.sort_by_key(|followed| self.findings_cache.last_queried(followed.repository));
        let (inspections, histories) =
            (Inspections { until: self.until, ..Inspections::default() }, SourceHistories::new(self.sources));
        let (inspections, histories) = (&inspections, &histories);
        let mut tally = Tally::default();

        let visits = stream::iter(followed)
            .map(|followed| self.visit(followed, Listing::FromRegistry, FEW, inspections, histories));
        let mut visits = visits.buffer_unordered(REPOSITORIES);
        while let Some(visit) = visits.next().await {
            tally.take(findings, visit);
        }
        drop(visits);

        let mut later = std::mem::take(&mut tally.later);
        later.sort_by_key(|later| later.total - later.inspected);
        let (begun, before) = (Instant::now(), inspections.count.load(Ordering::Relaxed));
        let visits = stream::iter(later).map(|later| async move {
            if inspections.is_time_up() {
                Visit::Later(later)
            } else {
                self.visit(later.followed, Listing::Known(later.fingerprint), usize::MAX, inspections, histories).await
            }
        });
        let mut visits = visits.buffered(REPOSITORIES);
        while let Some(visit) = visits.next().await {
            tally.take(findings, visit);
        }
        drop(visits);
        let count = inspections.count.load(Ordering::Relaxed) - before;
        tally.finish(findings, (count > 0).then(|| count as f64 / begun.elapsed().as_secs_f64().max(0.001)))
    }

    /// Scans repositories again for all of their tags, if the choices for fields are not enough. This usually needs no
    /// requests.
    pub async fn complete_all_tags(
        &self,
        findings: &mut FindingsByImage,
        wanted: &BTreeSet<Repository>,
        inventory: &Inventory,
        policies: &PolicySet,
    ) {
        if wanted.is_empty() {
            return;
        }
        let has_choices_only =
            |repository: &Repository| matches!(findings.get(repository), Some(Ok(Findings::Choices(_))));
        let followed = followed(inventory, policies).into_values();
        let followed: Vec<_> = followed
            .filter(|followed| wanted.contains(followed.repository) && has_choices_only(followed.repository))
            .collect();
        let (inspections, histories) = (Inspections::default(), SourceHistories::new(self.sources));
        let (inspections, histories) = (&inspections, &histories);
        let whole = &Round { detail: ScanDetail::AllTags, ..*self };
        let visits = stream::iter(followed)
            .map(|followed| whole.visit(followed, Listing::Known(None), usize::MAX, inspections, histories));
        for visit in visits.buffer_unordered(REPOSITORIES).collect::<Vec<_>>().await {
            if let Visit::Done(followed, result, _) = visit {
                findings.insert(followed.repository.clone(), result);
            }
        }
    }

    async fn visit<'o>(
        &self,
        followed: Followed<'o>,
        listing: Listing,
        max_inspections: usize,
        inspections: &Inspections,
        histories: &SourceHistories<'_>,
    ) -> Visit<'o> {
        if matches!(followed.rule.tags, TagRule::Held) {
            return Visit::Done(followed, Ok(Findings::AllTags(Candidates::default())), ScanNotes::default());
        }
        let cached = match (self.detail, listing) {
            (ScanDetail::Choices, Listing::FromRegistry) => {
                self.findings_cache.get(followed.repository, &followed.current, self.now)
            }
            _ => None,
        };
        if inspections.is_time_up() {
            return match cached {
                Some(entry) => entry.visit(followed),
                None => Visit::NotQueried(followed),
            };
        }
        let (fingerprint, tags) = match self.listed(&followed, listing, cached.as_deref()).await {
            Ok((fingerprint, Some(tags))) => (fingerprint, tags),
            Ok((_, None)) => {
                return match cached {
                    Some(entry) => entry.visit(followed),
                    None => Visit::NotQueried(followed),
                };
            }
            Err(error) => return Visit::Done(followed, Err(error.into()), ScanNotes::default()),
        };
        let (registry, now) = (self.registry, self.now);
        let mut scanner = Scanner::new(registry, followed.repository, followed.rule, self.part_cache, inspections, now);
        scanner.max_inspections = max_inspections;
        let candidates = scanner.scan(tags, &followed.current, histories).await;
        let Scanner { scan_notes, validity, .. } = scanner;
        let result = match candidates {
            Err(Stop::Later { inspected, total }) => {
                return Visit::Later(Later { followed, inspected, total, fingerprint });
            }
            // The next cycle tries again.
            Err(Stop::None(no @ NoFindings::Failed(_))) => return Visit::Done(followed, Err(no), scan_notes),
            Err(Stop::None(no)) => Err(no),
            // Findings that are not cached do not have to be reduced to the choices.
            Ok(candidates) if self.detail == ScanDetail::AllTags || !validity.outlasts_cycle() => {
                Ok(Findings::AllTags(candidates))
            }
            Ok(candidates) => {
                Ok(Findings::Choices(Arc::new(candidates.choices_for(&followed.rule.tags, &followed.current))))
            }
        };
        if let (ScanDetail::Choices, Some(fingerprint)) = (self.detail, fingerprint) {
            self.findings_cache.put(followed.repository, fingerprint, &result, &scan_notes, validity);
        }
        Visit::Done(followed, result, scan_notes)
    }

    /// Returns the fingerprint and the tags of a listing, without the tags if the cached findings are still valid.
    async fn listed(
        &self,
        followed: &Followed<'_>,
        listing: Listing,
        cached: Option<&CachedFindings>,
    ) -> Result<(Option<Fingerprint>, Option<Vec<Tag>>), RegistryError> {
        if let Listing::Known(fingerprint) = listing
            && let Some(tags) = self.registry.last_listed(followed.repository)
        {
            return Ok((fingerprint, Some(tags)));
        }
        self.findings_cache.note_query(followed.repository);
        let listed = self.registry.list(followed.repository, cached.map(|entry| entry.fingerprint)).await?;
        let mut tags = listed.tags;
        if let (None, Some(entry)) = (&tags, cached)
            && !entry.holds(self.registry, followed.repository, self.part_cache).await?
        {
            tags = self.registry.last_listed(followed.repository);
            if tags.is_none() {
                tags = self.registry.list(followed.repository, None).await?.tags;
            }
        }
        Ok((Some(listed.fingerprint), tags))
    }
}

impl CachedFindings {
    fn visit<'o>(&self, followed: Followed<'o>) -> Visit<'o> {
        let (result, scan_notes) = self.findings();
        Visit::Done(followed, result, scan_notes)
    }
}

/// The combined results of a round.
#[derive(Default)]
struct Tally<'o> {
    round_notes: RoundNotes,
    later: Vec<Later<'o>>,
    not_queried: usize,
}

impl<'o> Tally<'o> {
    fn take(&mut self, findings: &mut FindingsByImage, visit: Visit<'o>) {
        match visit {
            Visit::Done(followed, result, scan_notes) => {
                findings.insert(followed.repository.clone(), result);
                self.round_notes.broken.extend(scan_notes.broken);
                let note = |text| ImageNote { image: followed.repository.clone(), text };
                self.round_notes.notes.extend(scan_notes.notes.into_iter().map(note));
            }
            Visit::Later(later) => self.later.push(later),
            Visit::NotQueried(followed) => {
                let text = "there was no time to query the registry in this cycle; the next one starts with this image";
                findings.insert(followed.repository.clone(), Err(NoFindings::Unfinished(text.to_owned())));
                self.not_queried += 1;
            }
        }
    }

    /// Adds the progress of repositories that are not finished.
    fn finish(mut self, findings: &mut FindingsByImage, pace: Option<f64>) -> RoundNotes {
        let counts: Vec<(usize, usize)> = self.later.iter().map(|later| (later.inspected, later.total)).collect();
        let (of_each, of_all) = describe(&counts, pace);
        for (later, text) in self.later.iter().zip(of_each) {
            findings.insert(later.followed.repository.clone(), Err(NoFindings::Unfinished(text)));
        }
        self.round_notes.progress.extend(of_all);
        if self.not_queried > 0 {
            let text = format!(
                "there was no time to scan {}; the next cycle starts with what was left out",
                images(self.not_queried)
            );
            self.round_notes.progress.push(text);
        }
        self.round_notes
    }
}

/// Returns the repositories that policies govern, each with the current tags of its fields.
fn followed<'o>(inventory: &'o Inventory, policies: &'o PolicySet) -> BTreeMap<&'o Repository, Followed<'o>> {
    let mut followed = BTreeMap::new();
    for (located, rule) in governed(inventory, policies) {
        let repository = &located.field.repository;
        let entry =
            followed.entry(repository).or_insert_with(|| Followed { repository, rule, current: BTreeSet::new() });
        entry.current.extend(&located.field.version.tag);
    }
    followed
}
