//! What a registry has of one image: the tags that can be chosen, in their order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::image::{Repository, Tag, Version};
use crate::plan::candidates::{Candidates, CurrentTag};
use crate::plan::findings::NoFindings;
use crate::plan::skip::{Reason, Skipped};
use crate::policy::builds::Content;
use crate::policy::digits::Doubt;
use crate::policy::likely_newest::likely_newest_first;
use crate::policy::minimum_age::{unknown_age, waits};
use crate::policy::order::{Order, Standing};
use crate::policy::rule::Rule;
use crate::policy::seen::{Position, Seen};
use crate::policy::tags::{Misfit, ShaForm, TagRule};
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::integrity::PartCache;
use crate::registry::metadata::ImageMetadata;

use super::builds::{self, BuildScan, Contents, unread};
use super::commit_order::CommitOrder;
use super::scan_notes::ScanNotes;
use super::source_histories::SourceHistories;
use super::validity::{Presence, Validity};

/// How many tags of a repository are looked into at a time.
const TAGS: usize = 8;
/// How many tags that are digits alone, and may be no commits, are looked into in one cycle.
const DOUBTFUL: usize = 100;

/// How long looks may take, and how many they are.
#[derive(Debug, Default)]
pub struct Looks {
    /// After this no look is begun.
    pub until: Option<Instant>,
    /// How many images were looked into.
    pub count: AtomicUsize,
}

impl Looks {
    /// Whether it is too late for another one.
    pub fn are_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// Why a scan did not come to its end.
#[derive(Debug)]
pub enum Stop {
    /// There is none.
    None(NoFindings),
    /// More tags are to be looked into than there is time for.
    Later {
        /// How many tags were looked into.
        looked: usize,
        /// How many there are to look into.
        total: usize,
    },
}

/// The scan of one repository under way.
pub struct Scanner<'s> {
    /// Where it is asked for.
    pub registry: &'s Client,
    /// The repository.
    pub repository: &'s Repository,
    /// The policy that governs it.
    pub rule: &'s Rule,
    /// What the registry handed out.
    pub part_cache: &'s PartCache,
    /// The looks of this cycle.
    pub looks: &'s Looks,
    /// How many tags are looked into at most; where there are more, the scan waits for its turn.
    pub most: usize,
    /// What counts as the time.
    pub now: Timestamp,
    /// What there is to say besides.
    pub scan_notes: ScanNotes,
    /// How long it is good for while the registry lists the same tags.
    pub validity: Validity,
    /// What was learned of the tags before.
    known: HashMap<Tag, ImageMetadata>,
}

/// What a look at an image gave.
enum Look {
    /// What is known of it.
    Image(ImageMetadata),
    /// It is not there any more.
    Gone,
    /// It is too broken to tell.
    Broken(String),
}

impl From<NoFindings> for Stop {
    fn from(no: NoFindings) -> Stop {
        Stop::None(no)
    }
}

impl From<RegistryError> for Stop {
    fn from(error: RegistryError) -> Stop {
        Stop::None(error.into())
    }
}

impl From<RegistryError> for NoFindings {
    fn from(error: RegistryError) -> NoFindings {
        match error.is_not_found() {
            true => NoFindings::Absent(error.to_string()),
            false => NoFindings::Failed(error.to_string()),
        }
    }
}

impl<'s> Scanner<'s> {
    /// A scan that begins.
    pub fn new(
        registry: &'s Client,
        repository: &'s Repository,
        rule: &'s Rule,
        part_cache: &'s PartCache,
        looks: &'s Looks,
        now: Timestamp,
    ) -> Scanner<'s> {
        let (scan_notes, validity, known) = Default::default();
        Scanner { registry, repository, rule, part_cache, looks, most: usize::MAX, now, scan_notes, validity, known }
    }

    /// FindingsByImage the tags that the registry lists, and those that fields hold.
    #[tracing::instrument(level = "debug", skip_all, fields(image = %self.repository))]
    pub async fn scan(
        &mut self,
        mut tags: Vec<Tag>,
        held: &BTreeSet<&Tag>,
        histories: &SourceHistories<'_>,
    ) -> Result<Candidates, Stop> {
        let listed: BTreeSet<Tag> = tags.iter().cloned().collect();
        tags.retain(|tag| self.rule.tag_patterns.allows(tag));
        if tags.is_empty() && !listed.is_empty() {
            let detail = format!("`allow` and `ignore` leave none of {} tags", listed.len());
            return Err(NoFindings::Absent(detail).into());
        }
        let mut contents = Contents::new();
        let mut candidates = match &self.rule.tags {
            TagRule::Sha { order: Order::Built, .. } => self.by_age(tags, &listed, held, &mut contents).await,
            TagRule::Sha { order: Order::Pushed, .. } => self.by_push(tags, &listed, held).await,
            TagRule::Sha { order: Order::Commit(branch), form } => {
                // The branch moves on, whatever the registry lists.
                self.validity.end_with_cycle();
                let (registry, repository) = (self.registry, self.repository);
                let commit_order = CommitOrder { registry, repository, branch, form, histories };
                Ok(self.by_commit(commit_order, tags, held).await?)
            }
            _ => Ok(self.by_rank(tags).await?),
        }?;
        let are_all_read = self.build_scan().builds(&mut candidates, contents).await?;
        if !are_all_read || candidates.seen.iter().any(|seen| seen.doubt == Some(Doubt::Unread)) {
            // What was not read is looked into the next time.
            self.validity.end_with_cycle();
        }
        Ok(candidates)
    }

    fn build_scan(&self) -> BuildScan<'_> {
        BuildScan { registry: self.registry, repository: self.repository, rule: self.rule, part_cache: self.part_cache }
    }

    /// Where commits decide, tags say them by their names, and few images are looked into.
    async fn by_commit(
        &mut self,
        commit_order: CommitOrder<'_>,
        tags: Vec<Tag>,
        held: &BTreeSet<&Tag>,
    ) -> Result<Candidates, NoFindings> {
        let mut shortlist = self.rule.tags.shortlist(tags);
        // The history tells which of them are commits.
        let doubtful: BTreeSet<Tag> = shortlist.doubtful.iter().cloned().collect();
        shortlist.fitting.append(&mut shortlist.doubtful);
        if shortlist.fitting.is_empty() {
            let held = self.of_form(held).into_iter().map(|tag| (tag, builds::held(Position::NotQueried)));
            return Ok(Candidates { seen: unplaced(shortlist.dropped).collect(), held: held.collect() });
        }
        let fitting = match commit_order.form {
            ShaForm::Labelled(_) => {
                self.known = self.registry.known_images(self.repository);
                let (known, unknown) = self.within_limit(shortlist.fitting);
                [known, unknown].concat()
            }
            ShaForm::Usual | ShaForm::Pattern(_) => shortlist.fitting,
        };
        let mut candidates = commit_order.place(fitting, self.of_form(held), &mut self.scan_notes.notes).await?;
        candidates.seen = self.old_enough(candidates.seen).await?;
        for seen in candidates.seen.iter_mut().filter(|seen| seen.standing.is_none() && doubtful.contains(&seen.tag)) {
            seen.doubt = Some(Doubt::NotOnBranch);
        }
        candidates.seen.extend(unplaced(shortlist.dropped));
        Ok(candidates)
    }

    /// Where the time of the push decides, the registry's own API tells it.
    async fn by_push(
        &mut self,
        tags: Vec<Tag>,
        listed: &BTreeSet<Tag>,
        held: &BTreeSet<&Tag>,
    ) -> Result<Candidates, Stop> {
        if !self.registry.reports_push_times(self.repository) {
            let host = self.repository.host();
            let detail = format!("`order: pushed` needs the API of {host}: say which it is, registries[].api");
            return Err(NoFindings::Absent(detail).into());
        }
        let shortlist = self.rule.tags.shortlist(tags);
        let held = self.of_form(held);
        let wanted: BTreeSet<&Tag> = shortlist.fitting.iter().chain(&shortlist.doubtful).chain(&held).collect();
        let pushed = self.registry.push_times(self.repository, &wanted).await?;
        if wanted.iter().any(|tag| !pushed.contains_key(*tag)) {
            // The API may come to tell it.
            self.validity.end_with_cycle();
        }
        let standing = |tag: &Tag| pushed.get(tag).copied().map(Standing::At);
        let mut seen: Vec<Seen> =
            shortlist.fitting.into_iter().map(Seen::from).chain(unread(shortlist.doubtful)).collect();
        for seen in &mut seen {
            seen.standing = standing(&seen.tag);
            // Where it stands in the order nobody will ever know.
            seen.doubt = seen.doubt.map(|doubt| if seen.standing.is_none() { Doubt::Unlabelled } else { doubt });
        }
        self.build_scan().settle(&mut seen).await?;
        let (doubtful, sure): (Vec<Seen>, Vec<Seen>) = seen.into_iter().partition(|seen| seen.doubt.is_some());
        let mut seen = self.old_enough(sure).await?;
        seen.extend(doubtful);
        seen.extend(unplaced(shortlist.dropped));
        let age = |tag: &Tag| match standing(tag) {
            Some(at) => Position::Known(at),
            None if listed.contains(tag) => Position::Unknown,
            None => Position::Gone,
        };
        Ok(Candidates { seen, held: held.into_iter().map(|tag| (tag.clone(), builds::held(age(&tag)))).collect() })
    }

    /// The tags of fields that are of the policy's form.
    fn of_form(&self, held: &BTreeSet<&Tag>) -> Vec<Tag> {
        held.iter().filter(|tag| self.rule.tags.measure(tag).is_ok()).map(|tag| (*tag).clone()).collect()
    }

    /// Where the age decides, every tag that fits is looked into: once, as it is taken not to move.
    async fn by_age(
        &mut self,
        tags: Vec<Tag>,
        listed: &BTreeSet<Tag>,
        held: &BTreeSet<&Tag>,
        contents: &mut Contents,
    ) -> Result<Candidates, Stop> {
        let shortlist = self.rule.tags.shortlist(tags);
        self.known = self.registry.known_images(self.repository);
        let (known, unknown) = self.within_limit(shortlist.fitting);
        let total = known.len() + unknown.len();
        if unknown.len() > self.most {
            return Err(Stop::Later { looked: known.len(), total });
        }
        // What fields hold comes first: nothing moves before that is known.
        let mut candidates =
            Candidates { held: self.held(self.of_form(held), listed, contents).await?, ..Candidates::default() };
        let looks = self.looks([known, unknown].concat()).await?;
        if looks.len() < total {
            return Err(Stop::Later { looked: looks.len(), total });
        }
        for (tag, look) in looks {
            let standing = match look {
                Look::Image(image) => {
                    contents.insert(tag.clone(), Content::from(&image));
                    image.created.map(Standing::At)
                }
                // Deleted between the listing and the look: as if it had not been listed.
                Look::Gone => {
                    self.validity.end_unless(tag, Presence::Gone);
                    continue;
                }
                Look::Broken(detail) => {
                    self.validity.end_unless(tag.clone(), Presence::Broken(detail.clone()));
                    self.scan_notes.broken.push(Skipped::tag(self.repository, &tag, Reason::BlockedImage, detail));
                    None
                }
            };
            candidates.seen.push(Seen::new(tag, standing));
        }
        self.leave_out_young(&mut candidates.seen)?;
        candidates.seen.extend(self.in_doubt(shortlist.doubtful, contents).await?);
        self.build_scan().settle(&mut candidates.seen).await?;
        // Tags that do not fit by their names are kept for the reason why nothing fits.
        candidates.seen.extend(unplaced(shortlist.dropped));
        Ok(candidates)
    }

    /// Tags that are digits alone, with their ages: those that are known, and of the others the likeliest to be new.
    async fn in_doubt(&mut self, tags: Vec<Tag>, contents: &mut Contents) -> Result<Vec<Seen>, NoFindings> {
        let (mut worth_a_look, unknown): (Vec<Tag>, Vec<Tag>) =
            tags.into_iter().partition(|tag| self.known.contains_key(tag));
        let mut unknown = likely_newest_first(unknown);
        let later = unknown.split_off(unknown.len().min(DOUBTFUL).min(self.rule.inspect_limit as usize));
        worth_a_look.extend(unknown);
        if let Some(example) = later.first() {
            self.validity.end_with_cycle();
            self.scan_notes.notes.push(format!(
                "{}: {} tags that are digits alone, such as {example}, are not looked into yet; each pass looks into \
                 {DOUBTFUL} more",
                self.repository,
                later.len()
            ));
        }
        let mut seen: Vec<Seen> = unread(later).collect();
        for (tag, look) in self.looks(worth_a_look).await? {
            let Look::Image(image) = look else { continue };
            contents.insert(tag.clone(), Content::from(&image));
            match image.created {
                Some(created) if self.is_young(created) => {}
                Some(at) => seen.push(Seen { standing: Some(Standing::At(at)), ..Seen::in_doubt(tag) }),
                None => seen.push(Seen { doubt: Some(Doubt::Unlabelled), ..Seen::from(tag) }),
            }
        }
        Ok(seen)
    }

    /// The ages of tags that fields hold. A registry that lists half its tags may still have them, so those that are not
    /// listed are asked for by name; what is remembered of them counts only if they are still there.
    async fn held(
        &mut self,
        held: Vec<Tag>,
        listed: &BTreeSet<Tag>,
        contents: &mut Contents,
    ) -> Result<BTreeMap<Tag, CurrentTag>, RegistryError> {
        let mut ages = BTreeMap::new();
        for tag in held {
            let version = Version::from(tag.clone());
            if !listed.contains(&tag) {
                match self.registry.digest(self.repository, &version).await {
                    Ok(_) => self.validity.end_unless(tag.clone(), Presence::There),
                    Err(error) if error.is_not_found() => {
                        self.validity.end_unless(tag.clone(), Presence::Gone);
                        ages.insert(tag, builds::held(Position::Gone));
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            let (tag, look) = self.look(tag).await?;
            let age = match look {
                Look::Image(image) => {
                    contents.insert(tag.clone(), Content::from(&image));
                    image.created.map_or(Position::Unknown, |at| Position::Known(Standing::At(at)))
                }
                Look::Gone => Position::Gone,
                Look::Broken(detail) => {
                    self.validity.end_unless(tag.clone(), Presence::Broken(detail));
                    Position::Unknown
                }
            };
            ages.insert(tag, builds::held(age));
        }
        Ok(ages)
    }

    /// Where the name decides, nothing is looked into.
    async fn by_rank(&mut self, tags: Vec<Tag>) -> Result<Candidates, NoFindings> {
        let seen = tags.into_iter().map(Seen::from).collect();
        Ok(Candidates { seen: self.old_enough(seen).await?, held: BTreeMap::new() })
    }

    /// What is left where images have to be old enough: they are looked into from the best downward until one is.
    async fn old_enough(&mut self, mut seen: Vec<Seen>) -> Result<Vec<Seen>, NoFindings> {
        if self.rule.minimum_age.is_none() {
            return Ok(seen);
        }
        let rule = &self.rule.tags;
        if rule.is_descending() {
            seen.sort_by_cached_key(|seen| (rule.rank(&seen.tag).is_err(), rule.rank(&seen.tag).ok()));
        } else {
            seen.sort_by_cached_key(|seen| Reverse((rule.rank(&seen.tag).ok(), seen.standing)));
        }
        let can_win = |seen: &Seen| rule.rank(&seen.tag).is_ok() && (rule.order().is_none() || seen.standing.is_some());
        let fitting = seen.iter().filter(|seen| can_win(seen)).count();
        let mut young = 0;
        for candidate in seen.iter().take(fitting.min(self.rule.inspect_limit as usize)) {
            let version = Version::from(candidate.tag.clone());
            match self.registry.inspect(self.repository, &version, self.part_cache).await {
                Ok(image) if image.created.is_some_and(|created| !self.is_young(created)) => break,
                Ok(image) => {
                    self.note_young(&candidate.tag, image.created);
                    young += 1;
                }
                // It keeps its place, and the gate refuses it by name.
                Err(error) if error.concerns_image() => {
                    self.validity.end_unless(candidate.tag.clone(), Presence::Broken(error.to_string()));
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if fitting > 0 && young == fitting {
            return Err(self.all_young(young));
        }
        Ok(seen.split_off(young))
    }

    /// The tags to look into: all that are known, and of the others as many as the policy allows, what is likely to be the
    /// newest first.
    fn within_limit(&mut self, fitting: Vec<Tag>) -> (Vec<Tag>, Vec<Tag>) {
        let (known, unknown): (Vec<Tag>, Vec<Tag>) = fitting.into_iter().partition(|tag| self.known.contains_key(tag));
        let (limit, count) = (self.rule.inspect_limit as usize, unknown.len());
        let mut unknown = likely_newest_first(unknown);
        if count > limit {
            self.validity.end_with_cycle();
            self.scan_notes.notes.push(format!(
                "{}: {} of {} tags are not looked into yet (inspectLimit {limit}), so the newest of the others counts; \
                 each pass looks into {limit} more",
                self.repository,
                count - limit,
                count + known.len(),
            ));
            unknown.truncate(limit);
        }
        (known, unknown)
    }

    /// Leaves out what the policy wants to be older.
    fn leave_out_young(&mut self, seen: &mut Vec<Seen>) -> Result<(), NoFindings> {
        let before = seen.len();
        let created = |seen: &Seen| match seen.standing {
            Some(Standing::At(at)) => Some(at),
            _ => None,
        };
        let is_young = |seen: &Seen| created(seen).is_some_and(|created| self.is_young(created));
        let (young, ripe): (Vec<Seen>, Vec<Seen>) = std::mem::take(seen).into_iter().partition(is_young);
        *seen = ripe;
        for created in young.iter().filter_map(created) {
            self.validity.end_at(self.rule.ripe_at(created));
        }
        if let Some(newest) = young.into_iter().max_by_key(|seen| seen.standing) {
            self.note_young(&newest.tag, created(&newest));
        }
        if before > 0 && seen.is_empty() { Err(self.all_young(before)) } else { Ok(()) }
    }

    fn is_young(&self, created: Timestamp) -> bool {
        self.rule.ripe_at(created).is_some_and(|ripe| ripe > self.now)
    }

    fn note_young(&mut self, tag: &Tag, created: Option<Timestamp>) {
        self.validity.end_at(created.and_then(|created| self.rule.ripe_at(created)));
        let why = created.and_then(|created| self.rule.ripe_at(created)).map_or_else(unknown_age, waits);
        self.scan_notes.notes.push(format!("{}:{tag} {why}", self.repository));
    }

    fn all_young(&self, count: usize) -> NoFindings {
        NoFindings::Absent(format!("`minimumAge` keeps back all {count} tags that fit"))
    }

    /// Looks at images, as long as there is time. A registry that cannot answer now is an error, because the one image that
    /// it could not tell of may be the newest.
    async fn looks(&self, tags: Vec<Tag>) -> Result<Vec<(Tag, Look)>, RegistryError> {
        let look = |tag: Tag| async {
            match self.looks.are_over() && !self.known.contains_key(&tag) {
                true => Ok(None),
                false => self.look(tag).await.map(Some),
            }
        };
        let looks: Vec<_> = tags.into_iter().map(look).collect();
        let looks = stream::iter(looks).buffer_unordered(TAGS).collect::<Vec<_>>().await;
        looks.into_iter().filter_map(Result::transpose).collect()
    }

    async fn look(&self, tag: Tag) -> Result<(Tag, Look), RegistryError> {
        let look = match self.image(&tag).await {
            Ok(image) => Look::Image(image),
            Err(error) if error.is_not_found() => Look::Gone,
            Err(error) if error.concerns_image() => Look::Broken(error.to_string()),
            Err(error) => return Err(error),
        };
        Ok((tag, look))
    }

    async fn image(&self, tag: &Tag) -> Result<ImageMetadata, RegistryError> {
        if let Some(image) = self.known.get(tag) {
            return Ok(image.clone());
        }
        self.looks.count.fetch_add(1, Ordering::Relaxed);
        let version = Version::from(tag.clone());
        self.registry.inspect(self.repository, &version, self.part_cache).await
    }
}

/// Tags that do not fit by their names, kept for the reason why nothing fits.
fn unplaced(dropped: Vec<(Tag, Misfit)>) -> impl Iterator<Item = Seen> {
    dropped.into_iter().map(|(tag, _)| Seen::from(tag))
}
