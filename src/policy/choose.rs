//! The choice of a tag, or why there is none.

use jiff::Timestamp;

use crate::image::Tag;

use super::order::{Order, Standing};
use super::tags::{Misfit, Rank, TagRule};

/// A tag of the registry with what is known of its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The tag.
    pub tag: Tag,
    /// Where it stands in the policy's order, if it has one and the tag a known place in it.
    pub standing: Option<Standing>,
}

/// What is known of the age of an image that a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Age {
    /// Where it stands in the policy's order.
    Known(Standing),
    /// It is there, but nothing says where it stands.
    Missing,
    /// The registry does not have it any more.
    Gone,
    /// Nobody asked.
    Unasked,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The tag.
    pub tag: Tag,
    /// How old its image is.
    pub age: Age,
}

/// A tag that was chosen, the newest of those that the registry lists.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'c> {
    /// The tag.
    pub tag: &'c Tag,
    /// When its image was built, if it says.
    pub built: Option<Timestamp>,
}

/// Why no tag is chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoChoice {
    /// The field holds the newest.
    #[error("holds the newest tag, {tag}")]
    UpToDate {
        /// The tag.
        tag: Tag,
    },
    /// Everything in the registry is older than what the field holds.
    #[error("the newest tag in the registry, {newest}, is older than {held}; nothing is moved back")]
    OnlyOlder {
        /// What the field holds.
        held: Tag,
        /// The newest that the registry has.
        newest: Tag,
    },
    /// The tag of the field is what counts, and it has none.
    #[error("holds no tag whose digest could be followed; give it one, or the policy a rule under `tags`")]
    NothingHeld,
    /// The registry lists nothing.
    #[error("the registry has no tags of this image; push one")]
    NoTags,
    /// Nothing listed fits the policy.
    #[error("none of {count} tags fits the policy: {examples}")]
    NoneFits {
        /// How many there are.
        count: usize,
        /// Up to three of them with their reasons.
        examples: String,
    },
    /// No image has a place in the policy's order.
    #[error("{0}")]
    NoAges(&'static str),
    /// All images claim to be built at one time, as reproducible builds do.
    #[error(
        "all {count} images say they were built at {at}, as reproducible builds do, so none is the newest; \
         set the annotation org.opencontainers.image.created when building, or use a policy by version or number"
    )]
    SameAges {
        /// How many.
        count: usize,
        /// When.
        at: Timestamp,
    },
    /// Two tags are the newest.
    #[error("{one} and {other} are equally new, so neither is chosen; delete one, or set it by `tagalong set`")]
    Tie {
        /// One of them.
        one: Tag,
        /// Another.
        other: Tag,
    },
    /// What the field holds may be newer than anything in the registry.
    #[error("whether {newest} is newer than {held} is not known: {why}; set it once by `tagalong set`")]
    HeldAgeUnknown {
        /// What the field holds.
        held: Tag,
        /// The newest in the registry.
        newest: Tag,
        /// Why its age is not known.
        why: &'static str,
    },
}

/// The tags of a registry, sorted by whether they fit a policy.
#[derive(Debug, Default)]
pub struct Shortlist {
    /// Those that fit.
    pub fitting: Vec<Tag>,
    /// Those that do not, each with the reason.
    pub dropped: Vec<(Tag, Misfit)>,
}

impl TagRule {
    /// Sorts tags by whether they fit, by their names alone.
    pub fn shortlist(&self, tags: Vec<Tag>) -> Shortlist {
        let mut shortlist = Shortlist::default();
        for tag in tags {
            match self.rank(&tag) {
                Ok(_) => shortlist.fitting.push(tag),
                Err(misfit) => shortlist.dropped.push((tag, misfit)),
            }
        }
        shortlist
    }

    /// The tag that a field should hold instead of what it holds, or why it stays. `seen` may hold tags that do not
    /// fit; they are passed over. The order of `seen` does not matter.
    pub fn choose(&self, seen: &[Seen], current: Option<&Current>) -> Result<Tag, NoChoice> {
        if matches!(self, TagRule::Held) {
            return Err(current.map_or(NoChoice::NothingHeld, |held| NoChoice::UpToDate { tag: held.tag.clone() }));
        }
        let fitting: Vec<(Rank, &Seen)> = seen.iter().filter_map(|s| Some((self.rank(&s.tag).ok()?, s))).collect();
        if fitting.is_empty() {
            return Err(self.nothing_fits(seen));
        }
        match self.order() {
            Some(order) => by_order(order, &fitting, self.held(current)),
            None => self.by_rank(&fitting, self.held(current)),
        }
    }

    /// Whether a tag that was chosen is known to be newer than one that was deployed before. One that is listed and was not
    /// chosen is older, or has no place in the order any more; for one that is not, what counts is that the other was
    /// built after it had been deployed.
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

    /// What the field holds, if it is of the policy's form at all: a placeholder such as `latest` protects nothing.
    fn held<'c>(&self, current: Option<&'c Current>) -> Option<(Rank, &'c Current)> {
        current.and_then(|current| Some((self.measure(&current.tag).ok()?, current)))
    }

    fn nothing_fits(&self, seen: &[Seen]) -> NoChoice {
        if seen.is_empty() {
            return NoChoice::NoTags;
        }
        let examples: Vec<String> =
            seen.iter().filter_map(|s| Some(format!("{} {}", s.tag, self.rank(&s.tag).err()?))).take(3).collect();
        NoChoice::NoneFits { count: seen.len(), examples: examples.join("; ") }
    }

    fn by_rank(&self, fitting: &[(Rank, &Seen)], held: Option<(Rank, &Current)>) -> Result<Tag, NoChoice> {
        let Some(first) = fitting.first() else { return Err(NoChoice::NoTags) };
        let best = fitting
            .iter()
            .skip(1)
            .fold(first, |best, next| if self.ranks_newer(&next.0, &best.0) { next } else { best });
        if let Some((rank, current)) = &held {
            if current.tag == best.1.tag || *rank == best.0 {
                return Err(NoChoice::UpToDate { tag: current.tag.clone() });
            }
            if self.ranks_newer(rank, &best.0) {
                return Err(NoChoice::OnlyOlder { held: current.tag.clone(), newest: best.1.tag.clone() });
            }
        }
        single(fitting.iter().filter(|(rank, _)| *rank == best.0).map(|(_, seen)| &seen.tag))
    }
}

fn by_order(order: &Order, fitting: &[(Rank, &Seen)], held: Option<(Rank, &Current)>) -> Result<Tag, NoChoice> {
    let held = held.map(|(_, current)| current);
    let placed: Vec<(Standing, &Tag)> = fitting.iter().filter_map(|(_, s)| Some((s.standing?, &s.tag))).collect();
    if let ([(_, only)], Some(current)) = (fitting, held)
        && only.tag == current.tag
    {
        return Err(NoChoice::UpToDate { tag: current.tag.clone() });
    }
    let Some(newest) = placed.iter().map(|(at, _)| *at).max() else {
        return Err(NoChoice::NoAges(order.no_standing()));
    };
    let mut top: Vec<&Tag> = placed.iter().filter(|(at, _)| *at == newest).map(|(_, tag)| *tag).collect();
    top.sort();
    if let (Order::Built, Standing::At(at)) = (order, newest)
        && placed.len() > 1
        && top.len() == placed.len()
        && !all_one_tag(&top)
    {
        return Err(NoChoice::SameAges { count: placed.len(), at });
    }
    if let Some(current) = held {
        let tag = current.tag.clone();
        let first = top[0].clone();
        if top.contains(&&current.tag) {
            return Err(NoChoice::UpToDate { tag });
        }
        match current.age {
            Age::Known(at) if at > newest => return Err(NoChoice::OnlyOlder { held: tag, newest: first }),
            Age::Known(at) if at == newest => return Err(NoChoice::Tie { one: tag, other: first }),
            Age::Known(_) => {}
            Age::Missing => {
                let why = order.why_unknown();
                return Err(NoChoice::HeldAgeUnknown { held: tag, newest: first, why });
            }
            Age::Gone | Age::Unasked => {
                let why = order.why_gone();
                return Err(NoChoice::HeldAgeUnknown { held: tag, newest: first, why });
            }
        }
    }
    single(top.into_iter())
}

fn all_one_tag(tags: &[&Tag]) -> bool {
    tags.windows(2).all(|pair| pair[0] == pair[1])
}

/// The one tag of equally new ones; two different ones are a tie.
fn single<'t>(tags: impl Iterator<Item = &'t Tag>) -> Result<Tag, NoChoice> {
    let mut tags: Vec<&Tag> = tags.collect();
    tags.sort();
    tags.dedup();
    match tags.as_slice() {
        [] => Err(NoChoice::NoTags),
        [only] => Ok((*only).clone()),
        [one, other, ..] => Err(NoChoice::Tie { one: (*one).clone(), other: (*other).clone() }),
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
        Seen { tag: tag(text), standing: second.map(at) }
    }

    fn held(text: &str, age: Age) -> Current {
        Current { tag: tag(text), age }
    }

    const SHA: TagRule = TagRule::Sha { form: ShaForm::Usual, order: Order::Built };

    #[test]
    fn the_image_built_last_wins_whatever_its_name() {
        let tags = [seen("fffffff", Some(1)), seen("0000001", Some(9)), seen("aaaaaaa", Some(5)), seen("latest", None)];
        // Digits alone could be a date.
        assert_eq!(SHA.choose(&tags, None), Ok(tag("aaaaaaa")));
        let tags = [seen("fffffff", Some(1)), seen("000000a", Some(9)), seen("aaaaaaa", Some(5)), seen("latest", None)];
        assert_eq!(SHA.choose(&tags, Some(&held("fffffff", Age::Known(at(1))))), Ok(tag("000000a")));
        assert_eq!(SHA.choose(&tags, Some(&held("latest", Age::Unasked))), Ok(tag("000000a")));
        let current = held("000000a", Age::Known(at(9)));
        assert_eq!(SHA.choose(&tags, Some(&current)), Err(NoChoice::UpToDate { tag: tag("000000a") }));
    }

    #[test]
    fn nothing_moves_back_or_blindly() {
        let tags = [seen("aaaaaaa", Some(1)), seen("bbbbbbb", Some(2))];
        let choose = |age| SHA.choose(&tags, Some(&held("ccccccc", age))).expect_err("no choice");
        assert!(matches!(choose(Age::Known(at(3))), NoChoice::OnlyOlder { .. }));
        assert!(matches!(choose(Age::Known(at(2))), NoChoice::Tie { .. }));
        assert!(matches!(choose(Age::Gone), NoChoice::HeldAgeUnknown { .. }));
        assert!(matches!(choose(Age::Missing), NoChoice::HeldAgeUnknown { .. }));
        assert!(matches!(choose(Age::Unasked), NoChoice::HeldAgeUnknown { .. }));
    }

    #[test]
    fn what_is_newer_than_something_deployed_before_is_known_or_not() {
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
    fn unusable_ages_are_said() {
        let no = |tags: &[Seen]| SHA.choose(tags, None).expect_err("no choice");
        assert_eq!(no(&[]), NoChoice::NoTags);
        assert!(matches!(no(&[seen("latest", None), seen("v1", None)]), NoChoice::NoneFits { count: 2, .. }));
        assert_eq!(no(&[seen("aaaaaaa", None), seen("bbbbbbb", None)]), NoChoice::NoAges(Order::Built.no_standing()));
        assert!(matches!(
            no(&[seen("aaaaaaa", Some(7)), seen("bbbbbbb", Some(7))]),
            NoChoice::SameAges { count: 2, .. }
        ));
        let tie = [seen("aaaaaaa", Some(7)), seen("bbbbbbb", Some(7)), seen("ccccccc", Some(1))];
        assert!(matches!(no(&tie), NoChoice::Tie { .. }));
        // One image without an age among others is passed over.
        assert_eq!(SHA.choose(&[seen("aaaaaaa", None), seen("bbbbbbb", Some(1))], None), Ok(tag("bbbbbbb")));
    }

    #[test]
    fn versions_go_up_only() {
        let rule = TagRule::Semver { range: Range::parse("^1").expect("a range"), filter: Filter::default() };
        let tags = [seen("1.2.0", None), seen("v1.10.0", None), seen("2.0.0", None), seen("junk", None)];
        assert_eq!(rule.choose(&tags, Some(&held("1.2.0", Age::Unasked))), Ok(tag("v1.10.0")));
        let no = |text| rule.choose(&tags, Some(&held(text, Age::Unasked))).expect_err("no choice");
        assert!(matches!(no("1.10.0"), NoChoice::UpToDate { .. }));
        assert!(matches!(no("2.0.0"), NoChoice::OnlyOlder { .. }));
        assert_eq!(rule.choose(&tags, Some(&held("latest", Age::Unasked))), Ok(tag("v1.10.0")));
    }

    #[test]
    fn what_is_held_stays_where_only_its_digest_is_followed() {
        let tags = [seen("1.2.0", None)];
        let up_to_date = Err(NoChoice::UpToDate { tag: tag("1.0.0") });
        assert_eq!(TagRule::Held.choose(&tags, Some(&held("1.0.0", Age::Unasked))), up_to_date);
        assert_eq!(TagRule::Held.choose(&tags, None), Err(NoChoice::NothingHeld));
    }

    #[test]
    fn the_lowest_wins_where_asked() {
        let rule = TagRule::Alphabetical { descending: true, filter: Filter::default() };
        let tags = [seen("b", None), seen("a", None), seen("c", None)];
        assert_eq!(rule.choose(&tags, Some(&held("b", Age::Unasked))), Ok(tag("a")));
    }

    proptest! {
        #[test]
        fn what_is_chosen_is_newer_and_does_not_depend_on_the_order(
            ages in prop::collection::vec((0u32..40, prop::option::of(0i64..8)), 0..12),
            current in prop::option::of((0u32..40, 0i64..8)),
            rotate in 0usize..12,
        ) {
            let name = |n: u32| format!("abcde{n:02x}");
            let mut tags: Vec<Seen> = ages.iter().map(|(n, age)| seen(&name(*n), *age)).collect();
            tags.sort_by(|a, b| a.tag.cmp(&b.tag));
            tags.dedup_by(|a, b| a.tag == b.tag);
            let current = current.map(|(n, age)| held(&name(n), Age::Known(at(age))));
            let chosen = SHA.choose(&tags, current.as_ref());
            if let Ok(winner) = &chosen {
                let standing = tags.iter().find(|s| s.tag == *winner).and_then(|s| s.standing).expect("it has a place");
                prop_assert!(tags.iter().all(|s| s.standing.is_none_or(|other| other <= standing)));
                if let Some(Current { age: Age::Known(at), .. }) = &current {
                    prop_assert!(standing > *at);
                }
            }
            let count = tags.len().max(1);
            tags.rotate_left(rotate % count);
            prop_assert_eq!(chosen, SHA.choose(&tags, current.as_ref()));
        }
    }
}
