//! The holds that follow from the commits of a branch: by name, and from what they did to fields.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::image::{Repository, Version};
use crate::manifest::field::Field;
use crate::manifest::field_rules::FieldRules;
use crate::manifest::find;
use crate::plan::approvals::StageOrders;
use crate::plan::decide::Update;
use crate::plan::findings::FindingsByImage;
use crate::plan::gate::{Verification, Verifications, wanted};
use crate::plan::hold::{self, Change, NamedHolds};
use crate::plan::never_back::Recorded;
use crate::plan::proposal::{self, ClosedPullRequest};
use crate::plan::trailer::{Effect, Hold, RecordedMove};
use crate::policy::choose::Chosen;
use crate::policy::dates::Dates;
use crate::policy::rule::PolicySet;
use crate::repo::clone::BareClone;
use crate::repo::error::RepoError;
use crate::repo::tree::{BlobId, Content};

use super::confirm::confirms;
use super::read_back::{Depth, Horizon, ReadHistory};
use crate::cycle::tip::Tip;

/// The history of a tip. It is read only when needed, and only once.
#[derive(Debug)]
pub struct History {
    field_rules: FieldRules,
    closed: Vec<ClosedPullRequest>,
    read: Option<ReadHistory>,
}

impl History {
    /// Makes a history that has not been read yet. These rules find the fields of older commits.
    pub fn new(field_rules: FieldRules) -> History {
        History { field_rules, closed: Vec::new(), read: None }
    }

    /// Adds the pull requests that were closed without being merged. They replace what was known about them.
    pub fn add_closed(&mut self, closed: Vec<ClosedPullRequest>) {
        let added: HashSet<&str> = closed.iter().map(|closed| closed.url.as_str()).collect();
        self.closed.retain(|known| !added.contains(known.url.as_str()));
        self.closed.extend(closed);
    }

    /// Forgets what was read, because more is known about some commits now.
    pub fn forget(&mut self) {
        self.read = None;
    }

    /// Returns the holds by name.
    pub fn named(&mut self, tip: &mut Tip) -> Result<&NamedHolds, RepoError> {
        Ok(&self.read(tip, Depth::Named)?.named)
    }

    /// Returns what the orders about stages amount to.
    pub fn stage_orders(&mut self, tip: &mut Tip) -> Result<&StageOrders, RepoError> {
        Ok(self.read(tip, Depth::StageOrders)?.stage_orders.get_or_insert_default())
    }

    /// Returns the hold on what an update would write, or on another tag of the same build: what was replaced under one
    /// tag does not come back under another.
    pub fn hold(
        &mut self,
        tip: &mut Tip,
        update: &Update,
        findings: &FindingsByImage,
        verifications: &Verifications,
    ) -> Result<Option<Hold>, RepoError> {
        let depth = depth(update, verifications);
        for version in version_to_check(update, verifications).into_iter().chain(siblings(update, findings)) {
            let hold = self.hold_on(tip, &update.file, &update.field, &version, depth)?;
            if hold.is_some() {
                return Ok(hold);
            }
        }
        Ok(None)
    }

    /// Returns the hold that closed pull requests put on what an update would write, or on another tag of the same build.
    pub fn hold_by_closed(
        &mut self,
        tip: &mut Tip,
        update: &Update,
        findings: &FindingsByImage,
        verifications: &Verifications,
    ) -> Result<Option<Hold>, RepoError> {
        for version in version_to_check(update, verifications).into_iter().chain(siblings(update, findings)) {
            let hold = self.closed_hold_on(tip, &update.field.repository, &version)?;
            if hold.is_some() {
                return Ok(hold);
            }
        }
        Ok(None)
    }

    /// Returns the hold on a version of a field.
    fn hold_on(
        &mut self,
        tip: &mut Tip,
        file: &str,
        field: &Field,
        version: &Version,
        depth: Depth,
    ) -> Result<Option<Hold>, RepoError> {
        match self.read(tip, depth)?.named.on(&field.repository, version) {
            Some(hold) => Ok(Some(hold.clone())),
            None => self.hold_by_history(tip, file, field, version, depth),
        }
    }

    /// Returns the hold that the history of a field puts on a version.
    fn hold_by_history(
        &mut self,
        tip: &mut Tip,
        file: &str,
        field: &Field,
        version: &Version,
        depth: Depth,
    ) -> Result<Option<Hold>, RepoError> {
        let image = &field.repository;
        let Some(first) = self.read(tip, depth)?.records.iter().rposition(|record| record.sets(image, version)) else {
            return Ok(None);
        };
        let changes = self.changes(tip, file, field, first + 1)?;
        let records = self.read.as_ref().map_or(&[][..], |read| &read.records);
        Ok(hold::by_history(&changes, records, image, version))
    }

    /// Returns the hold on something that may be newer than what an update would write: if a registry no longer lists a
    /// replaced version, something even older must not be deployed instead.
    pub fn hold_on_newer(
        &mut self,
        tip: &mut Tip,
        update: &Update,
        policies: &PolicySet,
        findings: &FindingsByImage,
        verifications: &Verifications,
    ) -> Result<Option<Hold>, RepoError> {
        let field = &update.field;
        let (Some(rule), Some(Ok(findings)), Some(tag), Some(Verification::Complete { dates, .. })) = (
            policies.rule_for(&field.repository),
            findings.get(&field.repository),
            &update.tag,
            verifications.get(&wanted(update)),
        ) else {
            return Ok(None);
        };
        let (depth, chosen) = (Depth::to(dates.earliest()), Chosen { tag, built: dates.contents() });
        let listed = findings.all_tags().map_or(&[][..], |candidates| &candidates.seen);
        for (version, when) in self.never_left(tip, &field.repository, depth)?.iter() {
            let Some(before) = version.tag.as_ref().filter(|before| *before != tag) else { continue };
            if version.tag == field.version.tag || rule.tags.is_newer(&chosen, before, *when, listed) {
                continue;
            }
            if let Some(hold) = self.hold_by_history(tip, &update.file, field, version, depth)? {
                return Ok(Some(hold));
            }
        }
        Ok(None)
    }

    /// Returns whether tagalong set an image to a version that it never replaced itself, other than the current and the
    /// new version of a field. The new image was built at `built`.
    pub fn has_other_than(
        &mut self,
        tip: &mut Tip,
        update: &Update,
        built: Option<Timestamp>,
    ) -> Result<bool, RepoError> {
        let never_left = self.never_left(tip, &update.field.repository, Depth::to(built))?;
        let tags = never_left.iter().filter_map(|(version, _)| version.tag.as_ref());
        let known = [update.tag.as_ref(), update.field.version.tag.as_ref()];
        Ok(tags.map(Some).any(|tag| !known.contains(&tag)))
    }

    /// Returns what commits recorded about an update that would write `to`. They are read back to where the contents of
    /// its image were built.
    pub fn recorded(
        &mut self,
        tip: &mut Tip,
        update: &Update,
        to: &Version,
        dates: &Dates,
    ) -> Result<Recorded, RepoError> {
        let ReadHistory { records, ids, .. } = self.read(tip, Depth::to(dates.earliest()))?;
        Recorded::of(update, to, records, |index, recorded| {
            confirms(&tip.clone, ids[index], &records[index].trailers.moves, recorded)
        })
    }

    /// Returns the versions of an image that tagalong set and never replaced itself. They are computed once for all of
    /// its fields.
    fn never_left(
        &mut self,
        tip: &mut Tip,
        image: &Repository,
        depth: Depth,
    ) -> Result<Arc<[(Version, Timestamp)]>, RepoError> {
        let ReadHistory { records, ids, never_left, .. } = self.read(tip, depth)?;
        if let Some(known) = never_left.get(image) {
            return Ok(Arc::clone(known));
        }
        let records = &*records;
        let confirms = |index: usize, recorded: &RecordedMove| {
            confirms(&tip.clone, ids[index], &records[index].trailers.moves, recorded)
        };
        let of_image: Arc<[(Version, Timestamp)]> = hold::never_left(records, image, confirms)?.into();
        never_left.insert(image.clone(), Arc::clone(&of_image));
        Ok(of_image)
    }

    /// Returns the hold that closed pull requests put on a version of an image.
    fn closed_hold_on(
        &mut self,
        tip: &mut Tip,
        image: &Repository,
        version: &Version,
    ) -> Result<Option<Hold>, RepoError> {
        let closed = std::mem::take(&mut self.closed);
        let hold = self.hold_by_closing(tip, &closed, image, version);
        self.closed = closed;
        hold
    }

    /// Returns the hold that these pull requests put on a version of an image.
    pub fn hold_by_closing(
        &mut self,
        tip: &mut Tip,
        closed: &[ClosedPullRequest],
        image: &Repository,
        version: &Version,
    ) -> Result<Option<Hold>, RepoError> {
        let Some(last) = proposal::last(closed, image, version) else { return Ok(None) };
        self.read(tip, Depth::Since(last.at))?;
        let records = self.read.as_ref().map_or(&[][..], |read| &read.records);
        Ok(proposal::hold_by_closed(closed, records, image, version))
    }

    /// Returns all holds that closed pull requests put on an image.
    pub fn held_by_closing(&mut self, tip: &mut Tip, image: &Repository) -> Result<Vec<Hold>, RepoError> {
        let moves = self.closed.iter().flat_map(|closed| &closed.moves);
        let versions: Vec<Version> =
            moves.filter(|moved| moved.image == *image).map(|moved| moved.to.clone()).collect();
        let holds = versions.iter().map(|version| self.closed_hold_on(tip, image, version));
        Ok(holds.collect::<Result<Vec<_>, RepoError>>()?.into_iter().flatten().collect())
    }

    /// Returns all holds that follow from the history of a field, newest first.
    pub fn held_by_history(
        &mut self,
        tip: &mut Tip,
        file: &str,
        field: &Field,
        depth: Depth,
    ) -> Result<Vec<Hold>, RepoError> {
        let commits = self.read(tip, depth)?.records.len();
        let changes = self.changes(tip, file, field, commits)?;
        let records = self.read.as_ref().map_or(&[][..], |read| &read.records);
        let mut version: Vec<Version> = Vec::new();
        for left in changes.iter().filter_map(|change| change.from.as_ref()) {
            if !version.iter().any(|other| other.tag == left.tag) {
                version.push(Version { digest: None, ..left.clone() });
            }
        }
        Ok(version
            .iter()
            .filter_map(|version| hold::by_history(&changes, records, &field.repository, version))
            .collect())
    }

    /// Returns the last version of a field before the current one that is not held: the target of a rollback.
    pub fn previous(&mut self, tip: &mut Tip, file: &str, field: &Field) -> Result<Option<Version>, RepoError> {
        for depth in [Depth::Usual, Depth::Everything] {
            let commits = self.read(tip, depth)?.records.len();
            let changes = self.changes(tip, file, field, commits)?;
            let Some(read) = &self.read else { break };
            let image = &field.repository;
            let is_free = |version: &&Version| {
                !version.is_empty()
                    && **version != field.version
                    && read.named.on(image, version).is_none_or(|hold| hold.target.version.is_empty())
                    && hold::by_history(&changes, &read.records, image, version).is_none()
            };
            let found = changes.iter().filter_map(|change| change.from.as_ref()).find(is_free);
            if found.is_some() || read.is_all {
                return Ok(found.cloned());
            }
        }
        Ok(None)
    }

    /// Returns the changes to a field by the last `commits` commits, newest first.
    fn changes(&mut self, tip: &Tip, file: &str, field: &Field, commits: usize) -> Result<Vec<Change>, RepoError> {
        let Some(read) = &self.read else { return Ok(Vec::new()) };
        let mut path = file.to_owned();
        let clone = &tip.clone;
        let mut versions = Versions { clone, field_rules: &self.field_rules, field, known: HashMap::new() };
        let mut changes = Vec::new();
        for (id, record) in read.ids.iter().zip(&read.records).take(commits) {
            // Squashed commits may record what their tree does not show.
            let is_recorded =
                record.effect == Effect::Nothing && record.trailers.moves.iter().any(|recorded| recorded.file == path);
            let after = path.clone();
            let (from, to) = match clone.change(*id, &path)? {
                Some(change) => {
                    let to = versions.of(&path, change.after)?;
                    path = change.before.as_ref().map_or(path, |(before, _)| before.clone());
                    (versions.of(&path, change.before.map(|(_, blob)| blob))?, to)
                }
                None if is_recorded => {
                    let held = versions.of(&path, clone.blob(*id, &path)?)?;
                    (held.clone(), held)
                }
                None => continue,
            };
            if from != to || is_recorded {
                changes.push(Change { record: Arc::clone(record), file: after, path: field.path.clone(), from, to });
            }
        }
        Ok(changes)
    }

    /// Returns the commit where reading ended, if history was not read as far back as necessary.
    pub fn horizon(&self) -> Option<&Horizon> {
        self.read.as_ref()?.horizon.as_ref()
    }

    /// Reads history to a depth, unless that was done already.
    fn read(&mut self, tip: &mut Tip, depth: Depth) -> Result<&mut ReadHistory, RepoError> {
        let usual = tip.clone.usual_depth();
        let known = self.read.take().filter(|read| read.is_all || read.reaches(depth, usual));
        let read = match known {
            Some(read) => read,
            None => ReadHistory::read(&mut tip.clone, tip.commit, depth)?,
        };
        Ok(self.read.insert(read))
    }
}

/// Returns the version that a hold must concern to keep an update back, or `None` if the tag stays and its current
/// digest is not known.
fn version_to_check(update: &Update, verifications: &Verifications) -> Option<Version> {
    let verified = match verifications.get(&wanted(update)) {
        Some(Verification::Complete { digest, .. }) => Some(digest),
        _ => None,
    };
    let stays = update.tag == update.field.version.tag;
    match (wanted(update).1, verified) {
        (Version { tag: Some(tag), digest: None }, Some(digest)) if stays => {
            Some(Version { tag: Some(tag), digest: Some(digest.clone()) })
        }
        (Version { digest: None, .. }, None) if stays => None,
        (Version { tag: Some(tag), .. }, _) if !stays => Some(Version::from(tag)),
        (version, _) => Some(version),
    }
}

/// Returns the other tags of the build that an update would write, except the field's current tag.
fn siblings(update: &Update, findings: &FindingsByImage) -> Vec<Version> {
    let (Some(Ok(findings)), Some(tag)) = (findings.get(&update.field.repository), &update.tag) else {
        return Vec::new();
    };
    let others = findings.siblings(tag).into_iter().filter(|other| update.field.version.tag.as_ref() != Some(other));
    others.map(Version::from).collect()
}

/// Returns how far back the version of an update may have been deployed: not before it was built.
fn depth(update: &Update, verifications: &Verifications) -> Depth {
    match verifications.get(&wanted(update)) {
        Some(Verification::Complete { dates, .. }) => Depth::to(dates.earliest()),
        // It will not be written.
        _ => Depth::Usual,
    }
}

/// The versions of a field in files of older commits.
struct Versions<'v> {
    clone: &'v BareClone,
    field_rules: &'v FieldRules,
    field: &'v Field,
    known: HashMap<(String, BlobId), Option<Version>>,
}

impl Versions<'_> {
    fn of(&mut self, path: &str, blob: Option<BlobId>) -> Result<Option<Version>, RepoError> {
        let Some(blob) = blob else { return Ok(None) };
        let key = (path.to_owned(), blob);
        if let Some(version) = self.known.get(&key) {
            return Ok(version.clone());
        }
        let read = |_: usize, content: Content<'_>| {
            let Content::Bytes(bytes) = content else { return None };
            let facts = find::read(path, bytes, self.field_rules).ok()?;
            facts.version_of(&self.field.repository, &self.field.path).cloned()
        };
        let version = self.clone.read_blobs(&[blob], read)?.pop().flatten();
        self.known.insert(key, version.clone());
        Ok(version)
    }
}
