//! What happened on the branch, as far as holds go: what its commits say, and how fields came to hold what they hold.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::image::{Repository, Version};
use crate::manifest::field::Field;
use crate::manifest::field_rules::FieldRules;
use crate::manifest::find;
use crate::plan::decide::{Plan, Surveys, Update};
use crate::plan::gate::{ImageProof, Proofs, wanted};
use crate::plan::hold::{self, Change, NamedHolds};
use crate::plan::proposal::{self, Closed};
use crate::plan::skip::{Reason, Skipped};
use crate::plan::trailer::Hold;
use crate::policy::choose::Chosen;
use crate::policy::rule::PolicySet;
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;
use crate::repo::tree::BlobId;

use super::read_back::{Horizon, Reach, Seen};

/// What happened on the branch.
#[derive(Debug)]
pub struct Past<'p> {
    clone: &'p mut BareClone,
    tip: CommitId,
    field_rules: &'p FieldRules,
    closed: Vec<Closed>,
    seen: Option<Seen>,
}

impl<'p> Past<'p> {
    /// The past of a tip. Nothing is read before it is asked for.
    pub fn new(clone: &'p mut BareClone, tip: CommitId, field_rules: &'p FieldRules) -> Past<'p> {
        Past { clone, tip, field_rules, closed: Vec::new(), seen: None }
    }

    /// Adds the pull requests that were closed without being merged.
    pub fn add_closed(&mut self, closed: Vec<Closed>) {
        self.closed.extend(closed);
    }

    /// What is held by name.
    pub fn named(&mut self) -> Result<&NamedHolds, RepoError> {
        Ok(&self.seen(Reach::Named)?.named)
    }

    /// Takes what is held out of a plan that follows policies. What is known of images says how far back one has to look:
    /// nothing held an image before it was built.
    pub fn keep_back(
        &mut self,
        plan: &mut Plan,
        policies: &PolicySet,
        surveys: &Surveys,
        proofs: &Proofs,
    ) -> Result<(), RepoError> {
        for update in std::mem::take(&mut plan.updates) {
            let hold = match self.hold(&update, proofs)? {
                None => self.hold_on_build(&update, surveys, proofs)?,
                hold => hold,
            };
            let kept = match hold {
                Some(hold) => Some((hold.to_string(), hold)),
                None => self
                    .hold_ahead(&update, policies, surveys, proofs)?
                    .map(|hold| (format!("{hold}; {} is not known to be newer", wanted(&update).1), hold)),
            };
            let Some((detail, hold)) = kept else {
                plan.updates.push(update);
                continue;
            };
            plan.skipped.insert(Skipped::field(&update.file, &update.field, update.tag, Reason::Held, detail));
            plan.holds.push(hold);
        }
        Ok(())
    }

    /// The hold on another tag of the build that an update would write: what was taken away under one name does not come
    /// back under another.
    fn hold_on_build(
        &mut self,
        update: &Update,
        surveys: &Surveys,
        proofs: &Proofs,
    ) -> Result<Option<Hold>, RepoError> {
        let (Some(Ok(findings)), Some(tag)) = (surveys.get(&update.field.repository), &update.tag) else {
            return Ok(None);
        };
        let reach = reach(update, proofs);
        for sibling in findings.siblings(tag) {
            if update.field.version.tag.as_ref() == Some(&sibling) {
                continue;
            }
            let meant = Version::from(sibling);
            if let Some(hold) = self.hold_on(&update.file, &update.field, &meant, reach)? {
                return Ok(Some(hold));
            }
        }
        Ok(None)
    }

    /// The hold on what an update would write.
    pub fn hold(&mut self, update: &Update, proofs: &Proofs) -> Result<Option<Hold>, RepoError> {
        let reach = reach(update, proofs);
        let proved = match proofs.get(&wanted(update)) {
            Some(ImageProof::Whole { digest, .. }) => Some(digest),
            _ => None,
        };
        let stays = update.tag == update.field.version.tag;
        let meant = match (&wanted(update).1, proved) {
            (Version { tag: Some(tag), digest: None }, Some(digest)) if stays => {
                Version { tag: Some(tag.clone()), digest: Some(digest.clone()) }
            }
            // What its tag stands for now is not known yet.
            (Version { digest: None, .. }, None) if stays => return Ok(None),
            (Version { tag: Some(tag), .. }, _) if !stays => Version::from(tag.clone()),
            (version, _) => version.clone(),
        };
        self.hold_on(&update.file, &update.field, &meant, reach)
    }

    /// The hold on a version of a field.
    pub fn hold_on(
        &mut self,
        file: &str,
        field: &Field,
        meant: &Version,
        reach: Reach,
    ) -> Result<Option<Hold>, RepoError> {
        let image = &field.repository;
        if let Some(hold) = self.seen(reach)?.named.on(image, meant) {
            return Ok(Some(hold.clone()));
        }
        match self.hold_by_history(file, field, meant, reach)? {
            Some(hold) => Ok(Some(hold)),
            None => self.hold_by_closing(image, meant),
        }
    }

    /// The hold that the history of a field puts on a version.
    fn hold_by_history(
        &mut self,
        file: &str,
        field: &Field,
        meant: &Version,
        reach: Reach,
    ) -> Result<Option<Hold>, RepoError> {
        let image = &field.repository;
        let Some(first) = self.seen(reach)?.deeds.iter().rposition(|deed| deed.sets(image, meant)) else {
            return Ok(None);
        };
        let changes = self.changes(file, field, first + 1)?;
        let deeds = self.seen.as_ref().map_or(&[][..], |seen| &seen.deeds);
        Ok(hold::by_history(&changes, deeds, image, meant))
    }

    /// The hold on something that may be newer than what a policy would write: a registry that does not list what was
    /// taken away must not bring about what is older still.
    fn hold_ahead(
        &mut self,
        update: &Update,
        policies: &PolicySet,
        surveys: &Surveys,
        proofs: &Proofs,
    ) -> Result<Option<Hold>, RepoError> {
        let field = &update.field;
        let (Some(rule), Some(Ok(findings)), Some(tag), Some(ImageProof::Whole { created, .. })) = (
            policies.rule_for(&field.repository),
            surveys.get(&field.repository),
            &update.tag,
            proofs.get(&wanted(update)),
        ) else {
            return Ok(None);
        };
        let (reach, chosen) = (Reach::to(*created), Chosen { tag, built: *created });
        let listed = findings.whole().map_or(&[][..], |survey| &survey.seen);
        for (version, when) in self.never_left(&field.repository, reach)?.iter() {
            let Some(before) = version.tag.as_ref().filter(|before| *before != tag) else { continue };
            if version.tag == field.version.tag || rule.tags.is_newer(&chosen, before, *when, listed) {
                continue;
            }
            if let Some(hold) = self.hold_by_history(&update.file, field, version, reach)? {
                return Ok(Some(hold));
            }
        }
        Ok(None)
    }

    /// Whether the bot set an image to something that it never moved on from by itself, apart from what a field holds and
    /// would hold. The image that it would hold was built at `created`.
    pub fn has_other_than(&mut self, update: &Update, created: Option<Timestamp>) -> Result<bool, RepoError> {
        let never_left = self.never_left(&update.field.repository, Reach::to(created))?;
        let tags = never_left.iter().filter_map(|(version, _)| version.tag.as_ref());
        let known = [update.tag.as_ref(), update.field.version.tag.as_ref()];
        Ok(tags.map(Some).any(|tag| !known.contains(&tag)))
    }

    /// What the bot set an image to and never moved on from by itself, told once for all of its fields.
    fn never_left(&mut self, image: &Repository, reach: Reach) -> Result<Arc<[(Version, Timestamp)]>, RepoError> {
        let Seen { deeds, never_left, .. } = self.seen(reach)?;
        let of_image = || hold::never_left(deeds, image).into();
        Ok(Arc::clone(never_left.entry(image.clone()).or_insert_with(of_image)))
    }

    /// The hold that closed pull requests put on a version of an image.
    fn hold_by_closing(&mut self, image: &Repository, meant: &Version) -> Result<Option<Hold>, RepoError> {
        let Some(last) = proposal::last(&self.closed, image, meant) else { return Ok(None) };
        let at = last.at;
        self.seen(Reach::Since(at))?;
        let deeds = self.seen.as_ref().map_or(&[][..], |seen| &seen.deeds);
        Ok(proposal::by_closing(&self.closed, deeds, image, meant))
    }

    /// Everything of an image that closed pull requests hold.
    pub fn held_by_closing(&mut self, image: &Repository) -> Result<Vec<Hold>, RepoError> {
        let moves = self.closed.iter().flat_map(|closed| &closed.moves);
        let versions: Vec<Version> =
            moves.filter(|moved| moved.image == *image).map(|moved| moved.to.clone()).collect();
        let holds = versions.iter().map(|version| self.hold_by_closing(image, version));
        Ok(holds.collect::<Result<Vec<_>, RepoError>>()?.into_iter().flatten().collect())
    }

    /// Everything that the history of a field holds back, the newest first.
    pub fn held_by_history(&mut self, file: &str, field: &Field, reach: Reach) -> Result<Vec<Hold>, RepoError> {
        let commits = self.seen(reach)?.deeds.len();
        let changes = self.changes(file, field, commits)?;
        let deeds = self.seen.as_ref().map_or(&[][..], |seen| &seen.deeds);
        let mut meant: Vec<Version> = Vec::new();
        for left in changes.iter().filter_map(|change| change.from.as_ref()) {
            if !meant.iter().any(|other| other.tag == left.tag) {
                meant.push(Version { digest: None, ..left.clone() });
            }
        }
        Ok(meant.iter().filter_map(|meant| hold::by_history(&changes, deeds, &field.repository, meant)).collect())
    }

    /// What a field held before what it holds now, leaving out what is held: what a rollback goes back to.
    pub fn previous(&mut self, file: &str, field: &Field) -> Result<Option<Version>, RepoError> {
        for reach in [Reach::Usual, Reach::Everything] {
            let commits = self.seen(reach)?.deeds.len();
            let changes = self.changes(file, field, commits)?;
            let Some(seen) = &self.seen else { break };
            let image = &field.repository;
            let is_free = |version: &&Version| {
                !version.is_empty()
                    && **version != field.version
                    && seen.named.on(image, version).is_none_or(|hold| hold.target.version.is_empty())
                    && hold::by_history(&changes, &seen.deeds, image, version).is_none()
            };
            let found = changes.iter().filter_map(|change| change.from.as_ref()).find(is_free);
            if found.is_some() || seen.is_all {
                return Ok(found.cloned());
            }
        }
        Ok(None)
    }

    /// What the last `commits` commits did to a field, the newest first.
    fn changes(&mut self, file: &str, field: &Field, commits: usize) -> Result<Vec<Change>, RepoError> {
        let Some(seen) = &self.seen else { return Ok(Vec::new()) };
        let mut path = file.to_owned();
        let mut versions = Versions { clone: self.clone, field_rules: self.field_rules, field, known: HashMap::new() };
        let mut changes = Vec::new();
        for (id, deed) in seen.ids.iter().zip(&seen.deeds).take(commits) {
            let is_recorded = deed.trailers.moves.iter().any(|recorded| recorded.file == path);
            let after = path.clone();
            let (from, to) = match self.clone.change(*id, &path)? {
                Some(change) => {
                    let to = versions.of(&path, change.after)?;
                    path = change.before.as_ref().map_or(path, |(before, _)| before.clone());
                    (versions.of(&path, change.before.map(|(_, blob)| blob))?, to)
                }
                None if is_recorded => {
                    let held = versions.of(&path, self.clone.blob(*id, &path)?)?;
                    (held.clone(), held)
                }
                None => continue,
            };
            if from != to || is_recorded {
                changes.push(Change { deed: Arc::clone(deed), file: after, path: field.path.clone(), from, to });
            }
        }
        Ok(changes)
    }

    /// Where reading had to end, if it was not read as far back as it should have been.
    pub fn horizon(&self) -> Option<&Horizon> {
        self.seen.as_ref()?.horizon.as_ref()
    }

    /// Reads as far back as wanted, unless that was done.
    fn seen(&mut self, reach: Reach) -> Result<&mut Seen, RepoError> {
        let usual = self.clone.usual_depth();
        let known = self.seen.take().filter(|seen| seen.is_all || seen.reaches(reach, usual));
        let seen = match known {
            Some(seen) => seen,
            None => Seen::read(self.clone, self.tip, reach)?,
        };
        Ok(self.seen.insert(seen))
    }
}

/// How far back an update may have been made before.
fn reach(update: &Update, proofs: &Proofs) -> Reach {
    match proofs.get(&wanted(update)) {
        Some(ImageProof::Whole { created, .. }) => Reach::to(*created),
        // It is not going to be written.
        _ => Reach::Usual,
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
