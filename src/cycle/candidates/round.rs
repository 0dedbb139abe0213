//! One scan of the repositories of all images that policies govern.
//!
//! Repositories with an unchanged listing cost one request. Those with a few new tags come next, and those with many
//! come last, the fewest first: so a registry that is scanned for the first time does not delay the others. A round
//! with a time limit ends with what it has, and the next one continues from there.
//!
//! Each host is scanned on its own, so that one that is slow, or never finishes, delays only its own images. What is
//! not finished at the end is abandoned.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::cycle::time_limit::{TimeLimit, before, unfinished};
use crate::image::{Repository, Tag};
use crate::manifest::inventory::Inventory;
use crate::plan::candidates::Candidates;
use crate::plan::findings::Findings;
use crate::plan::findings::{FindingsByImage, NoFindings};
use crate::plan::tree_config::TreeConfig;
use crate::policy::rule::Rule;
use crate::policy::tags::TagRule;
use crate::progress::Counter;
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::integrity::PartCache;
use crate::registry::listing::Fingerprint;
use crate::registry::tags::TagList;
use crate::repo::source::Sources;

use super::findings_cache::{CachedFindings, FindingsCache};
use super::inspector::Inspections;
use super::progress::{describe, images};
use super::scan::{Scanner, Stop};
use super::scan_notes::{ImageNote, RoundNotes, ScanNotes};
use super::source_histories::SourceHistories;
use super::validity::Validity;

/// The number of repositories of one host that are scanned at a time; the client limits the requests to each host.
const REPOSITORIES: usize = 16;
/// A repository with more new tags than this waits until all others of its host were scanned.
const FEW: usize = 10;
/// Findings about more tags than this are reduced to the choices for fields.
const MANY: usize = 5_000;

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
    /// The time at which it ends with what it has, and that at which what is not finished is abandoned.
    pub limit: TimeLimit,
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
    /// There was no time, or too little, to query it.
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
        config: &TreeConfig,
    ) -> RoundNotes {
        let followed = followed(inventory, config);
        self.findings_cache.keep_only(|repository| followed.contains_key(repository));
        let mut followed: Vec<Followed<'_>> = followed.into_values().collect();
        followed.retain(|followed| match findings.get(followed.repository) {
            Some(Ok(findings)) => !findings.covers(&followed.rule.tags, &followed.current),
            Some(Err(_)) => false,
            None => true,
        });
        // If there was no time to query all of them, others come first the next time.
        followed.sort_by_key(|followed| self.findings_cache.last_queried(followed.repository));
        let (inspections, histories) = (
            Inspections {
                until: self.limit.last_start,
                progress: Some(Counter::new("images in registries", followed.len())),
                ..Inspections::default()
            },
            SourceHistories::new(self.sources),
        );
        let (inspections, histories) = (&inspections, &histories);
        let mut tally = Tally::default();
        let pace = Pace::default();
        let hosts = by_host(followed).into_values();
        let mut hosts: FuturesUnordered<_> =
            hosts.map(|followed| self.scan_host(followed, inspections, histories, &pace)).collect();
        while let Some(visits) = hosts.next().await {
            visits.into_iter().for_each(|visit| tally.take(findings, visit));
        }
        drop(hosts);
        tally.finish(findings, pace.per_second(inspections))
    }

    /// Scans the repositories of one host: first those with few new tags, then those with many.
    async fn scan_host<'o>(
        &self,
        followed: Vec<Followed<'o>>,
        inspections: &Inspections,
        histories: &SourceHistories<'_>,
        pace: &Pace,
    ) -> Vec<Visit<'o>> {
        let visits = stream::iter(followed)
            .map(|followed| self.visit_in_time(followed, Listing::FromRegistry, FEW, inspections, histories));
        let mut first = pin!(visits.buffer_unordered(REPOSITORIES));
        let (mut done, mut later) = (Vec::new(), Vec::new());
        // Repositories whose listing takes very long must not keep those with many tags waiting forever.
        let half = self.half_time();
        while let Some(visit) = before(half, first.next()).await.flatten() {
            match visit {
                Visit::Later(repository) => later.push(repository),
                visit => done.push(visit),
            }
        }
        later.sort_by_key(|later| later.total - later.inspected);
        if !later.is_empty() {
            pace.begin(inspections);
        }
        let second = stream::iter(later).map(|later| async move {
            if inspections.is_time_up() {
                return Visit::Later(later);
            }
            let listing = Listing::Known(later.fingerprint);
            self.visit_in_time(later.followed, listing, usize::MAX, inspections, histories).await
        });
        done.extend(stream::select(first, second.buffered(REPOSITORIES)).collect::<Vec<_>>().await);
        done
    }

    /// The middle of the time that is left for scans.
    fn half_time(&self) -> Option<Instant> {
        let (now, until) = (Instant::now(), self.limit.last_start?);
        now.checked_add(until.saturating_duration_since(now) / 2)
    }

    /// Visits a repository, and abandons it if it is not finished in time.
    async fn visit_in_time<'o>(
        &self,
        followed: Followed<'o>,
        listing: Listing,
        max_inspections: usize,
        inspections: &Inspections,
        histories: &SourceHistories<'_>,
    ) -> Visit<'o> {
        let begun = Instant::now();
        let visit = self.visit(followed.clone(), listing, max_inspections, inspections, histories);
        let visit = before(self.limit.end, visit).await.unwrap_or_else(|| {
            if !self.limit.was_enough(begun) {
                return Visit::NotQueried(followed);
            }
            let no = NoFindings::Failed(unfinished(followed.repository, begun));
            Visit::Done(followed, Err(no), ScanNotes::default())
        });
        if !matches!(visit, Visit::Later(_)) {
            inspections.progress.iter().for_each(Counter::advance);
        }
        visit
    }

    /// Scans repositories again for all of their tags, if the choices for fields are not enough. This usually needs no
    /// requests.
    pub async fn complete_all_tags(
        &self,
        findings: &mut FindingsByImage,
        wanted: &BTreeSet<Repository>,
        inventory: &Inventory,
        config: &TreeConfig,
    ) {
        if wanted.is_empty() {
            return;
        }
        let has_choices_only =
            |repository: &Repository| matches!(findings.get(repository), Some(Ok(Findings::Choices(_))));
        let followed = followed(inventory, config).into_values();
        let followed: Vec<_> = followed
            .filter(|followed| wanted.contains(followed.repository) && has_choices_only(followed.repository))
            .collect();
        let (inspections, histories) = (Inspections::default(), SourceHistories::new(self.sources));
        let (inspections, histories) = (&inspections, &histories);
        let whole = &Round { detail: ScanDetail::AllTags, ..*self };
        let visits = stream::iter(followed)
            .map(|followed| whole.visit_in_time(followed, Listing::Known(None), usize::MAX, inspections, histories));
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
        // The slot is kept until the tags have been reduced to findings.
        let (fingerprint, tags, _slot) = match self.listed(&followed, listing, cached.as_deref()).await {
            Ok((fingerprint, TagList { tags: Some(tags), slot, .. })) => (fingerprint, tags, slot),
            Ok((_, TagList { tags: None, .. })) => {
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
            Ok(candidates) if self.keeps_all_tags(&candidates, &validity) => Ok(Findings::AllTags(candidates)),
            Ok(candidates) => {
                Ok(Findings::Choices(Arc::new(candidates.choices_for(&followed.rule.tags, &followed.current))))
            }
        };
        if let (ScanDetail::Choices, Some(fingerprint)) = (self.detail, fingerprint) {
            self.findings_cache.put(followed.repository, fingerprint, &result, &scan_notes, validity);
        }
        Visit::Done(followed, result, scan_notes)
    }

    /// Returns whether all tags are kept. Findings that are not cached do not have to be reduced to the choices, unless
    /// they would take much memory until the end of the cycle.
    fn keeps_all_tags(&self, candidates: &Candidates, validity: &Validity) -> bool {
        self.detail == ScanDetail::AllTags || !validity.outlasts_cycle() && candidates.seen.len() <= MANY
    }

    /// Returns the fingerprint, if known, and the tags of a listing, without the tags if the cached findings are still
    /// valid.
    async fn listed(
        &self,
        followed: &Followed<'_>,
        listing: Listing,
        cached: Option<&CachedFindings>,
    ) -> Result<(Option<Fingerprint>, TagList), RegistryError> {
        if let Listing::Known(fingerprint) = listing
            && let Some(last) = self.registry.last_listed(followed.repository).await
        {
            return Ok((fingerprint, last));
        }
        self.findings_cache.note_query(followed.repository);
        let listed = self.registry.list(followed.repository, cached.map(|entry| entry.fingerprint)).await?;
        let fingerprint = Some(listed.fingerprint);
        if let (None, Some(entry)) = (&listed.tags, cached)
            && !entry.holds(self.registry, followed.repository, self.part_cache).await?
        {
            return Ok(match self.registry.last_listed(followed.repository).await {
                Some(last) => (fingerprint, last),
                None => (fingerprint, self.registry.list(followed.repository, None).await?),
            });
        }
        Ok((fingerprint, listed))
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

/// The number of tags that are inspected per second in repositories with many new ones.
#[derive(Default)]
struct Pace(Mutex<Option<(Instant, usize)>>);

impl Pace {
    /// Notes that the first of these repositories is scanned now.
    fn begin(&self, inspections: &Inspections) {
        self.0.lock().get_or_insert_with(|| (Instant::now(), inspections.count.load(Ordering::Relaxed)));
    }

    fn per_second(&self, inspections: &Inspections) -> Option<f64> {
        let (begun, before) = (*self.0.lock())?;
        let count = inspections.count.load(Ordering::Relaxed) - before;
        (count > 0).then(|| count as f64 / begun.elapsed().as_secs_f64().max(0.001))
    }
}

/// Groups repositories by their host, in the same order.
fn by_host(followed: Vec<Followed<'_>>) -> BTreeMap<&str, Vec<Followed<'_>>> {
    let mut hosts: BTreeMap<&str, Vec<Followed<'_>>> = BTreeMap::new();
    for followed in followed {
        hosts.entry(followed.repository.host()).or_default().push(followed);
    }
    hosts
}

/// Returns the repositories that policies govern, each with the current tags of its fields.
fn followed<'o>(inventory: &'o Inventory, config: &'o TreeConfig) -> BTreeMap<&'o Repository, Followed<'o>> {
    let mut followed = BTreeMap::new();
    for (located, rule) in config.governed(inventory) {
        let repository = &located.field.repository;
        let entry =
            followed.entry(repository).or_insert_with(|| Followed { repository, rule, current: BTreeSet::new() });
        entry.current.extend(&located.field.version.tag);
    }
    followed
}
