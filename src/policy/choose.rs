//! The choice of a tag, or the reason for choosing none.

use std::cmp::{Ordering, Reverse};

use jiff::Timestamp;

use crate::image::Tag;

use super::contest::{Candidate, Contest, Lack, Outcome, candidates};
use super::digits::{self, Doubt};
use super::no_choice::NoChoice;
use super::order::{Order, Standing};
use super::seen::{Current, Position, Seen};
use super::tags::{Misfit, Rank, TagRule};

/// A tag that was chosen, the newest of those that the registry lists.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'c> {
    /// The tag.
    pub tag: &'c Tag,
    /// The time when its image was built, if it is known.
    pub built: Option<Timestamp>,
}

/// The tags of a registry, sorted by whether they fit a policy.
#[derive(Debug, Default)]
pub struct Shortlist {
    /// Tags that fit.
    pub fitting: Vec<Tag>,
    /// Tags that would fit if they are commits and not numbers, which their names do not tell.
    pub doubtful: Vec<Tag>,
    /// Tags that do not fit, each with the reason.
    pub dropped: Vec<(Tag, Misfit)>,
}

impl TagRule {
    /// Sorts tags by whether they fit, judging by their names alone.
    pub fn shortlist(&self, tags: Vec<Tag>) -> Shortlist {
        let mut shortlist = Shortlist::default();
        for tag in tags {
            match self.rank(&tag) {
                Ok(_) if self.is_digits_alone(&tag) => shortlist.doubtful.push(tag),
                Ok(_) => shortlist.fitting.push(tag),
                Err(misfit) => shortlist.dropped.push((tag, misfit)),
            }
        }
        let (admitted, doubtful) = digits::admit(self, &shortlist.fitting, shortlist.doubtful);
        shortlist.fitting.extend(admitted);
        shortlist.doubtful = doubtful;
        shortlist
    }

    /// Chooses the tag that a field should hold instead of the current one, or returns the reason for keeping that.
    /// `seen` may contain tags that do not fit, which are ignored. The order of `seen` does not matter.
    pub fn choose(&self, seen: &[Seen], current: Option<&Current>) -> Result<Tag, NoChoice> {
        if matches!(self, TagRule::Held) {
            return Err(current.map_or(NoChoice::NothingHeld, |held| NoChoice::UpToDate { tag: held.tag.clone() }));
        }
        // A tag that a field holds was taken for a commit before, whatever it looks like.
        let is_sure = |seen: &&Seen| seen.doubt.is_none() || current.is_some_and(|current| current.tag == seen.tag);
        let fitting: Vec<&Seen> = seen.iter().filter(is_sure).filter(|seen| self.rank(&seen.tag).is_ok()).collect();
        if fitting.is_empty() {
            return Err(self.nothing_fits(seen));
        }
        let held = self.held(current);
        let builds = candidates(fitting.iter().copied());
        let contest = Contest::new(self, &builds, held.as_ref().map(|(_, current)| *current));
        match self.order() {
            Some(order) => {
                let held = held.map(|(_, current)| current);
                let at = |at: Option<Standing>| newest_in_doubt(seen, at);
                by_order(order, &contest, &builds, held, at)
            }
            None => self.by_rank(&contest, held),
        }
    }

    /// Returns whether a chosen tag is known to be newer than one that was deployed before. A tag that is listed but
    /// was not chosen is older, or no longer has a place in the order; a tag that is not listed is older if the chosen
    /// one was built after it had been deployed.
    pub fn is_newer(&self, chosen: &Chosen<'_>, before: &Tag, deployed: Timestamp, seen: &[Seen]) -> bool {
        match (self, self.measure(before)) {
            // A placeholder protects nothing.
            (TagRule::Held, _) | (_, Err(_)) => true,
            (TagRule::Sha { .. }, Ok(_)) => {
                seen.iter().any(|seen| seen.tag == *before) || chosen.built.is_some_and(|built| built > deployed)
            }
            (_, Ok(before)) => self.measure(chosen.tag).is_ok_and(|rank| self.ranks_newer(&rank, &before)),
        }
    }

    fn ranks_newer(&self, one: &Rank, other: &Rank) -> bool {
        if self.is_descending() { one < other } else { one > other }
    }

    /// Returns the current tag if it matches the policy's form at all: a placeholder such as `latest` protects nothing.
    fn held<'c>(&self, current: Option<&'c Current>) -> Option<(Rank, &'c Current)> {
        current.and_then(|current| Some((self.measure(&current.tag).ok()?, current)))
    }

    fn is_digits_alone(&self, tag: &Tag) -> bool {
        matches!(self, TagRule::Sha { form, .. } if form.is_digits_alone(tag))
    }

    /// Returns the reason why a tag cannot be chosen.
    fn unfit(&self, seen: &Seen) -> Option<String> {
        let misfit = self.rank(&seen.tag).err().map(|misfit| misfit.to_string());
        misfit.or(seen.doubt.map(|doubt| doubt.to_string()))
    }

    fn nothing_fits(&self, seen: &[Seen]) -> NoChoice {
        if seen.is_empty() {
            return NoChoice::NoTags;
        }
        let examples: Vec<String> =
            seen.iter().filter_map(|seen| Some(format!("{} {}", seen.tag, self.unfit(seen)?))).take(3).collect();
        NoChoice::NoneFits { count: seen.len(), examples: examples.join("; ") }
    }

    fn by_rank(&self, contest: &Contest<'_, '_>, held: Option<(Rank, &Current)>) -> Result<Tag, NoChoice> {
        let place = |build: &Candidate<'_>| {
            let rank = self.rank(&build.example().tag).ok()?;
            Some(Directed { rank, is_descending: self.is_descending() })
        };
        let Outcome { place, first, mut waiting } = contest.run(place);
        let best = place.as_ref().zip(first.first());
        if let Some((rank, current)) = &held {
            let tag = current.tag.clone();
            waiting = waiting.filter(|(at, _, _)| self.ranks_newer(&at.rank, rank));
            match best {
                Some((best, build)) if self.ranks_newer(rank, &best.rank) && waiting.is_none() => {
                    return Err(NoChoice::OnlyOlder { held: tag, newest: contest.tag(build) });
                }
                Some((best, _)) if self.ranks_newer(&best.rank, rank) => {}
                _ => return Err(waits(contest, tag, waiting)),
            }
        }
        single(contest, &first, waiting)
    }
}

/// A rank in its direction: the larger one is newer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Directed {
    rank: Rank,
    is_descending: bool,
}

impl Ord for Directed {
    fn cmp(&self, other: &Self) -> Ordering {
        let ordering = self.rank.cmp(&other.rank);
        if self.is_descending { ordering.reverse() } else { ordering }
    }
}

impl PartialOrd for Directed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn by_order(
    order: &Order,
    contest: &Contest<'_, '_>,
    builds: &[Candidate<'_>],
    held: Option<&Current>,
    doubt: impl Fn(Option<Standing>) -> Option<(Tag, Doubt)>,
) -> Result<Tag, NoChoice> {
    let up_to_date = |tag: &Tag, at: Option<Standing>| match doubt(at) {
        Some((newer, doubt)) => NoChoice::InDoubt { held: tag.clone(), newer, doubt },
        None => NoChoice::UpToDate { tag: tag.clone() },
    };
    if let ([only], Some(current)) = (builds, held)
        && only.is_held(current)
    {
        return Err(up_to_date(&current.tag, only.standing));
    }
    let placed = || builds.iter().filter_map(|build| build.standing);
    let Some(last) = placed().min() else { return Err(NoChoice::NoPositions(order.no_standing())) };
    if let (Order::Built, Standing::At(at), Some(newest)) = (order, last, placed().max())
        && newest == last
        && placed().count() > 1
    {
        return Err(NoChoice::SameAges { count: placed().count(), at });
    }
    let Outcome { place, first, waiting } = contest.run(|build| build.standing);
    let Some(current) = held else { return single(contest, &first, waiting) };
    let tag = current.tag.clone();
    if first.iter().any(|build| build.is_held(current)) {
        return Err(if waiting.is_some() { waits(contest, tag, waiting) } else { up_to_date(&tag, place) });
    }
    let newest = first.first().or(waiting.as_ref().map(|(_, build, _)| build)).map(|build| contest.tag(build));
    let newest = newest.unwrap_or_else(|| tag.clone());
    match (current.position, place) {
        (Position::Known(at), place) if place.is_none_or(|place| at > place) => match waiting {
            Some((newer, ..)) if newer > at => Err(waits(contest, tag, waiting)),
            _ => Err(NoChoice::OnlyOlder { held: tag, newest }),
        },
        (Position::Known(at), Some(place)) if at == place => Err(NoChoice::Tie { one: tag, other: newest }),
        (Position::Known(_), _) => single(contest, &first, waiting),
        (Position::Unknown, _) => Err(NoChoice::HeldPositionUnknown { held: tag, newest, why: order.why_unknown() }),
        (Position::Gone, _) => Err(NoChoice::HeldPositionUnknown { held: tag, newest, why: order.why_gone() }),
        (Position::NotQueried, _) => Err(NoChoice::HeldNotQueried { held: tag, newest }),
    }
}

/// Returns the reason for keeping a tag that is the newest of those that can be chosen, or newer than all of them.
fn waits<P>(contest: &Contest<'_, '_>, held: Tag, waiting: Option<(P, &Candidate<'_>, Lack)>) -> NoChoice {
    match waiting {
        Some((_, build, lack)) => unfinished(contest, build, lack),
        None => NoChoice::UpToDate { tag: held },
    }
}

fn unfinished(contest: &Contest<'_, '_>, build: &Candidate<'_>, lack: Lack) -> NoChoice {
    NoChoice::Unfinished { newest: contest.tag(build), lacks: lack.words() }
}

/// Returns the newest of the tags that may be commits newer than a standing, or one whose standing is unknown.
fn newest_in_doubt(seen: &[Seen], than: Option<Standing>) -> Option<(Tag, Doubt)> {
    let may_be_newer = |seen: &&Seen| match (seen.doubt, seen.standing) {
        (Some(Doubt::Unread), None) => true,
        (Some(doubt), Some(at)) => doubt.is_open() && than.is_none_or(|than| at > than),
        _ => false,
    };
    let newest = seen.iter().filter(may_be_newer).max_by_key(|seen| (seen.standing, Reverse(&seen.tag)))?;
    Some((newest.tag.clone(), newest.doubt?))
}

/// Returns the tag of the only build in first place; several builds are a tie.
fn single<P>(
    contest: &Contest<'_, '_>,
    first: &[&Candidate<'_>],
    waiting: Option<(P, &Candidate<'_>, Lack)>,
) -> Result<Tag, NoChoice> {
    match first {
        [] => Err(waiting.map_or(NoChoice::NoTags, |(_, build, lack)| unfinished(contest, build, lack))),
        [only] => Ok(contest.tag(only)),
        several => {
            let mut tags: Vec<Tag> = several.iter().map(|build| contest.tag(build)).collect();
            tags.sort();
            Err(NoChoice::Tie { one: tags.swap_remove(0), other: tags.swap_remove(0) })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::range::Range;
    use super::super::tags::{Filter, ShaForm};
    use super::*;

    fn tag(text: &str) -> Tag {
        text.parse().expect("a tag")
    }

    fn at(second: i64) -> Standing {
        Standing::At(Timestamp::from_second(second).expect("a time"))
    }

    fn seen(text: &str, second: Option<i64>) -> Seen {
        Seen::new(tag(text), second.map(at))
    }

    fn held(text: &str, position: Position) -> Current {
        Current { tag: tag(text), position, build: None }
    }

    const SHA: TagRule = TagRule::Sha { form: ShaForm::Usual, order: Order::Built };

    #[test]
    fn the_image_built_last_wins_whatever_its_name() {
        let tags = [seen("fffffff", Some(1)), seen("000000a", Some(9)), seen("aaaaaaa", Some(5)), seen("latest", None)];
        assert_eq!(SHA.choose(&tags, Some(&held("fffffff", Position::Known(at(1))))), Ok(tag("000000a")));
        assert_eq!(SHA.choose(&tags, Some(&held("latest", Position::NotQueried))), Ok(tag("000000a")));
        let current = held("000000a", Position::Known(at(9)));
        assert_eq!(SHA.choose(&tags, Some(&current)), Err(NoChoice::UpToDate { tag: tag("000000a") }));
    }

    #[test]
    fn tags_that_may_be_newer_are_reported() {
        let doubt = |second, doubt| Seen { doubt: Some(doubt), ..seen("1234567", second) };
        let choose = |doubtful: Seen, current: Option<&str>| {
            let tags = [seen("aaaaaaa", Some(1)), seen("bbbbbbb", Some(5)), doubtful];
            let age = |text: &str| tags.iter().find(|s| s.tag.as_str() == text).and_then(|s| s.standing);
            let current = current.map(|text| held(text, age(text).map_or(Position::NotQueried, Position::Known)));
            SHA.choose(&tags, current.as_ref())
        };
        let up_to_date = Err(NoChoice::UpToDate { tag: tag("bbbbbbb") });
        for (second, why) in [(Some(9), Doubt::Unlabelled), (Some(9), Doubt::Unread), (None, Doubt::Unread)] {
            let in_doubt = choose(doubt(second, why), Some("bbbbbbb"));
            assert!(matches!(in_doubt, Err(NoChoice::InDoubt { .. })), "{why:?}: {in_doubt:?}");
            // It does not keep the field from moving on.
            assert_eq!(choose(doubt(second, why), Some("aaaaaaa")), Ok(tag("bbbbbbb")));
            assert_eq!(choose(doubt(second, why), None), Ok(tag("bbbbbbb")));
        }
        for (second, why) in [(Some(3), Doubt::Unlabelled), (Some(9), Doubt::OtherCommit), (None, Doubt::NotOnBranch)] {
            assert_eq!(choose(doubt(second, why), Some("bbbbbbb")), up_to_date, "{why:?}");
        }
        let settled = seen("1234567", Some(9));
        assert_eq!(choose(settled, Some("bbbbbbb")), Ok(tag("1234567")));
        // A deployed tag was taken for a commit by someone.
        let deployed = choose(doubt(Some(9), Doubt::Unlabelled), Some("1234567"));
        assert_eq!(deployed, Err(NoChoice::UpToDate { tag: tag("1234567") }));
        let nothing = SHA.choose(&[doubt(Some(9), Doubt::Unlabelled)], None).expect_err("no choice");
        assert!(nothing.to_string().contains("1234567 consists of digits only"), "{nothing}");
    }

    #[test]
    fn nothing_moves_back_or_blindly() {
        let tags = [seen("aaaaaaa", Some(1)), seen("bbbbbbb", Some(2))];
        let choose = |age| SHA.choose(&tags, Some(&held("ccccccc", age))).expect_err("no choice");
        assert!(matches!(choose(Position::Known(at(3))), NoChoice::OnlyOlder { .. }));
        assert!(matches!(choose(Position::Known(at(2))), NoChoice::Tie { .. }));
        assert!(matches!(choose(Position::Gone), NoChoice::HeldPositionUnknown { .. }));
        assert!(matches!(choose(Position::Unknown), NoChoice::HeldPositionUnknown { .. }));
        assert!(matches!(choose(Position::NotQueried), NoChoice::HeldNotQueried { .. }));
    }

    #[test]
    fn a_tag_is_known_to_be_newer_than_a_deployed_one_or_not() {
        let is_newer = |rule: &TagRule, chosen: &str, built: Option<i64>, before: &str, listed: &[Seen]| {
            let second = |second| Timestamp::from_second(second).expect("a time");
            let (tag, before) = (&tag(chosen), tag(before));
            rule.is_newer(&Chosen { tag, built: built.map(second) }, &before, second(10), listed)
        };
        let sha = |built, listed: &[Seen]| is_newer(&SHA, "bbbbbbb", built, "aaaaaaa", listed);
        assert!(sha(Some(11), &[]), "built after the other was deployed");
        assert!(!sha(Some(9), &[]) && !sha(None, &[]));
        assert!(sha(Some(9), &[seen("aaaaaaa", Some(5))]), "the newest of all that are listed");
        assert!(sha(Some(9), &[seen("aaaaaaa", None)]), "the other is not on the branch any more");
        assert!(is_newer(&SHA, "bbbbbbb", None, "latest", &[]), "a placeholder");
        let version = TagRule::Semver { range: Range::parse("*").expect("a range"), filter: Filter::default() };
        assert!(is_newer(&version, "1.10.0", None, "1.9.0", &[]));
        assert!(!is_newer(&version, "1.9.0", Some(11), "1.10.0", &[]));
        let first = TagRule::Numerical { descending: true, filter: Filter::default() };
        assert!(is_newer(&first, "9", None, "10", &[]));
        assert!(is_newer(&TagRule::Held, "a", None, "b", &[]));
    }

    #[test]
    fn unusable_ages_are_reported() {
        let no = |tags: &[Seen]| SHA.choose(tags, None).expect_err("no choice");
        assert_eq!(no(&[]), NoChoice::NoTags);
        assert!(matches!(no(&[seen("latest", None), seen("v1", None)]), NoChoice::NoneFits { count: 2, .. }));
        assert_eq!(
            no(&[seen("aaaaaaa", None), seen("bbbbbbb", None)]),
            NoChoice::NoPositions(Order::Built.no_standing())
        );
        assert!(matches!(
            no(&[seen("aaaaaaa", Some(7)), seen("bbbbbbb", Some(7))]),
            NoChoice::SameAges { count: 2, .. }
        ));
        let tie = [seen("aaaaaaa", Some(7)), seen("bbbbbbb", Some(7)), seen("ccccccc", Some(1))];
        assert!(matches!(no(&tie), NoChoice::Tie { .. }));
        // An image without an age among others is ignored.
        assert_eq!(SHA.choose(&[seen("aaaaaaa", None), seen("bbbbbbb", Some(1))], None), Ok(tag("bbbbbbb")));
    }

    #[test]
    fn versions_go_up_only() {
        let rule = TagRule::Semver { range: Range::parse("^1").expect("a range"), filter: Filter::default() };
        let tags = [seen("1.2.0", None), seen("v1.10.0", None), seen("2.0.0", None), seen("junk", None)];
        assert_eq!(rule.choose(&tags, Some(&held("1.2.0", Position::NotQueried))), Ok(tag("v1.10.0")));
        let no = |text| rule.choose(&tags, Some(&held(text, Position::NotQueried))).expect_err("no choice");
        assert!(matches!(no("1.10.0"), NoChoice::UpToDate { .. }));
        assert!(matches!(no("2.0.0"), NoChoice::OnlyOlder { .. }));
        assert_eq!(rule.choose(&tags, Some(&held("latest", Position::NotQueried))), Ok(tag("v1.10.0")));
    }

    #[test]
    fn the_tag_stays_if_only_its_digest_is_followed() {
        let tags = [seen("1.2.0", None)];
        let up_to_date = Err(NoChoice::UpToDate { tag: tag("1.0.0") });
        assert_eq!(TagRule::Held.choose(&tags, Some(&held("1.0.0", Position::NotQueried))), up_to_date);
        assert_eq!(TagRule::Held.choose(&tags, None), Err(NoChoice::NothingHeld));
    }

    #[test]
    fn the_lowest_wins_if_configured() {
        let rule = TagRule::Alphabetical { descending: true, filter: Filter::default() };
        let tags = [seen("b", None), seen("a", None), seen("c", None)];
        assert_eq!(rule.choose(&tags, Some(&held("b", Position::NotQueried))), Ok(tag("a")));
    }

    proptest! {
        #[test]
        fn the_choice_is_newer_and_does_not_depend_on_the_order(
            ages in prop::collection::vec((0u32..40, prop::option::of(0i64..8)), 0..12),
            current in prop::option::of((0u32..40, 0i64..8)),
            rotate in 0usize..12,
        ) {
            let name = |n: u32| format!("abcde{n:02x}");
            let mut tags: Vec<Seen> = ages.iter().map(|(n, age)| seen(&name(*n), *age)).collect();
            tags.sort_by(|a, b| a.tag.cmp(&b.tag));
            tags.dedup_by(|a, b| a.tag == b.tag);
            let current = current.map(|(n, age)| held(&name(n), Position::Known(at(age))));
            let chosen = SHA.choose(&tags, current.as_ref());
            if let Ok(winner) = &chosen {
                let standing = tags.iter().find(|s| s.tag == *winner).and_then(|s| s.standing).expect("it has a place");
                prop_assert!(tags.iter().all(|s| s.standing.is_none_or(|other| other <= standing)));
                if let Some(Current { position: Position::Known(at), .. }) = &current {
                    prop_assert!(standing > *at);
                }
            }
            let count = tags.len().max(1);
            tags.rotate_left(rotate % count);
            prop_assert_eq!(chosen, SHA.choose(&tags, current.as_ref()));
        }
    }
}
