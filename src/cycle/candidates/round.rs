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
use crate::plan::decide::{NoSurvey, Survey, Surveys, governed};
use crate::plan::findings::Findings;
use crate::plan::skip::Skipped;
use crate::policy::rule::{PolicySet, Rule};
use crate::policy::tags::TagRule;
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::integrity::PartCache;
use crate::registry::listing::Fingerprint;
use crate::repo::source::Sources;

use super::kept::{Entry, Kept};
use super::progress::{images, words};
use super::scan::{Aside, Looks, Stop, Surveyor};
use super::source_histories::Lineages;

/// How many repositories are surveyed at a time; the client bounds the requests to each host.
const REPOSITORIES: usize = 16;
/// A repository with more new tags than this waits until all others were asked for.
const FEW: usize = 10;

/// What else there is to say of a round.
#[derive(Debug, Default)]
pub struct Told {
    /// Tags that cannot be judged, because their images are too broken to tell when they were built.
    pub broken: Vec<Skipped>,
    /// What was left out, and why.
    pub notes: Vec<ImageNote>,
    /// How far looks are that have not come to their end.
    pub progress: Vec<String>,
}

/// What was left out of an image's tags, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageNote {
    /// The image.
    pub image: Repository,
    /// What there is to say, the image's name included.
    pub text: String,
}

/// How much of a survey is wanted.
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
    pub kept: &'r Kept,
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
    /// It was asked for in this pass already; its fingerprint, where that is known.
    AtHand(Option<Fingerprint>),
}

/// What came of a repository.
enum Visit<'o> {
    Done(Open<'o>, Result<Findings, NoSurvey>, Aside),
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
    /// Surveys all governed repositories of which `surveys` does not tell yet what follows for the fields. A registry that
    /// fails spoils its own images only.
    pub async fn complete(&self, surveys: &mut Surveys, inventory: &Inventory, policies: &PolicySet) -> Told {
        let open = open(inventory, policies);
        self.kept.keep_only(|repository| open.contains_key(repository));
        let mut open: Vec<Open<'_>> = open.into_values().collect();
        open.retain(|open| match surveys.get(open.repository) {
            Some(Ok(findings)) => !findings.tells_of(&open.rule.tags, &open.held),
            Some(Err(_)) => false,
            None => true,
        });
        // Where there was no time to ask for all of them, others come first the next time.
        open.sort_by_key(|open| self.kept.asked(open.repository));
        let (looks, lineages) = (Looks { until: self.until, ..Looks::default() }, Lineages::new(self.sources));
        let (looks, lineages) = (&looks, &lineages);
        let mut tally = Tally::default();

        let visits = stream::iter(open).map(|open| self.visit(open, Listing::Asked, FEW, looks, lineages));
        let mut visits = visits.buffer_unordered(REPOSITORIES);
        while let Some(visit) = visits.next().await {
            tally.take(surveys, visit);
        }
        drop(visits);

        let mut later = std::mem::take(&mut tally.later);
        later.sort_by_key(|later| later.total - later.looked);
        let (begun, before) = (Instant::now(), looks.count.load(Ordering::Relaxed));
        let visits = stream::iter(later).map(|later| async move {
            match looks.are_over() {
                true => Visit::Later(later),
                false => self.visit(later.open, Listing::AtHand(later.fingerprint), usize::MAX, looks, lineages).await,
            }
        });
        let mut visits = visits.buffered(REPOSITORIES);
        while let Some(visit) = visits.next().await {
            tally.take(surveys, visit);
        }
        drop(visits);
        let count = looks.count.load(Ordering::Relaxed) - before;
        tally.finish(surveys, (count > 0).then(|| count as f64 / begun.elapsed().as_secs_f64().max(0.001)))
    }

    /// Surveys repositories once more with all of their tags, where what follows for the fields does not suffice. As a rule
    /// nothing is asked for it.
    pub async fn make_whole(
        &self,
        surveys: &mut Surveys,
        wanted: &BTreeSet<Repository>,
        inventory: &Inventory,
        policies: &PolicySet,
    ) {
        if wanted.is_empty() {
            return;
        }
        let is_settled = |repository: &Repository| matches!(surveys.get(repository), Some(Ok(Findings::Settled(_))));
        let open = open(inventory, policies).into_values();
        let open: Vec<_> =
            open.filter(|open| wanted.contains(open.repository) && is_settled(open.repository)).collect();
        let (looks, lineages) = (Looks::default(), Lineages::new(self.sources));
        let (looks, lineages) = (&looks, &lineages);
        let whole = &Round { extent: Extent::Whole, ..*self };
        let visits =
            stream::iter(open).map(|open| whole.visit(open, Listing::AtHand(None), usize::MAX, looks, lineages));
        for visit in visits.buffer_unordered(REPOSITORIES).collect::<Vec<_>>().await {
            if let Visit::Done(open, result, _) = visit {
                surveys.insert(open.repository.clone(), result);
            }
        }
    }

    async fn visit<'o>(
        &self,
        open: Open<'o>,
        listing: Listing,
        most: usize,
        looks: &Looks,
        lineages: &Lineages<'_>,
    ) -> Visit<'o> {
        if matches!(open.rule.tags, TagRule::Held) {
            return Visit::Done(open, Ok(Findings::Whole(Survey::default())), Aside::default());
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
            Err(error) => return Visit::Done(open, Err(error.into()), Aside::default()),
        };
        let (registry, now) = (self.registry, self.now);
        let mut surveyor = Surveyor::new(registry, open.repository, open.rule, self.part_cache, looks, now);
        surveyor.most = most;
        let survey = surveyor.survey(tags, &open.held, lineages).await;
        let Surveyor { aside, lasting, .. } = surveyor;
        let result = match survey {
            Err(Stop::Later { looked, total }) => return Visit::Later(Later { open, looked, total, fingerprint }),
            // The next cycle asks again.
            Err(Stop::None(no @ NoSurvey::Failed(_))) => return Visit::Done(open, Err(no), aside),
            Err(Stop::None(no)) => Err(no),
            // What would not be the same another time is not worth being let go of.
            Ok(survey) if self.extent == Extent::Whole || !lasting.lasts() => Ok(Findings::Whole(survey)),
            Ok(survey) => Ok(Findings::Settled(Arc::new(survey.settle(&open.rule.tags, &open.held)))),
        };
        if let (Extent::Settled, Some(fingerprint)) = (self.extent, fingerprint) {
            self.kept.put(open.repository, fingerprint, &result, &aside, lasting);
        }
        Visit::Done(open, result, aside)
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
        let (result, aside) = self.findings();
        Visit::Done(open, result, aside)
    }
}

/// What comes together in a round.
#[derive(Default)]
struct Tally<'o> {
    told: Told,
    later: Vec<Later<'o>>,
    unasked: usize,
}

impl<'o> Tally<'o> {
    fn take(&mut self, surveys: &mut Surveys, visit: Visit<'o>) {
        match visit {
            Visit::Done(open, result, aside) => {
                surveys.insert(open.repository.clone(), result);
                self.told.broken.extend(aside.broken);
                let note = |text| ImageNote { image: open.repository.clone(), text };
                self.told.notes.extend(aside.notes.into_iter().map(note));
            }
            Visit::Later(later) => self.later.push(later),
            Visit::Unasked(open) => {
                let words = "there was no time to ask the registry in this cycle; the next one begins with it";
                surveys.insert(open.repository.clone(), Err(NoSurvey::Unfinished(words.to_owned())));
                self.unasked += 1;
            }
        }
    }

    /// Says of everything that is left how far it is.
    fn finish(mut self, surveys: &mut Surveys, pace: Option<f64>) -> Told {
        let counts: Vec<(usize, usize)> = self.later.iter().map(|later| (later.looked, later.total)).collect();
        let (of_each, of_all) = words(&counts, pace);
        for (later, words) in self.later.iter().zip(of_each) {
            surveys.insert(later.open.repository.clone(), Err(NoSurvey::Unfinished(words)));
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
