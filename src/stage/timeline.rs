//! The releases that a stage has held, from the history of its fields.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::image::{Digest, Repository, Tag, Version};
use crate::manifest::inventory::Located;

use super::release::{Build, Release};

/// A commit, as far as it matters for stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The number of commits after it.
    pub ago: usize,
    /// Its ID.
    pub commit: String,
    /// When it arrived on the branch, as far as that can be told.
    pub when: Timestamp,
}

/// How a commit changed a field of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldMove {
    /// The commit.
    pub at: Point,
    /// The file.
    pub file: String,
    /// The path of the field.
    pub path: String,
    /// The image.
    pub image: Repository,
    /// The version before, or `None` if the field did not exist.
    pub from: Option<Version>,
    /// The version after, or `None` if the field was removed.
    pub to: Option<Version>,
    /// The digest that the commit records for the new version.
    pub recorded: Option<Digest>,
}

/// A time in which a stage held the same versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenure {
    /// The versions.
    pub held: Held,
    /// The commit that brought them; `None` if it is older than the history that was read.
    pub since: Option<Point>,
    /// The commit that replaced them; `None` if they are still there.
    pub until: Option<Point>,
}

/// The versions that a stage holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// A release.
    Release(Release),
    /// Versions whose digests nobody recorded, for example because a person wrote them.
    Unrecorded(BTreeMap<Repository, Version>),
    /// Fields of one image hold different versions.
    Mixed(Repository),
    /// There are no fields.
    Nothing,
}

impl Held {
    /// Returns the release.
    pub fn release(&self) -> Option<&Release> {
        match self {
            Held::Release(release) => Some(release),
            Held::Unrecorded(_) | Held::Mixed(_) | Held::Nothing => None,
        }
    }

    /// Returns the tag that all images share.
    pub fn tag(&self) -> Option<&Tag> {
        match self {
            Held::Release(release) => release.tag(),
            Held::Unrecorded(versions) => {
                let mut tags = versions.values().map(|version| version.tag.as_ref());
                let first = tags.next()??;
                tags.all(|tag| tag == Some(first)).then_some(first)
            }
            Held::Mixed(_) | Held::Nothing => None,
        }
    }
}

/// A field by its file and path, with its image and version.
type State<'m> = BTreeMap<(&'m str, &'m str), (&'m Repository, &'m Version)>;

/// Returns the tenures of a stage, newest first. `fields` are those of the tip, and `moves` are those of the stage, newest
/// first.
pub fn tenures(fields: &[&Located], moves: &[FieldMove]) -> Vec<Tenure> {
    let records = Records::of(moves);
    let mut state: State<'_> = BTreeMap::new();
    for located in fields {
        let field = &located.field;
        state.insert((&located.file, &field.path), (&field.repository, &field.version));
    }
    let mut tenures: Vec<Tenure> = Vec::new();
    let mut until = None;
    for commit in moves.chunk_by(|a, b| a.at.ago == b.at.ago) {
        let at = &commit[0].at;
        push(&mut tenures, Tenure { held: held(&state, &records, at.ago), since: Some(at.clone()), until });
        for moved in commit {
            let key = (moved.file.as_str(), moved.path.as_str());
            match &moved.from {
                Some(version) => drop(state.insert(key, (&moved.image, version))),
                None => drop(state.remove(&key)),
            }
        }
        until = Some(at.clone());
    }
    push(&mut tenures, Tenure { held: held(&state, &records, usize::MAX), since: None, until });
    tenures
}

/// Adds an older tenure. If it held the same, they are one.
fn push(tenures: &mut Vec<Tenure>, older: Tenure) {
    match tenures.last_mut().filter(|newer| newer.held == older.held) {
        Some(newer) => newer.since = older.since,
        None => tenures.push(older),
    }
}

fn held(state: &State<'_>, records: &Records<'_>, ago: usize) -> Held {
    let mut versions: BTreeMap<Repository, Version> = BTreeMap::new();
    for (image, version) in state.values() {
        match versions.get(*image) {
            None => drop(versions.insert((*image).clone(), (*version).clone())),
            Some(other) if other == *version => {}
            Some(_) => return Held::Mixed((*image).clone()),
        }
    }
    if versions.is_empty() {
        return Held::Nothing;
    }
    let build = |(image, version): (&Repository, &Version)| {
        let digest = version.digest.clone().or_else(|| records.digest(image, version, ago))?;
        Some((image.clone(), Build { tag: version.tag.clone(), digest }))
    };
    let builds: Option<BTreeMap<Repository, Build>> = versions.iter().map(build).collect();
    builds.and_then(Release::of).map_or(Held::Unrecorded(versions), Held::Release)
}

/// The digests that commits recorded.
struct Records<'m>(Vec<(&'m Repository, &'m Version, usize, &'m Digest)>);

impl Records<'_> {
    fn of(moves: &[FieldMove]) -> Records<'_> {
        let mut records = Vec::new();
        for moved in moves {
            if let (Some(to), Some(digest)) = (&moved.to, &moved.recorded) {
                records.push((&moved.image, to, moved.at.ago, digest));
            }
        }
        Records(records)
    }

    /// Returns the digest that a version had when it was deployed, according to the last commit before `ago` that deployed
    /// it.
    fn digest(&self, image: &Repository, version: &Version, ago: usize) -> Option<Digest> {
        let before = self.0.iter().filter(|(own, to, at, _)| *own == image && *to == version && *at >= ago);
        before.min_by_key(|(_, _, at, _)| *at).map(|(_, _, _, digest)| (*digest).clone())
    }
}
