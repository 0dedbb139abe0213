//! Groups tags by build: a full and a short SHA, a version with and without a `v`, an index and the tags of its
//! platforms.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::image::{Digest, Tag};

use super::build::{Build, Kind};
use super::order::Standing;
use super::seen::Seen;
use super::tags::TagRule;

/// The number of newest tags that are inspected if the order alone does not tell builds apart.
const NEWEST: usize = 24;

/// The parts of a tag's image that tell builds apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its digest.
    pub digest: Digest,
    /// The digests of its platforms, if it is an index.
    pub platforms: Vec<Digest>,
}

/// Tags with the builds that they belong to.
#[derive(Debug, Clone, Default)]
pub struct Builds(HashMap<Tag, Build>);

/// A tag whose image is known.
struct Known<'k> {
    tag: &'k Tag,
    commit: Option<&'k str>,
    standing: Option<Standing>,
    content: &'k Content,
}

impl Known<'_> {
    /// Returns whether two tags may name the same commit: one is a prefix of the other, or at least one names none.
    fn is_of_commit_of(&self, other: &Known<'_>) -> bool {
        match (self.commit, other.commit) {
            (Some(one), Some(other)) => one.starts_with(other) || other.starts_with(one),
            _ => true,
        }
    }
}

impl Builds {
    /// Groups tags into builds by their images. Tags of one image are one build if they name one commit, and if nothing
    /// tells which of them is newer. Otherwise they are different builds: a change that was reverted may lead to the
    /// same image again, which is new all the same.
    pub fn of<'k>(
        rule: &TagRule,
        images: impl IntoIterator<Item = (&'k Tag, Option<Standing>, &'k Content)>,
    ) -> Builds {
        let known = |(tag, standing, content)| Known { tag, commit: rule.commit_of(tag), standing, content };
        let mut all: Vec<Known<'k>> = images.into_iter().map(known).collect();
        all.sort_by(|a, b| (&a.content.digest, a.commit, a.tag).cmp(&(&b.content.digest, b.commit, b.tag)));
        let of_digests = all.chunk_by(|a, b| a.content.digest == b.content.digest);
        Builds::named(&of_digests.flat_map(of_one_digest).collect::<Vec<_>>())
    }

    fn named(images: &[Vec<&Known<'_>>]) -> Builds {
        let mut indexes: HashMap<&Digest, Vec<usize>> = HashMap::new();
        for (number, image) in images.iter().enumerate() {
            image[0].content.platforms.iter().for_each(|platform| indexes.entry(platform).or_default().push(number));
        }
        let mut builds = HashMap::new();
        for (number, image) in images.iter().enumerate() {
            let content = image[0].content;
            let of = indexes.get(&content.digest).map(Vec::as_slice).unwrap_or_default();
            let kind = match (content.platforms.len(), of.is_empty()) {
                (0, true) => Kind::Image,
                (0, false) => Kind::Part,
                (count, _) => Kind::Index { is_of_several: count > 1 },
            };
            // A platform that did not change is part of several indexes: the newest counts.
            let newest = |index: &&usize| (first_standing(&images[**index]), **index);
            let is_of = |index: &&usize| have_one_commit(image, &images[**index]);
            let whole = of.iter().filter(is_of).max_by_key(newest).filter(|_| kind == Kind::Part);
            let id = u32::try_from(whole.copied().unwrap_or(number)).unwrap_or(u32::MAX);
            builds.extend(image.iter().map(|known| (known.tag.clone(), Build { id, kind })));
        }
        Builds(builds)
    }

    /// Returns the build of a tag, if its image is known.
    pub fn get(&self, tag: &Tag) -> Option<Build> {
        self.0.get(tag).copied()
    }
}

/// Returns the builds among tags of one image, given in the order of their commits.
fn of_one_digest<'a, 'k>(tags: &'a [Known<'k>]) -> Vec<Vec<&'a Known<'k>>> {
    // The shortest SHA of a commit comes right before all longer ones.
    let mut commits: Vec<Vec<&Known<'_>>> = Vec::new();
    for known in tags {
        match commits.last_mut() {
            Some(commit) if commit[0].is_of_commit_of(known) => commit.push(known),
            _ => commits.push(vec![known]),
        }
    }
    let mut builds: BTreeMap<Option<Standing>, Vec<&Known<'_>>> = BTreeMap::new();
    for commit in commits {
        builds.entry(first_standing(&commit)).or_default().extend(commit);
    }
    builds.into_values().collect()
}

/// Returns the standing of a build, which is that of its first tag.
fn first_standing(build: &[&Known<'_>]) -> Option<Standing> {
    build.iter().filter_map(|known| known.standing).min()
}

fn have_one_commit(one: &[&Known<'_>], other: &[&Known<'_>]) -> bool {
    one.iter().any(|known| other.iter().any(|other| known.is_of_commit_of(other)))
}

impl TagRule {
    /// Returns the preferred tag of each build, by the number of the build.
    pub fn first_of_builds<'s>(&self, seen: impl Iterator<Item = &'s Seen>) -> HashMap<u32, &'s Tag> {
        let mut firsts: HashMap<u32, (_, &Tag)> = HashMap::new();
        for (build, tag) in seen.filter_map(|seen| Some((seen.build?, &seen.tag))) {
            let rank = (self.form_of(tag).suits(None, build.kind == Kind::Part), Reverse(tag));
            match firsts.get(&build.id) {
                Some((best, _)) if *best >= rank => {}
                _ => drop(firsts.insert(build.id, (rank, tag))),
            }
        }
        firsts.into_iter().map(|(id, (_, tag))| (id, tag)).collect()
    }

    /// Returns the tags whose images must be inspected to tell apart the builds that could win: those that share the
    /// first place if names or positions alone decide, and the newest if tags have several forms.
    pub fn to_tell_apart(&self, seen: &[Seen], held: &[Tag]) -> BTreeSet<Tag> {
        let fitting = || seen.iter().filter(|seen| seen.doubt.is_none());
        if self.order().is_some() {
            let mut placed: Vec<&Seen> = fitting().filter(|seen| seen.standing.is_some()).collect();
            let mut forms = placed.iter().map(|seen| self.form_of(&seen.tag));
            let first = forms.next();
            let is_one_form = forms.all(|form| first.as_ref().is_some_and(|first| first.is_like(&form)));
            placed.sort_by(|a, b| (b.standing, &a.tag).cmp(&(a.standing, &b.tag)));
            let has_tie = placed.windows(2).next().is_some_and(|pair| pair[0].standing == pair[1].standing);
            if is_one_form && !has_tie {
                return BTreeSet::new();
            }
            let newest = placed.into_iter().take(NEWEST).map(|seen| seen.tag.clone());
            return newest.chain(held.iter().cloned()).collect();
        }
        let mut ranks = BTreeMap::new();
        for seen in fitting() {
            if let Ok(rank) = self.rank(&seen.tag) {
                ranks.entry(rank).or_insert_with(BTreeSet::new).insert(seen.tag.clone());
            }
        }
        let best = if self.is_descending() { ranks.pop_first() } else { ranks.pop_last() };
        best.map(|(_, tags)| tags).filter(|tags| tags.len() > 1).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::order::Order;
    use super::super::range::Range;
    use super::super::tags::{Filter, ShaForm};
    use super::*;

    const SHA: TagRule = TagRule::Sha { form: ShaForm::Usual, order: Order::Built };

    fn tag(text: &str) -> Tag {
        text.parse().expect("a tag")
    }

    fn digest(n: u32) -> Digest {
        Digest::sha256(&format!("{n:064x}"))
    }

    fn content(n: u32, platforms: &[u32]) -> Content {
        Content { digest: digest(n), platforms: platforms.iter().map(|n| digest(*n)).collect() }
    }

    /// The tags of each build, sorted.
    fn grouped(images: &[(&str, Content)]) -> Vec<Vec<String>> {
        let images: Vec<(Tag, &Content)> = images.iter().map(|(text, content)| (tag(text), content)).collect();
        let builds = Builds::of(&SHA, images.iter().map(|(tag, content)| (tag, None, *content)));
        let mut groups: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for (tag, _) in &images {
            groups.entry(builds.get(tag).expect("known").id).or_default().push(tag.to_string());
        }
        let mut groups: Vec<Vec<String>> = groups.into_values().collect();
        groups.iter_mut().for_each(|group| group.sort());
        groups.sort();
        groups
    }

    #[test]
    fn one_image_with_several_names_of_a_commit_is_one_build() {
        let whole = "1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d";
        let one = [("1a2b3c4", content(1, &[])), (whole, content(1, &[])), ("main-1a2b3c4", content(1, &[]))];
        assert_eq!(grouped(&one), [["1a2b3c4", whole, "main-1a2b3c4"]]);
        let rebuilt = [("1a2b3c4", content(1, &[])), ("main-1a2b3c4", content(2, &[]))];
        assert_eq!(grouped(&rebuilt), [["1a2b3c4"], ["main-1a2b3c4"]]);
        let retagged = [("1a2b3c4", content(1, &[])), ("5d6e7f8", content(1, &[]))];
        assert_eq!(grouped(&retagged), [["1a2b3c4", "5d6e7f8"]]);
    }

    #[test]
    fn an_index_and_its_platforms_are_one_build() {
        let images = [
            ("1a2b3c4", content(1, &[2, 3])),
            ("amd64-1a2b3c4", content(2, &[])),
            ("arm64-1a2b3c4", content(3, &[])),
            ("arm64-5d6e7f8", content(3, &[])),
            ("amd64-5d6e7f8", content(4, &[])),
        ];
        assert_eq!(
            grouped(&images),
            [vec!["1a2b3c4", "amd64-1a2b3c4", "arm64-1a2b3c4", "arm64-5d6e7f8"], vec!["amd64-5d6e7f8"]],
            "the platform that did not change is of the index that there is"
        );
        let tags: Vec<Tag> = images.iter().map(|(text, _)| tag(text)).collect();
        let builds = Builds::of(&SHA, tags.iter().zip(&images).map(|(tag, (_, content))| (tag, None, content)));
        let kind = |text: &str| builds.get(&tag(text)).expect("known").kind;
        assert_eq!(kind("1a2b3c4"), Kind::Index { is_of_several: true });
        assert_eq!((kind("arm64-5d6e7f8"), kind("amd64-5d6e7f8")), (Kind::Part, Kind::Image));
    }

    #[test]
    fn only_tags_that_could_win_are_inspected() {
        let seen = |text: &str, behind: Option<u32>| {
            Seen::new(tag(text), behind.map(|n| Standing::Commit(super::super::order::HistoryPosition::behind(n))))
        };
        let told = |rule: &TagRule, seen: &[Seen]| -> Vec<String> {
            rule.to_tell_apart(seen, &[tag("held")]).iter().map(Tag::to_string).collect()
        };
        let plain: Vec<Seen> = (0..100).map(|n| seen(&format!("abc{n:04}"), Some(n))).collect();
        assert!(told(&SHA, &plain).is_empty(), "tags of one form are of as many builds");
        let mut mixed = plain.clone();
        mixed.push(seen("main-abc0000", Some(0)));
        assert_eq!(told(&SHA, &mixed).len(), NEWEST + 1);
        let semver = TagRule::Semver { range: Range::parse("*").expect("a range"), filter: Filter::default() };
        let versions = ["1.2.3", "v1.2.3", "1.2.2", "v1.2.2"].map(|text| seen(text, None));
        assert_eq!(told(&semver, &versions), ["1.2.3", "v1.2.3"]);
        assert!(told(&semver, &versions[1..]).is_empty());
    }

    proptest! {
        #[test]
        fn groups_do_not_depend_on_the_order(
            images in prop::collection::vec((0u32..6, 0u32..4, prop::collection::vec(0u32..4, 0..3)), 0..12),
            rotate in 0usize..12,
        ) {
            let names = ["1a2b3c4", "1a2b3c4d", "main-1a2b3c4", "amd64-1a2b3c4", "5d6e7f8", "main-5d6e7f8"];
            // The content of a digest does not change.
            let platforms: HashMap<u32, Vec<u32>> = images.iter().map(|(_, n, parts)| (*n, parts.clone())).collect();
            let mut images: Vec<(&str, Content)> =
                images.iter().map(|(name, n, _)| (names[*name as usize], content(*n, &platforms[n]))).collect();
            images.sort_by_key(|(name, _)| *name);
            images.dedup_by_key(|(name, _)| *name);
            let before = grouped(&images);
            let count = images.len().max(1);
            images.rotate_left(rotate % count);
            prop_assert_eq!(&before, &grouped(&images));
            // Tags with one image and one commit always stay together.
            for (name, content) in &images {
                for (other, same) in &images {
                    let commit = |name: &str| name.rsplit('-').next().expect("one")[..7].to_owned();
                    if content.digest == same.digest && commit(name) == commit(other) {
                        let has = |group: &Vec<String>| group.iter().any(|tag| tag == name) && group.iter().any(|tag| tag == other);
                        prop_assert!(before.iter().any(has), "{} and {} in {:?}", name, other, before);
                    }
                }
            }
        }
    }
}
