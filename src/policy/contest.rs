//! Chooses among builds, and among the tags of a build. A field keeps the form of its tag, an index is preferred to its
//! platforms, and a build whose tags have not all been pushed yet has to wait.

use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::image::Tag;

use super::build::{Build, Kind};
use super::form::Form;
use super::order::Standing;
use super::seen::{Current, Seen};
use super::tags::TagRule;

/// A build with those of its tags that fit.
#[derive(Debug)]
pub(super) struct Candidate<'s> {
    members: Vec<&'s Seen>,
    /// Its standing in the policy's order. Of several tags, the first that was pushed counts: another name does not
    /// make an image newer. Platforms have the standing of their index.
    pub standing: Option<Standing>,
}

/// The part that a build lacks, so that it is not chosen for a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    /// The index, if the field holds one, or if other builds have one.
    Index,
    /// A tag of the field's form, if other builds have one.
    Form,
}

/// The builds that compete for a field.
pub(super) struct Contest<'c, 's> {
    rule: &'c TagRule,
    candidates: &'c [Candidate<'s>],
    field: Option<(Form, Option<Build>)>,
    /// The affixes of tags of platforms.
    part_affixes: OnceCell<HashSet<String>>,
    has_only_parts: OnceCell<bool>,
}

/// The outcome of a contest.
pub(super) struct Outcome<'c, 's, P> {
    /// The first place held by a build that can be chosen.
    pub place: Option<P>,
    /// The builds in that place.
    pub first: Vec<&'c Candidate<'s>>,
    /// The newest build ahead of that place, and the part that it lacks.
    pub waiting: Option<(P, &'c Candidate<'s>, Lack)>,
}

impl Lack {
    /// Describes what is missing.
    pub fn words(self) -> &'static str {
        match self {
            Lack::Index => "it serves one platform, and no index with it has been pushed yet",
            Lack::Form => "its build does not have a tag of the same form yet, as other builds do",
        }
    }
}

impl<'s> Candidate<'s> {
    fn of(mut members: Vec<&'s Seen>) -> Candidate<'s> {
        members.sort_by_key(|seen| &seen.tag);
        let is_whole = |seen: &&&Seen| seen.build.is_none_or(|build| build.kind != Kind::Part);
        let standing = members.iter().filter(is_whole).filter_map(|seen| seen.standing).min();
        let standing = standing.or_else(|| members.iter().filter_map(|seen| seen.standing).min());
        Candidate { members, standing }
    }

    /// Returns whether a field holds one of its tags.
    pub fn is_held(&self, current: &Current) -> bool {
        let is_same = |build: Option<Build>| build.zip(current.build).is_some_and(|(one, other)| one.id == other.id);
        self.members.iter().any(|seen| seen.tag == current.tag || is_same(seen.build))
    }

    /// Returns the first of its tags by name.
    pub fn example(&self) -> &'s Seen {
        self.members[0]
    }

    fn has_index(&self) -> bool {
        self.members.iter().any(|seen| matches!(seen.build, Some(Build { kind: Kind::Index { .. }, .. })))
    }

    fn is_known(&self) -> bool {
        self.members.iter().all(|seen| seen.build.is_some())
    }
}

/// Groups tags by build.
pub(super) fn candidates<'s>(fitting: impl Iterator<Item = &'s Seen>) -> Vec<Candidate<'s>> {
    let mut places: HashMap<u32, usize> = HashMap::new();
    let mut builds: Vec<Vec<&Seen>> = Vec::new();
    for seen in fitting {
        let place = seen.build.map(|build| *places.entry(build.id).or_insert(builds.len()));
        match place.and_then(|place| builds.get_mut(place)) {
            Some(members) => members.push(seen),
            None => builds.push(vec![seen]),
        }
    }
    builds.into_iter().map(Candidate::of).collect()
}

impl<'c, 's> Contest<'c, 's> {
    pub fn new(rule: &'c TagRule, candidates: &'c [Candidate<'s>], held: Option<&Current>) -> Contest<'c, 's> {
        let field = held.map(|current| (rule.form_of(&current.tag), current.build));
        let (part_affixes, has_only_parts) = Default::default();
        Contest { rule, candidates, field, part_affixes, has_only_parts }
    }

    /// Finds the first of the builds that lack nothing.
    pub fn run<P: Ord + Clone>(&self, place: impl Fn(&Candidate<'s>) -> Option<P>) -> Outcome<'c, 's, P> {
        let mut placed: Vec<(P, &Candidate<'s>)> =
            self.candidates.iter().filter_map(|build| Some((place(build)?, build))).collect();
        placed.sort_by(|a, b| (&b.0, &a.1.example().tag).cmp(&(&a.0, &b.1.example().tag)));
        let mut verdict = Outcome { place: None, first: Vec::new(), waiting: None };
        for (at, build) in placed {
            if verdict.place.as_ref().is_some_and(|first| at < *first) {
                break;
            }
            match self.lack(build) {
                None => {
                    verdict.place = Some(at);
                    verdict.first.push(build);
                }
                Some(lack) if verdict.waiting.is_none() && verdict.place.is_none() => {
                    verdict.waiting = Some((at, build, lack));
                }
                Some(_) => {}
            }
        }
        // A waiting build in the same place as one that can be chosen is not newer.
        if verdict.waiting.as_ref().map(|(at, _, _)| at) == verdict.place.as_ref() {
            verdict.waiting = None;
        }
        verdict
    }

    /// Returns the tag of a build that a field should hold.
    pub fn tag(&self, build: &Candidate<'s>) -> Tag {
        let field = self.field.as_ref().map(|(form, _)| form);
        let suits = |seen: &&&Seen| {
            let form = self.rule.form_of(&seen.tag);
            (form.suits(field, self.is_part(seen, &form)), Reverse(seen.tag.clone()))
        };
        // Tags that the field may hold come first, whatever else may speak for others.
        let open = build.members.iter().filter(|seen| self.is_open(seen, &self.rule.form_of(&seen.tag)));
        let best = open.max_by_key(suits).or_else(|| build.members.iter().max_by_key(suits));
        best.unwrap_or(&build.members[0]).tag.clone()
    }

    fn lack(&self, build: &Candidate<'s>) -> Option<Lack> {
        let form = |seen: &&'s Seen| self.rule.form_of(&seen.tag);
        if let Some((field, _)) = &self.field
            && build.members.iter().any(|seen| field.is_like(&form(seen)))
        {
            return None;
        }
        let open: Vec<Form> = build
            .members
            .iter()
            .map(|seen| (seen, form(seen)))
            .filter(|(seen, form)| self.is_open(seen, form))
            .map(|(_, form)| form)
            .collect();
        if open.is_empty() {
            return (!self.has_only_parts()).then_some(Lack::Index);
        }
        let (field, held) = self.field.as_ref()?;
        let serves_several = held.is_some_and(|held| held.kind == Kind::Index { is_of_several: true });
        let is_of_form = open.iter().any(|form| field.has_affixes_of(form));
        if serves_several && build.is_known() && !build.has_index() && !is_of_form {
            return Some(Lack::Index);
        }
        self.is_unfinished(build, field, &open).then_some(Lack::Form)
    }

    /// Returns whether a tag of the field's form is still expected: other builds have one in addition to a form that
    /// this build has, and no newer build went without it, as would be the case once a pipeline has changed.
    fn is_unfinished(&self, build: &Candidate<'s>, field: &Form, open: &[Form]) -> bool {
        let (mut is_usual, mut newest) = (false, None);
        let mut without = Vec::new();
        for other in self.candidates {
            let forms: Vec<Form> = other.members.iter().map(|seen| self.rule.form_of(&seen.tag)).collect();
            if forms.iter().any(|form| field.is_like(form)) {
                is_usual |= forms.iter().any(|form| open.iter().any(|own| own.is_like(form)));
                newest = newest.max(other.standing);
            } else if other.members.iter().zip(&forms).any(|(seen, form)| self.is_open(seen, form)) {
                without.push(other.standing);
            }
        }
        is_usual && build.standing > newest && without.iter().filter(|at| **at > newest).count() == 1
    }

    /// Returns whether a field may hold a tag: that of a platform only if the field already holds such a tag.
    fn is_open(&self, seen: &Seen, form: &Form) -> bool {
        let is_of_field = || self.field.as_ref().is_some_and(|(field, _)| field.has_affixes_of(form));
        !self.is_part(seen, form) || is_of_field()
    }

    fn is_part(&self, seen: &Seen, form: &Form) -> bool {
        let kind = seen.build.map(|build| build.kind);
        match kind {
            Some(Kind::Part) => true,
            Some(Kind::Index { .. }) => false,
            _ => form.names_platform() || self.part_affixes().contains(form.affixes()),
        }
    }

    fn part_affixes(&self) -> &HashSet<String> {
        self.part_affixes.get_or_init(|| {
            let members = self.candidates.iter().flat_map(|build| &build.members);
            let parts = members.filter(|seen| seen.build.is_some_and(|build| build.kind == Kind::Part));
            parts.map(|seen| self.rule.form_of(&seen.tag).affixes().to_owned()).collect()
        })
    }

    /// Returns whether there are only tags of platforms, so that the choice is among them.
    fn has_only_parts(&self) -> bool {
        *self.has_only_parts.get_or_init(|| {
            let mut members = self.candidates.iter().flat_map(|build| &build.members);
            members.all(|seen| self.is_part(seen, &self.rule.form_of(&seen.tag)))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::builds::{Builds, Content};
    use super::super::no_choice::NoChoice;
    use super::super::order::Order;
    use super::super::seen::Position;
    use super::super::tags::ShaForm;
    use super::*;
    use crate::image::Digest;

    const WHOLE: &str = "cccccccccccccccccccccccccccccccccccccccc";

    /// A tag with the second in which its image was built or pushed, a number for its digest, and those of its platforms.
    type Image<'i> = (&'i str, i64, u32, &'i [u32]);

    fn tag(text: &str) -> Tag {
        text.parse().expect("a tag")
    }

    fn at(second: i64) -> Standing {
        Standing::At(jiff::Timestamp::from_second(second).expect("a time"))
    }

    fn digest(n: u32) -> Digest {
        Digest::sha256(&format!("{n:064x}"))
    }

    fn rule(order: Order) -> TagRule {
        TagRule::Sha { form: ShaForm::Usual, order }
    }

    fn survey(rule: &TagRule, images: &[Image<'_>]) -> Vec<Seen> {
        let content = |(_, _, own, platforms): &Image<'_>| Content {
            digest: digest(*own),
            platforms: platforms.iter().map(|n| digest(*n)).collect(),
        };
        let contents: Vec<(Tag, Standing, Content)> =
            images.iter().map(|image| (tag(image.0), at(image.1), content(image))).collect();
        let builds = Builds::of(rule, contents.iter().map(|(tag, at, content)| (tag, Some(*at), content)));
        let seen = |(tag, at, _): &(Tag, Standing, Content)| Seen {
            build: builds.get(tag),
            ..Seen::new(tag.clone(), Some(*at))
        };
        contents.iter().map(seen).collect()
    }

    fn choose(rule: &TagRule, images: &[Image<'_>], held: Option<&str>) -> Result<Tag, NoChoice> {
        let seen = survey(rule, images);
        let held = held.map(|text| {
            let known = seen.iter().find(|seen| seen.tag.as_str() == text);
            let position = known.and_then(|seen| seen.standing).map_or(Position::NotQueried, Position::Known);
            Current { tag: tag(text), position, build: known.and_then(|seen| seen.build) }
        });
        rule.choose(&seen, held.as_ref())
    }

    fn chosen(images: &[Image<'_>], held: &str) -> String {
        match choose(&rule(Order::Built), images, Some(held)) {
            Ok(tag) => tag.to_string(),
            Err(no) => no.to_string(),
        }
    }

    fn stays(images: &[Image<'_>], held: &str) -> NoChoice {
        choose(&rule(Order::Built), images, Some(held)).expect_err("no choice")
    }

    #[test]
    fn a_field_keeps_its_form() {
        let old = [("aaaaaaa", 1, 1, &[][..]), ("main-bbbbbbb", 2, 2, &[])];
        let new = [("ccccccc", 9, 9, &[][..]), ("main-ccccccc", 9, 9, &[]), (WHOLE, 9, 9, &[])];
        let images = [&old[..], &new].concat();
        assert_eq!(chosen(&images, "aaaaaaa"), "ccccccc");
        assert_eq!(chosen(&images, "main-bbbbbbb"), "main-ccccccc");
        assert_eq!(chosen(&images, "latest"), WHOLE);
        for (held, ..) in new {
            assert_eq!(stays(&images, held), NoChoice::UpToDate { tag: tag(held) });
        }
        // If there is only one build, that is not a tie.
        assert_eq!(chosen(&new, "latest"), WHOLE);
        // Two builds of the same commit are different builds.
        let rebuilt = [&old[..], &[("ccccccc", 9, 9, &[]), (WHOLE, 9, 10, &[])]].concat();
        assert!(matches!(stays(&rebuilt, "aaaaaaa"), NoChoice::Tie { .. }));
    }

    #[test]
    fn an_index_is_preferred_to_its_platforms() {
        let old = [("aaaaaaa", 2, 1, &[2, 3][..]), ("amd64-aaaaaaa", 1, 2, &[]), ("arm64-aaaaaaa", 2, 3, &[])];
        let parts = [("amd64-ccccccc", 8, 8, &[][..]), ("arm64-ccccccc", 9, 9, &[])];
        let index = [("ccccccc", 9, 7, &[8, 9][..])];
        let images = [&old[..], &parts, &index].concat();
        assert_eq!(chosen(&images, "aaaaaaa"), "ccccccc");
        assert_eq!(chosen(&images, "latest"), "ccccccc");
        assert_eq!(chosen(&images, "amd64-aaaaaaa"), "amd64-ccccccc");
        assert_eq!(stays(&images, "arm64-ccccccc"), NoChoice::UpToDate { tag: tag("arm64-ccccccc") });
        // Until it exists, a field does not get a platform that it did not have.
        for parts in [&parts[..1], &parts[1..], &parts] {
            let images = [&old[..], parts].concat();
            assert!(matches!(stays(&images, "aaaaaaa"), NoChoice::Unfinished { .. }), "{parts:?}");
            assert_eq!(chosen(&images, "latest"), "aaaaaaa");
        }
        let arm_alone = [&old[..], &parts[1..]].concat();
        assert!(matches!(stays(&arm_alone, "amd64-aaaaaaa"), NoChoice::Unfinished { .. }));
        // An earlier build does not have to wait.
        let images = [&old[..], &[("bbbbbbb", 5, 4, &[5, 6])], &parts].concat();
        assert_eq!(chosen(&images, "aaaaaaa"), "bbbbbbb");
        // The annotation of an index may be older than what was built for it.
        let early = [&old[..], &parts, &[("ccccccc", 7, 7, &[8, 9])]].concat();
        assert_eq!(chosen(&early, "aaaaaaa"), "ccccccc");
        assert_eq!(stays(&early, "ccccccc"), NoChoice::UpToDate { tag: tag("ccccccc") });
    }

    #[test]
    fn platforms_are_known_by_their_index_or_their_names() {
        // No index has such a name, but tags with such names have been parts of one.
        let old = [("aaaaaaa", 2, 1, &[2, 3][..]), ("one-aaaaaaa", 1, 2, &[])];
        assert_eq!(chosen(&[&old[..], &[("one-ccccccc", 9, 9, &[])]].concat(), "latest"), "aaaaaaa");
        // The field holds an index, and the new tag is not one.
        let images = [("aaaaaaa", 2, 1, &[2, 3][..]), ("one-ccccccc", 9, 9, &[])];
        assert!(matches!(stays(&images, "aaaaaaa"), NoChoice::Unfinished { .. }));
        // If it has the same form, the pipeline has changed.
        assert_eq!(chosen(&[("aaaaaaa", 2, 1, &[2, 3]), ("ccccccc", 9, 9, &[])], "aaaaaaa"), "ccccccc");
        // Names of architectures are recognised, unless there is nothing else.
        assert_eq!(chosen(&[("aaaaaaa", 1, 1, &[]), ("arm64-ccccccc", 9, 9, &[])], "latest"), "aaaaaaa");
        assert_eq!(chosen(&[("arm64-aaaaaaa", 1, 1, &[]), ("arm64-ccccccc", 9, 9, &[])], "latest"), "arm64-ccccccc");
    }

    #[test]
    fn a_form_that_is_still_to_come_is_waited_for() {
        let old = [("aaaaaaa", 1, 1, &[][..]), ("main-aaaaaaa", 1, 1, &[])];
        let first = [&old[..], &[("ccccccc", 8, 8, &[])]].concat();
        assert!(matches!(stays(&first, "main-aaaaaaa"), NoChoice::Unfinished { .. }));
        assert_eq!(chosen(&first, "aaaaaaa"), "ccccccc");
        // The pipeline has changed once another build goes without.
        let second = [&first[..], &[("ddddddd", 9, 9, &[])]].concat();
        assert_eq!(chosen(&second, "main-aaaaaaa"), "ddddddd");
        // If no build ever had both, there is nothing to wait for.
        assert_eq!(chosen(&[("main-aaaaaaa", 1, 1, &[]), ("ccccccc", 8, 8, &[])], "main-aaaaaaa"), "ccccccc");
    }

    #[test]
    fn another_name_makes_no_image_newer() {
        let pushed = rule(Order::Pushed);
        let images = [("aaaaaaa", 1, 1, &[][..]), ("ccccccc", 5, 5, &[]), ("prod-aaaaaaa", 9, 1, &[])];
        assert_eq!(choose(&pushed, &images, Some("aaaaaaa")), Ok(tag("ccccccc")));
        assert_eq!(choose(&pushed, &images, Some("ccccccc")), Err(NoChoice::UpToDate { tag: tag("ccccccc") }));
        // An image that did not change only gets the tag of the next commit, and does not become older.
        let built = rule(Order::Built);
        let images = [("aaaaaaa", 1, 1, &[][..]), ("ccccccc", 5, 5, &[]), ("ddddddd", 5, 5, &[])];
        assert_eq!(choose(&built, &images, Some("aaaaaaa")), Ok(tag("ccccccc")));
        assert_eq!(choose(&built, &images, Some("ddddddd")), Err(NoChoice::UpToDate { tag: tag("ddddddd") }));
        // A reverted change leads to the same image, and is new.
        let images = [("aaaaaaa", 1, 1, &[][..]), ("ccccccc", 5, 5, &[]), ("ddddddd", 9, 1, &[])];
        assert_eq!(choose(&pushed, &images, Some("ccccccc")), Ok(tag("ddddddd")));
    }

    proptest! {
        #[test]
        fn the_choice_is_of_the_newest_build_and_does_not_depend_on_the_order(
            builds in prop::collection::vec((0i64..6, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()), 1..7),
            field in prop::option::of((0usize..7, 0usize..5)),
            rotate in 0usize..24,
        ) {
            let sha = |n: usize| format!("{n}abcdef");
            let whole = |n: usize| format!("{n}abcdef{}", "0".repeat(33));
            let name = |n: usize, form: usize| match form {
                0 => sha(n),
                1 => whole(n),
                2 => format!("main-{}", sha(n)),
                3 => format!("amd64-{}", sha(n)),
                _ => format!("arm64-{}", sha(n)),
            };
            let mut images: Vec<(String, i64, u32, Vec<u32>)> = Vec::new();
            for (n, (second, short, long, main, parts)) in builds.iter().enumerate() {
                let own = n as u32 * 10;
                let platforms = if *parts { vec![own + 1, own + 2] } else { Vec::new() };
                for (form, is_there) in [(0, short), (1, long), (2, main)] {
                    if *is_there {
                        images.push((name(n, form), *second, own, platforms.clone()));
                    }
                }
                if *parts {
                    images.push((name(n, 3), *second - 1, own + 1, Vec::new()));
                    images.push((name(n, 4), *second, own + 2, Vec::new()));
                }
            }
            let mut all: Vec<Image<'_>> =
                images.iter().map(|(tag, at, own, platforms)| (tag.as_str(), *at, *own, platforms.as_slice())).collect();
            let field = field.map(|(n, form)| name(n % builds.len(), form));
            let built = rule(Order::Built);
            let result = choose(&built, &all, field.as_deref());
            let count = all.len().max(1);
            all.rotate_left(rotate % count);
            prop_assert_eq!(&result, &choose(&built, &all, field.as_deref()));
            let seen = survey(&built, &all);
            let of = |text: &str| seen.iter().find(|seen| seen.tag.as_str() == text);
            let Ok(winner) = result else { return Ok(()) };
            let winner = of(winner.as_str()).expect("listed");
            let same_build = |other: &&Seen| other.build.map(|build| build.id) == winner.build.map(|build| build.id);
            let is_part = |seen: &Seen| seen.build.is_some_and(|build| build.kind == Kind::Part);
            let form = |seen: &Seen| built.form_of(&seen.tag);
            let held = field.as_deref().and_then(of);
            if let Some(held) = held {
                // A field never moves back, never to a platform that it did not have, and keeps its form where
                // possible.
                prop_assert!(winner.standing >= held.standing);
                prop_assert!(!same_build(&held));
                let own = form(held);
                prop_assert!(!is_part(winner) || form(winner).has_affixes_of(&own));
                let has_form = seen.iter().filter(same_build).any(|seen| form(seen).is_like(&own));
                prop_assert!(!has_form || form(winner).is_like(&own));
                // Nothing of the same form is newer.
                let newer = |seen: &&Seen| form(seen).is_like(&own) && seen.standing > winner.standing && !is_part(seen);
                prop_assert!(!seen.iter().any(|seen| newer(&seen)));
            } else {
                // Without a form to keep, the newest tag that is not a platform's wins.
                let wholes: Vec<&Seen> = seen.iter().filter(|seen| !is_part(seen) && !form(seen).names_platform()).collect();
                if field.is_none() && !wholes.is_empty() {
                    prop_assert!(wholes.iter().all(|seen| seen.standing <= winner.standing));
                }
            }
        }
    }
}
