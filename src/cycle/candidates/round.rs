//! What the registries have of all images that policies govern: a round over their repositories.
//!
//! Repositories whose listing is as it was cost one request. Those where a few tags are new come next, and those with many
//! last, the fewest first: so a registry that is looked at for the first time keeps nobody else waiting. A round with a
//! budget ends with what it has, and the next one goes on from there.

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

use super::findings_cache::{Entry, FindingsCache};
use super::progress::{images, words};
use super::scan::{Looks, Scanner, Stop};
use super::scan_notes::{ImageNote, RoundNotes, ScanNotes};
use super::source_histories::SourceHistories;

/// How many repositories are scanned at a time; the client bounds the requests to each host.
const REPOSITORIES: usize = 16;
/// A repository with more new tags than this waits until all others were asked for.
const FEW: usize = 10;

/// How much of a scan is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extent {
    /// What follows for the fields.
    #[default]
    Settled,
    /// All tags.
    Whole,
}

/// A round over the repositories of images.
pub struct Round<'r> {
    /// The registries.
    pub registry: &'r Client,
    /// The repositories that images are built from.
    pub sources: &'r Sources,
    /// What was handed out before.
    pub part_cache: &'r PartCache,
    /// What is kept of the round before.
    pub kept: &'r FindingsCache,
    /// How much is wanted.
    pub extent: Extent,
    /// When it shall end with what it has.
    pub until: Option<Instant>,
    /// What counts as the time.
    pub now: Timestamp,
}

/// A repository with its policy and the tags that fields hold.
#[derive(Debug, Clone)]
struct Open<'o> {
    repository: &'o Repository,
    rule: &'o Rule,
    held: BTreeSet<&'o Tag>,
}

/// Where the listing of a repository comes from.
#[derive(Debug, Clone, Copy)]
enum Listing {
    /// The registry.
    Asked,
    /// It was asked for in this cycle already; its fingerprint, where that is known.
    AtHand(Option<Fingerprint>),
}

/// What came of a repository.
enum Visit<'o> {
    Done(Open<'o>, Result<Findings, NoFindings>, ScanNotes),
    /// More tags are to be looked into.
    Later(Later<'o>),
    /// There was no time to ask for it.
    Unasked(Open<'o>),
}

/// A repository whose turn comes later.
struct Later<'o> {
    open: Open<'o>,
    looked: usize,
    total: usize,
    fingerprint: Option<Fingerprint>,
}

impl Round<'_> {
    /// FindingsByImage all governed repositories of which `findings` does not tell yet what follows for the fields. A registry that
    /// fails spoils its own images only.
    pub async fn complete(
        &self,
        findings: &mut FindingsByImage,
        inventory: &Inventory,
        policies: &PolicySet,
    ) -> RoundNotes {
        let open = open(inventory, policies);
        self.kept.keep_only(|repository| open.contains_key(repository));
        let mut open: Vec<Open<'_>> = open.into_values().collect();
        open.retain(|open| match findings.get(open.repository) {
            Some(Ok(findings)) => !findings.tells_of(&open.rule.tags, &open.held),
            Some(Err(_)) => false,
            None => true,
        });
        // Where there was no time to ask for all of them, others come first the next time.
        open.sort_by_key(|open| self.kept.asked(open.repository));
        let (looks, histories) = (Looks { until: self.until, ..Looks::default() }, SourceHistories::new(self.sources));
        let (looks, histories) = (&looks, &histories);
        let mut tally = Tally::default();

        let visits = stream::iter(open).map(|open| self.visit(open, Listing::Asked, FEW, looks, histories));
        let mut visits = visits.buffer_unordered(REPOSITORIES);
        while let Some(visit) = visits.next().await {
            tally.take(findings, visit);
        }
        drop(visits);

        let mut later = std::mem::take(&mut tally.later);
        later.sort_by_key(|later| later.total - later.looked);
        let (begun, before) = (Instant::now(), looks.count.load(Ordering::Relaxed));
        let visits = stream::iter(later).map(|later| async move {
            match looks.are_over() {
                true => Visit::Later(later),
                false => self.visit(later.open, Listing::AtHand(later.fingerprint), usize::MAX, looks, histories).await,
            }
        });
        let mut visits = visits.buffered(REPOSITORIES);
        while let Some(visit) = visits.next().await {
            tally.take(findings, visit);
        }
        drop(visits);
        let count = looks.count.load(Ordering::Relaxed) - before;
        tally.finish(findings, (count > 0).then(|| count as f64 / begun.elapsed().as_secs_f64().max(0.001)))
    }

    /// FindingsByImage repositories once more with all of their tags, where what follows for the fields does not suffice. As a rule
    /// nothing is asked for it.
    pub async fn make_whole(
        &self,
        findings: &mut FindingsByImage,
        wanted: &BTreeSet<Repository>,
        inventory: &Inventory,
        policies: &PolicySet,
    ) {
        if wanted.is_empty() {
            return;
        }
        let is_settled = |repository: &Repository| matches!(findings.get(repository), Some(Ok(Findings::Settled(_))));
        let open = open(inventory, policies).into_values();
        let open: Vec<_> =
            open.filter(|open| wanted.contains(open.repository) && is_settled(open.repository)).collect();
        let (looks, histories) = (Looks::default(), SourceHistories::new(self.sources));
        let (looks, histories) = (&looks, &histories);
        let whole = &Round { extent: Extent::Whole, ..*self };
        let visits =
            stream::iter(open).map(|open| whole.visit(open, Listing::AtHand(None), usize::MAX, looks, histories));
        for visit in visits.buffer_unordered(REPOSITORIES).collect::<Vec<_>>().await {
            if let Visit::Done(open, result, _) = visit {
                findings.insert(open.repository.clone(), result);
            }
        }
    }

    async fn visit<'o>(
        &self,
        open: Open<'o>,
        listing: Listing,
        most: usize,
        looks: &Looks,
        histories: &SourceHistories<'_>,
    ) -> Visit<'o> {
        if matches!(open.rule.tags, TagRule::Held) {
            return Visit::Done(open, Ok(Findings::Whole(Candidates::default())), ScanNotes::default());
        }
        let kept = match (self.extent, listing) {
            (Extent::Settled, Listing::Asked) => self.kept.get(open.repository, &open.held, self.now),
            _ => None,
        };
        if looks.are_over() {
            return match kept {
                Some(entry) => entry.visit(open),
                None => Visit::Unasked(open),
            };
        }
        let (fingerprint, tags) = match self.listed(&open, listing, kept.as_deref()).await {
            Ok((fingerprint, Some(tags))) => (fingerprint, tags),
            Ok((_, None)) => {
                return match kept {
                    Some(entry) => entry.visit(open),
                    None => Visit::Unasked(open),
                };
            }
            Err(error) => return Visit::Done(open, Err(error.into()), ScanNotes::default()),
        };
        let (registry, now) = (self.registry, self.now);
        let mut scanner = Scanner::new(registry, open.repository, open.rule, self.part_cache, looks, now);
        scanner.most = most;
        let candidates = scanner.scan(tags, &open.held, histories).await;
        let Scanner { scan_notes, validity, .. } = scanner;
        let result = match candidates {
            Err(Stop::Later { looked, total }) => return Visit::Later(Later { open, looked, total, fingerprint }),
            // The next cycle asks again.
            Err(Stop::None(no @ NoFindings::Failed(_))) => return Visit::Done(open, Err(no), scan_notes),
            Err(Stop::None(no)) => Err(no),
            // What would not be the same another time is not worth being let go of.
            Ok(candidates) if self.extent == Extent::Whole || !validity.outlasts_cycle() => {
                Ok(Findings::Whole(candidates))
            }
            Ok(candidates) => Ok(Findings::Settled(Arc::new(candidates.settle(&open.rule.tags, &open.held)))),
        };
        if let (Extent::Settled, Some(fingerprint)) = (self.extent, fingerprint) {
            self.kept.put(open.repository, fingerprint, &result, &scan_notes, validity);
        }
        Visit::Done(open, result, scan_notes)
    }

    /// The fingerprint and the tags of a listing; no tags where what is kept of it still holds.
    async fn listed(
        &self,
        open: &Open<'_>,
        listing: Listing,
        kept: Option<&Entry>,
    ) -> Result<(Option<Fingerprint>, Option<Vec<Tag>>), RegistryError> {
        if let Listing::AtHand(fingerprint) = listing
            && let Some(tags) = self.registry.last_listed(open.repository)
        {
            return Ok((fingerprint, Some(tags)));
        }
        self.kept.note_asked(open.repository);
        let listed = self.registry.list(open.repository, kept.map(|entry| entry.fingerprint)).await?;
        let mut tags = listed.tags;
        if let (None, Some(entry)) = (&tags, kept)
            && !entry.holds(self.registry, open.repository, self.part_cache).await?
        {
            tags = self.registry.last_listed(open.repository);
            if tags.is_none() {
                tags = self.registry.list(open.repository, None).await?.tags;
            }
        }
        Ok((Some(listed.fingerprint), tags))
    }
}

impl Entry {
    fn visit<'o>(&self, open: Open<'o>) -> Visit<'o> {
        let (result, scan_notes) = self.findings();
        Visit::Done(open, result, scan_notes)
    }
}

/// What comes together in a round.
#[derive(Default)]
struct Tally<'o> {
    told: RoundNotes,
    later: Vec<Later<'o>>,
    unasked: usize,
}

impl<'o> Tally<'o> {
    fn take(&mut self, findings: &mut FindingsByImage, visit: Visit<'o>) {
        match visit {
            Visit::Done(open, result, scan_notes) => {
                findings.insert(open.repository.clone(), result);
                self.told.broken.extend(scan_notes.broken);
                let note = |text| ImageNote { image: open.repository.clone(), text };
                self.told.notes.extend(scan_notes.notes.into_iter().map(note));
            }
            Visit::Later(later) => self.later.push(later),
            Visit::Unasked(open) => {
                let words = "there was no time to ask the registry in this cycle; the next one begins with it";
                findings.insert(open.repository.clone(), Err(NoFindings::Unfinished(words.to_owned())));
                self.unasked += 1;
            }
        }
    }

    /// Says of everything that is left how far it is.
    fn finish(mut self, findings: &mut FindingsByImage, pace: Option<f64>) -> RoundNotes {
        let counts: Vec<(usize, usize)> = self.later.iter().map(|later| (later.looked, later.total)).collect();
        let (of_each, of_all) = words(&counts, pace);
        for (later, words) in self.later.iter().zip(of_each) {
            findings.insert(later.open.repository.clone(), Err(NoFindings::Unfinished(words)));
        }
        self.told.progress.extend(of_all);
        if self.unasked > 0 {
            let words =
                format!("there was no time to ask for {}; the next cycle begins with them", images(self.unasked));
            self.told.progress.push(words);
        }
        self.told
    }
}

/// The repositories that policies govern, each with the tags that fields hold.
fn open<'o>(inventory: &'o Inventory, policies: &'o PolicySet) -> BTreeMap<&'o Repository, Open<'o>> {
    let mut open = BTreeMap::new();
    for (located, rule) in governed(inventory, policies) {
        let repository = &located.field.repository;
        let entry = open.entry(repository).or_insert_with(|| Open { repository, rule, held: BTreeSet::new() });
        entry.held.extend(&located.field.version.tag);
    }
    open
}
