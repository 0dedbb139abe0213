//! What is held because of the commits of a branch: what they say by name, and what they did to fields.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::image::{Repository, Version};
use crate::manifest::field::Field;
use crate::manifest::field_rules::FieldRules;
use crate::manifest::find;
use crate::plan::decide::Update;
use crate::plan::findings::FindingsByImage;
use crate::plan::gate::{ImageProof, Proofs, wanted};
use crate::plan::hold::{self, Change, NamedHolds};
use crate::plan::proposal::{self, Closed};
use crate::plan::trailer::Hold;
use crate::policy::choose::Chosen;
use crate::policy::rule::PolicySet;
use crate::repo::clone::BareClone;
use crate::repo::error::RepoError;
use crate::repo::tree::BlobId;

use super::read_back::{Depth, Horizon, Seen};
use crate::cycle::tip::Tip;

/// The history behind a tip. Nothing of it is read before it is needed, and nothing twice.
#[derive(Debug)]
pub struct History {
    field_rules: FieldRules,
    closed: Vec<Closed>,
    seen: Option<Seen>,
}

impl History {
    /// A history of which nothing was read yet. Fields of older commits are found by these rules.
    pub fn new(field_rules: FieldRules) -> History {
        History { field_rules, closed: Vec::new(), seen: None }
    }

    /// Adds the pull requests that were closed without being merged.
    pub fn add_closed(&mut self, closed: Vec<Closed>) {
        self.closed.extend(closed);
    }

    /// What is held by name.
    pub fn named(&mut self, tip: &mut Tip) -> Result<&NamedHolds, RepoError> {
        Ok(&self.seen(tip, Depth::Named)?.named)
    }

    /// Returns the hold on what an update would write, or on another tag of the same build: what was taken away under one
    /// name does not come back under another.
    pub fn hold(
        &mut self,
        tip: &mut Tip,
        update: &Update,
        findings: &FindingsByImage,
        proofs: &Proofs,
    ) -> Result<Option<Hold>, RepoError> {
        let depth = depth(update, proofs);
        for version in meant(update, proofs).into_iter().chain(siblings(update, findings)) {
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
        proofs: &Proofs,
    ) -> Result<Option<Hold>, RepoError> {
        for version in meant(update, proofs).into_iter().chain(siblings(update, findings)) {
            let hold = self.hold_by_closing(tip, &update.field.repository, &version)?;
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
        meant: &Version,
        depth: Depth,
    ) -> Result<Option<Hold>, RepoError> {
        match self.seen(tip, depth)?.named.on(&field.repository, meant) {
            Some(hold) => Ok(Some(hold.clone())),
            None => self.hold_by_history(tip, file, field, meant, depth),
        }
    }

    /// The hold that the history of a field puts on a version.
    fn hold_by_history(
        &mut self,
        tip: &mut Tip,
        file: &str,
        field: &Field,
        meant: &Version,
        depth: Depth,
    ) -> Result<Option<Hold>, RepoError> {
        let image = &field.repository;
        let Some(first) = self.seen(tip, depth)?.records.iter().rposition(|record| record.sets(image, meant)) else {
            return Ok(None);
        };
        let changes = self.changes(tip, file, field, first + 1)?;
        let records = self.seen.as_ref().map_or(&[][..], |seen| &seen.records);
        Ok(hold::by_history(&changes, records, image, meant))
    }

    /// Returns the hold on something that may be newer than what an update would write: a registry that does not list what
    /// was taken away must not bring about what is older still.
    pub fn hold_on_newer(
        &mut self,
        tip: &mut Tip,
        update: &Update,
        policies: &PolicySet,
        findings: &FindingsByImage,
        proofs: &Proofs,
    ) -> Result<Option<Hold>, RepoError> {
        let field = &update.field;
        let (Some(rule), Some(Ok(findings)), Some(tag), Some(ImageProof::Whole { created, .. })) = (
            policies.rule_for(&field.repository),
            findings.get(&field.repository),
            &update.tag,
            proofs.get(&wanted(update)),
        ) else {
            return Ok(None);
        };
        let (depth, chosen) = (Depth::to(*created), Chosen { tag, built: *created });
        let listed = findings.whole().map_or(&[][..], |candidates| &candidates.seen);
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

    /// Whether the bot set an image to something that it never moved on from by itself, apart from what a field holds and
    /// would hold. The image that it would hold was built at `created`.
    pub fn has_other_than(
        &mut self,
        tip: &mut Tip,
        update: &Update,
        created: Option<Timestamp>,
    ) -> Result<bool, RepoError> {
        let never_left = self.never_left(tip, &update.field.repository, Depth::to(created))?;
        let tags = never_left.iter().filter_map(|(version, _)| version.tag.as_ref());
        let known = [update.tag.as_ref(), update.field.version.tag.as_ref()];
        Ok(tags.map(Some).any(|tag| !known.contains(&tag)))
    }

    /// What the bot set an image to and never moved on from by itself, told once for all of its fields.
    fn never_left(
        &mut self,
        tip: &mut Tip,
        image: &Repository,
        depth: Depth,
    ) -> Result<Arc<[(Version, Timestamp)]>, RepoError> {
        let Seen { records, never_left, .. } = self.seen(tip, depth)?;
        let of_image = || hold::never_left(records, image).into();
        Ok(Arc::clone(never_left.entry(image.clone()).or_insert_with(of_image)))
    }

    /// The hold that closed pull requests put on a version of an image.
    fn hold_by_closing(
        &mut self,
        tip: &mut Tip,
        image: &Repository,
        meant: &Version,
    ) -> Result<Option<Hold>, RepoError> {
        let Some(last) = proposal::last(&self.closed, image, meant) else { return Ok(None) };
        let at = last.at;
        self.seen(tip, Depth::Since(at))?;
        let records = self.seen.as_ref().map_or(&[][..], |seen| &seen.records);
        Ok(proposal::by_closing(&self.closed, records, image, meant))
    }

    /// Everything of an image that closed pull requests hold.
    pub fn held_by_closing(&mut self, tip: &mut Tip, image: &Repository) -> Result<Vec<Hold>, RepoError> {
        let moves = self.closed.iter().flat_map(|closed| &closed.moves);
        let versions: Vec<Version> =
            moves.filter(|moved| moved.image == *image).map(|moved| moved.to.clone()).collect();
        let holds = versions.iter().map(|version| self.hold_by_closing(tip, image, version));
        Ok(holds.collect::<Result<Vec<_>, RepoError>>()?.into_iter().flatten().collect())
    }

    /// Everything that the history of a field holds back, the newest first.
    pub fn held_by_history(
        &mut self,
        tip: &mut Tip,
        file: &str,
        field: &Field,
        depth: Depth,
    ) -> Result<Vec<Hold>, RepoError> {
        let commits = self.seen(tip, depth)?.records.len();
        let changes = self.changes(tip, file, field, commits)?;
        let records = self.seen.as_ref().map_or(&[][..], |seen| &seen.records);
        let mut meant: Vec<Version> = Vec::new();
        for left in changes.iter().filter_map(|change| change.from.as_ref()) {
            if !meant.iter().any(|other| other.tag == left.tag) {
                meant.push(Version { digest: None, ..left.clone() });
            }
        }
        Ok(meant.iter().filter_map(|meant| hold::by_history(&changes, records, &field.repository, meant)).collect())
    }

    /// What a field held before what it holds now, leaving out what is held: what a rollback goes back to.
    pub fn previous(&mut self, tip: &mut Tip, file: &str, field: &Field) -> Result<Option<Version>, RepoError> {
        for depth in [Depth::Usual, Depth::Everything] {
            let commits = self.seen(tip, depth)?.records.len();
            let changes = self.changes(tip, file, field, commits)?;
            let Some(seen) = &self.seen else { break };
            let image = &field.repository;
            let is_free = |version: &&Version| {
                !version.is_empty()
                    && **version != field.version
                    && seen.named.on(image, version).is_none_or(|hold| hold.target.version.is_empty())
                    && hold::by_history(&changes, &seen.records, image, version).is_none()
            };
            let found = changes.iter().filter_map(|change| change.from.as_ref()).find(is_free);
            if found.is_some() || seen.is_all {
                return Ok(found.cloned());
            }
        }
        Ok(None)
    }

    /// What the last `commits` commits did to a field, the newest first.
    fn changes(&mut self, tip: &Tip, file: &str, field: &Field, commits: usize) -> Result<Vec<Change>, RepoError> {
        let Some(seen) = &self.seen else { return Ok(Vec::new()) };
        let mut path = file.to_owned();
        let clone = &tip.clone;
        let mut versions = Versions { clone, field_rules: &self.field_rules, field, known: HashMap::new() };
        let mut changes = Vec::new();
        for (id, record) in seen.ids.iter().zip(&seen.records).take(commits) {
            let is_recorded = record.trailers.moves.iter().any(|recorded| recorded.file == path);
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

    /// Where reading had to end, if it was not read as far back as it should have been.
    pub fn horizon(&self) -> Option<&Horizon> {
        self.seen.as_ref()?.horizon.as_ref()
    }

    /// Reads as far back as wanted, unless that was done.
    fn seen(&mut self, tip: &mut Tip, depth: Depth) -> Result<&mut Seen, RepoError> {
        let usual = tip.clone.usual_depth();
        let known = self.seen.take().filter(|seen| seen.is_all || seen.reaches(depth, usual));
        let seen = match known {
            Some(seen) => seen,
            None => Seen::read(&mut tip.clone, tip.commit, depth)?,
        };
        Ok(self.seen.insert(seen))
    }
}

/// The version that holds have to be on to keep an update back; `None` while it is not known what a tag that stays stands
/// for now.
fn meant(update: &Update, proofs: &Proofs) -> Option<Version> {
    let proved = match proofs.get(&wanted(update)) {
        Some(ImageProof::Whole { digest, .. }) => Some(digest),
        _ => None,
    };
    let stays = update.tag == update.field.version.tag;
    match (wanted(update).1, proved) {
        (Version { tag: Some(tag), digest: None }, Some(digest)) if stays => {
            Some(Version { tag: Some(tag), digest: Some(digest.clone()) })
        }
        (Version { digest: None, .. }, None) if stays => None,
        (Version { tag: Some(tag), .. }, _) if !stays => Some(Version::from(tag)),
        (version, _) => Some(version),
    }
}

/// The other tags of the build that an update would write, apart from the one that its field holds.
fn siblings(update: &Update, findings: &FindingsByImage) -> Vec<Version> {
    let (Some(Ok(findings)), Some(tag)) = (findings.get(&update.field.repository), &update.tag) else {
        return Vec::new();
    };
    let others = findings.siblings(tag).into_iter().filter(|other| update.field.version.tag.as_ref() != Some(other));
    others.map(Version::from).collect()
}

/// How far back an update may have been made before: nothing held an image before it was built.
fn depth(update: &Update, proofs: &Proofs) -> Depth {
    match proofs.get(&wanted(update)) {
        Some(ImageProof::Whole { created, .. }) => Depth::to(*created),
        // It is not going to be written.
        _ => Depth::Usual,
    }
}

/// What files said of a field.
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
        let read = |_: usize, bytes: &[u8]| {
            let facts = find::read(path, bytes, self.field_rules).ok()?;
            facts.version_of(&self.field.repository, &self.field.path).cloned()
        };
        let version = self.clone.read_blobs(&[blob], read)?.pop().flatten();
        self.known.insert(key, version.clone());
        Ok(version)
    }
}
