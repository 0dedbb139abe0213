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
    /// When it arrived on the branch at the latest, as far as that can be told.
    pub when: Timestamp,
    /// When it says that it was made. The clock that said so may have been wrong.
    pub claimed: Timestamp,
}

impl Point {
    /// Returns when it arrived at the earliest. A commit before it with a wrong clock moves `when` ahead, which must not
    /// make a stay that it ended any longer.
    pub fn earliest(&self) -> Timestamp {
        self.when.min(self.claimed)
    }
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
    /// True if the commit records that tagalong made this move.
    pub is_recorded: bool,
    /// True if the version before was taken back: somebody replaced it, or tagalong did on request.
    pub takes_back: bool,
}

/// A time in which a stage held the same versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenure {
    /// The versions.
    pub held: Held,
    /// The commit that brought them; `None` if it is older than the history that was read.
    pub since: Option<Point>,
    /// Their end; `None` if they are still there.
    pub end: Option<End>,
}

/// The end of a tenure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The commit that replaced the versions.
    pub at: Point,
    /// True if it took them back.
    pub takes_back: bool,
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

    /// Returns whether it is the same as what another stage holds, as far as both have the same images. Where a digest is not
    /// recorded, tags are compared.
    pub fn agrees_with(&self, other: &Held) -> bool {
        if let (Held::Release(own), Held::Release(other)) = (self, other) {
            return own.is_same_where_shared(other);
        }
        self.has_same_tags(other)
    }

    /// Returns whether it has the same tags as what another stage holds, as far as both have the same images.
    pub fn has_same_tags(&self, other: &Held) -> bool {
        let (own, other) = (self.tags(), other.tags());
        let mut shared = own.iter().filter_map(|(image, tag)| Some((tag, other.get(image)?))).peekable();
        shared.peek().is_some() && shared.all(|(own, other)| own == other)
    }

    fn tags(&self) -> BTreeMap<&Repository, Option<&Tag>> {
        match self {
            Held::Release(release) => {
                release.images().iter().map(|(image, build)| (image, build.tag.as_ref())).collect()
            }
            Held::Unrecorded(versions) => {
                versions.iter().map(|(image, version)| (image, version.tag.as_ref())).collect()
            }
            Held::Mixed(_) | Held::Nothing => BTreeMap::new(),
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

/// The versions of fields, by file, path and image.
type State<'m> = BTreeMap<(&'m str, &'m str, &'m Repository), &'m Version>;

/// Returns the tenures of a stage, newest first. `fields` are those of the tip, and `moves` are those of the stage, newest
/// first.
pub fn tenures(fields: &[&Located], moves: &[&FieldMove]) -> Vec<Tenure> {
    let records = Records::of(moves);
    let mut state: State<'_> = BTreeMap::new();
    for located in fields {
        let field = &located.field;
        state.insert((&located.file, &field.path, &field.repository), &field.version);
    }
    let mut tenures: Vec<Tenure> = Vec::new();
    let mut end = None;
    for commit in moves.chunk_by(|a, b| a.at.ago == b.at.ago) {
        let at = &commit[0].at;
        push(&mut tenures, Tenure { held: held(&state, &records, at.ago), since: Some(at.clone()), end });
        for moved in commit {
            let key = (moved.file.as_str(), moved.path.as_str(), &moved.image);
            match &moved.from {
                Some(version) => drop(state.insert(key, version)),
                None => drop(state.remove(&key)),
            }
        }
        end = Some(End { at: at.clone(), takes_back: commit.iter().any(|moved| moved.takes_back) });
    }
    push(&mut tenures, Tenure { held: held(&state, &records, usize::MAX), since: None, end });
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
    for ((_, _, image), version) in state {
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
    fn of<'m>(moves: &[&'m FieldMove]) -> Records<'m> {
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

#[cfg(test)]
mod tests {
    use crate::manifest::field_rules::FieldRules;
    use crate::manifest::find;

    use super::*;

    fn located(file: &str, image: &str) -> Located {
        let text = format!("image: {image}\n");
        let facts = find::read(file, text.as_bytes(), &FieldRules::default()).expect("valid YAML");
        Located { file: file.to_owned(), field: facts.fields[0].clone(), shadowed_by: None, encrypted: false }
    }

    fn digest(digit: char) -> Digest {
        format!("sha256:{}", digit.to_string().repeat(64)).parse().expect("a digest")
    }

    fn moved(ago: usize, file: &str, from: &str, to: &str, recorded: Option<char>) -> FieldMove {
        let version = |text: &str| (text != "-").then(|| Version::parse_tag(text).expect("a version"));
        let when = Timestamp::from_second(1000 - ago as i64).expect("a time");
        let at = Point { ago, commit: ago.to_string(), when, claimed: when };
        FieldMove {
            at,
            file: file.to_owned(),
            path: "image".to_owned(),
            image: "acme/app".parse().expect("an image"),
            from: version(from),
            to: version(to),
            recorded: recorded.map(digest),
            is_recorded: true,
            takes_back: false,
        }
    }

    fn shown(tenures: &[Tenure]) -> Vec<String> {
        let show = |tenure: &Tenure| {
            let held = match &tenure.held {
                Held::Release(release) => release.short(),
                Held::Unrecorded(_) => format!("{}?", tenure.held.tag().map(ToString::to_string).unwrap_or_default()),
                Held::Mixed(_) => "mixed".to_owned(),
                Held::Nothing => "nothing".to_owned(),
            };
            let ago = |point: Option<&Point>| point.map_or("…".to_owned(), |point| point.ago.to_string());
            format!("{held} {}-{}", ago(tenure.since.as_ref()), ago(tenure.end.as_ref().map(|end| &end.at)))
        };
        tenures.iter().map(show).collect()
    }

    #[test]
    fn tenures_follow_the_history_of_a_field() {
        let field = located("a.yaml", "acme/app:v3");
        let moves = [
            moved(1, "a.yaml", "v2", "v3", Some('3')),
            moved(5, "a.yaml", "v1", "v2", Some('2')),
            moved(7, "a.yaml", "-", "v1", None),
        ];
        assert_eq!(shown(&tenures(&[&field], &moves.each_ref())), ["v3 1-…", "v2 5-1", "v1? 7-5", "nothing …-7"]);
    }

    #[test]
    fn fields_that_move_one_after_another_disagree_in_between() {
        let (a, b) = (located("a.yaml", "acme/app:v2"), located("b.yaml", "acme/app:v2"));
        let moves = [moved(1, "b.yaml", "v1", "v2", Some('2')), moved(2, "a.yaml", "v1", "v2", Some('2'))];
        assert_eq!(shown(&tenures(&[&a, &b], &moves.each_ref())), ["v2 1-…", "mixed 2-1", "v1? …-2"]);
    }

    #[test]
    fn a_digest_is_the_one_that_was_recorded_last_before() {
        let field = located("a.yaml", "acme/app:v1");
        let moves = [
            moved(1, "a.yaml", "v2", "v1", Some('9')),
            moved(3, "a.yaml", "v1", "v2", Some('2')),
            moved(5, "a.yaml", "v0", "v1", Some('1')),
        ];
        let tenures = tenures(&[&field], &moves.each_ref());
        let digests: Vec<Option<&Digest>> = tenures
            .iter()
            .map(|tenure| {
                tenure.held.release().and_then(|release| release.images().values().next()).map(|build| &build.digest)
            })
            .collect();
        assert_eq!(digests, [Some(&digest('9')), Some(&digest('2')), Some(&digest('1')), None]);
    }
}
