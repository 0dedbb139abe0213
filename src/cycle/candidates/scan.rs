//! The scan of one repository: the tags that can be chosen, in their order.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::image::{Digest, Repository, Tag, Version};
use crate::plan::candidates::{Candidates, CurrentTag};
use crate::plan::findings::NoFindings;
use crate::plan::skip::{Reason, Skipped};
use crate::policy::builds::Content;
use crate::policy::dates::{self, believed_from, is_ahead};
use crate::policy::digits::Doubt;
use crate::policy::likely_newest::likely_newest_first;
use crate::policy::order::{Order, Standing};
use crate::policy::rule::Rule;
use crate::policy::seen::{Position, Seen};
use crate::policy::tags::{Misfit, ShaForm, TagRule};
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::integrity::PartCache;

use super::builds::{self, BuildScan, Contents, unread};
use super::commit_order::CommitOrder;
use super::inspector::{Inspected, Inspections, Inspector};
use super::scan_notes::ScanNotes;
use super::source_histories::SourceHistories;
use super::validity::{Presence, Validity};

/// The number of digit-only tags, which may not be commits, that are inspected in one cycle.
const DOUBTFUL: usize = 100;

/// The reason why a scan ended without candidates.
#[derive(Debug)]
pub enum Stop {
    /// There are no findings.
    None(NoFindings),
    /// More tags have to be inspected than are allowed for now.
    Later {
        /// The number of inspected tags.
        inspected: usize,
        /// The number of all tags to inspect.
        total: usize,
    },
}

/// A scan of one repository.
pub struct Scanner<'s> {
    /// The registry.
    pub registry: &'s Client,
    /// The repository.
    pub repository: &'s Repository,
    /// The policy that governs it.
    pub rule: &'s Rule,
    /// The limit for new tags to inspect; if there are more, the scan is postponed.
    pub max_inspections: usize,
    /// The current time.
    pub now: Timestamp,
    /// The notes so far.
    pub scan_notes: ScanNotes,
    /// The conditions under which the result remains valid.
    pub validity: Validity,
    pub(super) inspector: Inspector<'s>,
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
        if error.is_not_found() { NoFindings::Absent(error.to_string()) } else { NoFindings::Failed(error.to_string()) }
    }
}

impl<'s> Scanner<'s> {
    /// Makes a scan that has not begun.
    pub fn new(
        registry: &'s Client,
        repository: &'s Repository,
        rule: &'s Rule,
        part_cache: &'s PartCache,
        inspections: &'s Inspections,
        now: Timestamp,
    ) -> Scanner<'s> {
        let (scan_notes, validity) = Default::default();
        let inspector = Inspector::new(registry, repository, part_cache, inspections);
        Scanner { registry, repository, rule, max_inspections: usize::MAX, now, scan_notes, validity, inspector }
    }

    /// Scans the tags that the registry lists, each once, and the current tags of fields.
    #[tracing::instrument(level = "debug", skip_all, fields(image = %self.repository))]
    pub async fn scan(
        &mut self,
        mut tags: Vec<Tag>,
        current: &BTreeSet<&Tag>,
        histories: &SourceHistories<'_>,
    ) -> Result<Candidates, Stop> {
        let (count, listed): (usize, BTreeSet<Tag>) =
            (tags.len(), tags.iter().filter(|tag| current.contains(tag)).cloned().collect());
        tags.retain(|tag| self.rule.tag_patterns.allows(tag));
        if tags.is_empty() && count > 0 {
            let detail = format!("`allow` and `ignore` exclude all tags ({count})");
            return Err(NoFindings::Absent(detail).into());
        }
        let mut contents = Contents::new();
        let mut candidates = match &self.rule.tags {
            TagRule::Sha { order: Order::Built, .. } => self.by_age(tags, &listed, current, &mut contents).await,
            TagRule::Sha { order: Order::Pushed, .. } => self.by_push(tags, &listed, current).await,
            TagRule::Sha { order: Order::Commit(branch), form } => {
                // The branch moves independently of the registry.
                self.validity.end_with_cycle();
                let (registry, repository, now) = (self.registry, self.repository, self.now);
                let commit_order = CommitOrder { registry, repository, branch, form, histories, now };
                Ok(self.by_commit(commit_order, tags, current).await?)
            }
            _ => Ok(self.by_rank(tags).await?),
        }?;
        let are_all_read = self.build_scan().builds(&mut candidates, contents).await?;
        if !are_all_read || candidates.seen.iter().any(|seen| seen.doubt == Some(Doubt::Unread)) {
            // Images that could not be read are inspected the next time.
            self.validity.end_with_cycle();
        }
        Ok(candidates)
    }

    fn build_scan(&self) -> BuildScan<'_> {
        BuildScan {
            registry: self.registry,
            repository: self.repository,
            rule: self.rule,
            part_cache: self.inspector.part_cache,
        }
    }

    /// Orders tags by commit. Most tags name theirs, so few images are inspected.
    async fn by_commit(
        &mut self,
        commit_order: CommitOrder<'_>,
        tags: Vec<Tag>,
        current: &BTreeSet<&Tag>,
    ) -> Result<Candidates, NoFindings> {
        let mut shortlist = self.rule.tags.shortlist(tags);
        // The history shows which of them are commits.
        let doubtful: BTreeSet<Tag> = shortlist.doubtful.iter().cloned().collect();
        shortlist.fitting.append(&mut shortlist.doubtful);
        if shortlist.fitting.is_empty() {
            let current = self.of_form(current).into_iter().map(|tag| (tag, builds::current(Position::NotQueried)));
            return Ok(Candidates { seen: unplaced(shortlist.dropped).collect(), current: current.collect() });
        }
        let fitting = match commit_order.form {
            ShaForm::Labelled(_) => {
                self.inspector.known = self.registry.known_images(self.repository);
                let (known, unknown) = self.within_limit(shortlist.fitting);
                [known, unknown].concat()
            }
            ShaForm::Usual | ShaForm::Pattern(_) => shortlist.fitting,
        };
        let mut candidates = commit_order.place(fitting, self.of_form(current), &mut self.scan_notes.notes).await?;
        candidates.seen = self.old_enough(candidates.seen).await?;
        for seen in candidates.seen.iter_mut().filter(|seen| seen.standing.is_none() && doubtful.contains(&seen.tag)) {
            seen.doubt = Some(Doubt::NotOnBranch);
        }
        candidates.seen.extend(unplaced(shortlist.dropped));
        Ok(candidates)
    }

    /// Orders tags by the time of the push, which the registry's own API reports.
    async fn by_push(
        &mut self,
        tags: Vec<Tag>,
        listed: &BTreeSet<Tag>,
        current: &BTreeSet<&Tag>,
    ) -> Result<Candidates, Stop> {
        if !self.registry.reports_push_times(self.repository) {
            let host = self.repository.host();
            let detail = format!("`order: pushed` needs the API of {host}: set `api` for it in `registries`");
            return Err(NoFindings::Absent(detail).into());
        }
        let shortlist = self.rule.tags.shortlist(tags);
        let current = self.of_form(current);
        let wanted: BTreeSet<&Tag> = shortlist.fitting.iter().chain(&shortlist.doubtful).chain(&current).collect();
        let pushed = self.registry.push_times(self.repository, &wanted).await?;
        if wanted.iter().any(|tag| !pushed.contains_key(*tag)) {
            // The API may report it later.
            self.validity.end_with_cycle();
        }
        let (pushed, ahead): (BTreeMap<Tag, Timestamp>, _) =
            pushed.into_iter().partition(|(_, at)| !is_ahead(*at, self.now));
        if !ahead.is_empty() {
            // The registry may correct that.
            self.validity.end_with_cycle();
            self.scan_notes.add_ahead(self.repository, ahead.into_iter().collect(), dates::pushed_ahead);
        }
        let standing = |tag: &Tag| pushed.get(tag).copied().map(Standing::At);
        let mut seen: Vec<Seen> =
            shortlist.fitting.into_iter().map(Seen::from).chain(unread(shortlist.doubtful)).collect();
        for seen in &mut seen {
            seen.standing = standing(&seen.tag);
            // Its position in the order will never be known.
            seen.doubt = seen.doubt.map(|doubt| if seen.standing.is_none() { Doubt::Unlabelled } else { doubt });
        }
        self.build_scan().resolve_doubts(&mut seen).await?;
        let (doubtful, sure): (Vec<Seen>, Vec<Seen>) = seen.into_iter().partition(|seen| seen.doubt.is_some());
        let mut seen = self.old_enough(sure).await?;
        seen.extend(doubtful);
        seen.extend(unplaced(shortlist.dropped));
        let age = |tag: &Tag| match standing(tag) {
            Some(at) => Position::Known(at),
            None if listed.contains(tag) => Position::Unknown,
            None => Position::Gone,
        };
        Ok(Candidates {
            seen,
            current: current.into_iter().map(|tag| (tag.clone(), builds::current(age(&tag)))).collect(),
        })
    }

    /// Returns the current tags that have the policy's form.
    fn of_form(&self, current: &BTreeSet<&Tag>) -> Vec<Tag> {
        current.iter().filter(|tag| self.rule.tags.measure(tag).is_ok()).map(|tag| (*tag).clone()).collect()
    }

    /// Orders tags by age. Every matching tag is inspected, but only once, because tags are assumed not to move.
    async fn by_age(
        &mut self,
        tags: Vec<Tag>,
        listed: &BTreeSet<Tag>,
        current: &BTreeSet<&Tag>,
        contents: &mut Contents,
    ) -> Result<Candidates, Stop> {
        let shortlist = self.rule.tags.shortlist(tags);
        self.inspector.known = self.registry.known_images(self.repository);
        let (known, unknown) = self.within_limit(shortlist.fitting);
        let total = known.len() + unknown.len();
        if unknown.len() > self.max_inspections {
            return Err(Stop::Later { inspected: known.len(), total });
        }
        // Current tags come first: no field moves before they are known.
        let mut candidates = Candidates {
            current: self.current(self.of_form(current), listed, contents).await?,
            ..Candidates::default()
        };
        let inspected = self.inspector.inspect_all([known, unknown].concat()).await?;
        if inspected.len() < total {
            return Err(Stop::Later { inspected: inspected.len(), total });
        }
        let mut ahead = Vec::new();
        for (tag, result) in inspected {
            let standing = match result {
                Inspected::Image(image) => {
                    contents.insert(tag.clone(), Content::from(&image));
                    let built = image.created.map(|at| self.believe(at));
                    // A current tag is reported already.
                    let is_new = !candidates.current.contains_key(&tag);
                    let lie = built.and_then(Result::err).filter(|_| is_new);
                    ahead.extend(lie.map(|at| (tag.clone(), at)));
                    built.and_then(Result::ok).map(Standing::At)
                }
                // Deleted since the listing: treated as if it had not been listed.
                Inspected::Gone => {
                    self.validity.end_unless(tag, Presence::Gone);
                    continue;
                }
                Inspected::Broken(detail) => {
                    self.validity.end_unless(tag.clone(), Presence::Broken(detail.clone()));
                    self.scan_notes.broken.push(Skipped::tag(self.repository, &tag, Reason::BlockedImage, detail));
                    None
                }
            };
            candidates.seen.push(Seen::new(tag, standing));
        }
        self.scan_notes.add_ahead(self.repository, ahead, dates::built_ahead);
        self.leave_out_young(&mut candidates.seen, contents).await?;
        candidates.seen.extend(self.in_doubt(shortlist.doubtful, contents).await?);
        self.build_scan().resolve_doubts(&mut candidates.seen).await?;
        // Tags whose names do not match are kept to explain why nothing matches.
        candidates.seen.extend(unplaced(shortlist.dropped));
        Ok(candidates)
    }

    /// Returns digit-only tags with their ages: those that are known, and of the others the likeliest to be new.
    async fn in_doubt(&mut self, tags: Vec<Tag>, contents: &mut Contents) -> Result<Vec<Seen>, NoFindings> {
        let (mut to_inspect, unknown): (Vec<Tag>, Vec<Tag>) =
            tags.into_iter().partition(|tag| self.inspector.known.contains_key(tag));
        let mut unknown = likely_newest_first(unknown);
        let later = unknown.split_off(unknown.len().min(DOUBTFUL).min(self.rule.inspect_limit as usize));
        to_inspect.extend(unknown);
        if let Some(example) = later.first() {
            self.validity.end_with_cycle();
            self.scan_notes.notes.push(format!(
                "{}: {} digit-only tags, such as {example}, are not inspected yet; each cycle inspects up to {DOUBTFUL} more",
                self.repository,
                later.len()
            ));
        }
        let mut seen: Vec<Seen> = unread(later).collect();
        for (tag, inspected) in self.inspector.inspect_all(to_inspect).await? {
            let Inspected::Image(image) = inspected else { continue };
            contents.insert(tag.clone(), Content::from(&image));
            match image.created.and_then(|at| self.believe(at).ok()) {
                Some(built) if self.ripe(built, None).is_some_and(|ripe| ripe.at > self.now) => {}
                Some(at) => seen.push(Seen { standing: Some(Standing::At(at)), ..Seen::in_doubt(tag) }),
                None => seen.push(Seen { doubt: Some(Doubt::Unlabelled), ..Seen::from(tag) }),
            }
        }
        Ok(seen)
    }

    /// Returns the ages of current tags. A registry that lists only some of its tags may still have the others, so
    /// those are queried by name; what is remembered of them counts only if they still exist.
    async fn current(
        &mut self,
        current: Vec<Tag>,
        listed: &BTreeSet<Tag>,
        contents: &mut Contents,
    ) -> Result<BTreeMap<Tag, CurrentTag>, RegistryError> {
        let mut ages = BTreeMap::new();
        for tag in current {
            let version = Version::from(tag.clone());
            if !listed.contains(&tag) {
                match self.registry.digest(self.repository, &version).await {
                    Ok(_) => self.validity.end_unless(tag.clone(), Presence::There),
                    Err(error) if error.is_not_found() => {
                        self.validity.end_unless(tag.clone(), Presence::Gone);
                        ages.insert(tag, builds::current(Position::Gone));
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            let (tag, inspected) = self.inspector.inspect(tag).await?;
            let age = match inspected {
                Inspected::Image(image) => {
                    contents.insert(tag.clone(), Content::from(&image));
                    let built = image.created.map(|at| self.existed_at(&tag, &image.digest, at));
                    built.map_or(Position::Unknown, |at| Position::Known(Standing::At(at)))
                }
                Inspected::Gone => Position::Gone,
                Inspected::Broken(detail) => {
                    self.validity.end_unless(tag.clone(), Presence::Broken(detail));
                    Position::Unknown
                }
            };
            ages.insert(tag, builds::current(age));
        }
        Ok(ages)
    }

    /// Orders tags by name, which needs no inspection.
    async fn by_rank(&mut self, tags: Vec<Tag>) -> Result<Candidates, NoFindings> {
        let seen = tags.into_iter().map(Seen::from).collect();
        Ok(Candidates { seen: self.old_enough(seen).await?, current: BTreeMap::new() })
    }

    /// Returns the tags to inspect: all that are known, and of the others as many as the policy allows, the likeliest
    /// to be new first.
    fn within_limit(&mut self, fitting: Vec<Tag>) -> (Vec<Tag>, Vec<Tag>) {
        let (known, unknown): (Vec<Tag>, Vec<Tag>) =
            fitting.into_iter().partition(|tag| self.inspector.known.contains_key(tag));
        let (limit, count) = (self.rule.inspect_limit as usize, unknown.len());
        let mut unknown = likely_newest_first(unknown);
        if count > limit {
            self.validity.end_with_cycle();
            self.scan_notes.notes.push(format!(
                "{}: {} of {} tags are not inspected yet (inspectLimit {limit}), so the newest of the others is chosen; \
                 each cycle inspects up to {limit} more",
                self.repository,
                count - limit,
                count + known.len(),
            ));
            unknown.truncate(limit);
        }
        (known, unknown)
    }

    /// Returns a date, as an error if it is not believed. Then the result is valid only until it is.
    pub(super) fn believe(&mut self, at: Timestamp) -> Result<Timestamp, Timestamp> {
        if !is_ahead(at, self.now) {
            return Ok(at);
        }
        self.validity.end_at(Some(believed_from(at)));
        Err(at)
    }

    /// Returns when the image of a current tag was built, or, if it claims a time in the future, when it was first seen:
    /// what is built after that is newer.
    fn existed_at(&mut self, tag: &Tag, digest: &Digest, built: Timestamp) -> Timestamp {
        let lie = match self.believe(built) {
            Ok(built) => return built,
            Err(lie) => lie,
        };
        let seen = self.registry.first_seen(self.repository, tag, digest, self.now);
        self.scan_notes.notes.push(format!(
            "{}:{tag} {}; it counts as built when it was first seen, at {seen}",
            self.repository,
            dates::built_ahead(lie)
        ));
        seen
    }
}

/// Returns tags whose names do not match, which are kept to explain why nothing matches.
fn unplaced(dropped: Vec<(Tag, Misfit)>) -> impl Iterator<Item = Seen> {
    dropped.into_iter().map(|(tag, _)| Seen::from(tag))
}
