//! What was found out of an image: all of its tags, or no more than what follows from them for the fields there are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::image::{Repository, Tag};
use crate::policy::no_choice::NoChoice;
use crate::policy::seen::{Current, Position};
use crate::policy::tags::TagRule;

use super::candidates::{Candidates, CurrentTag};

/// Why there is no scan of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoFindings {
    /// The registry says that it has no such repository.
    Absent(String),
    /// The registry could not say.
    Failed(String),
    /// The look at it has not come to its end; this says how far it is.
    Unfinished(String),
}

/// What the registry said of each repository.
pub type FindingsByImage = BTreeMap<Repository, Result<Findings, NoFindings>>;

/// What was found out of an image.
#[derive(Debug, Clone)]
pub enum Findings {
    /// All of its tags.
    Whole(Candidates),
    /// What follows from them. It is all that is kept of an image while its registry lists the same tags.
    Settled(Arc<Settled>),
}

/// What follows for a field.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Choice {
    /// What it holds.
    held: Option<Tag>,
    /// The tag that it should hold instead, or why it stays.
    choice: Result<Tag, NoChoice>,
    /// The other tags of the build that was chosen.
    siblings: Box<[Tag]>,
}

/// What follows for a field by the tag that it holds, and for one that holds none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// By what a field holds. There are few, so that looking through them is as good as anything.
    choices: Box<[Choice]>,
}

impl Candidates {
    /// The tag that a field should hold instead of what it holds, or why it stays.
    pub fn choose(&self, rule: &TagRule, held: Option<&Tag>) -> Result<Tag, NoChoice> {
        let current = held.map(|tag| {
            let CurrentTag { position, build } = self.of_held(tag);
            Current { tag: tag.clone(), position, build }
        });
        rule.choose(&self.seen, current.as_ref())
    }

    /// What follows for fields that hold these tags, or none.
    pub fn settle(&self, rule: &TagRule, held: &BTreeSet<&Tag>) -> Settled {
        let settled = |held: Option<&Tag>| {
            let choice = self.choose(rule, held);
            let siblings = choice.iter().flat_map(|tag| self.siblings(tag)).cloned().collect();
            Choice { held: held.cloned(), choice, siblings }
        };
        Settled { choices: held.iter().map(|tag| Some(*tag)).chain([None]).map(settled).collect() }
    }
}

impl Settled {
    fn choice(&self, held: Option<&Tag>) -> Option<&Result<Tag, NoChoice>> {
        self.choices.iter().find(|settled| settled.held.as_ref() == held).map(|settled| &settled.choice)
    }

    fn siblings(&self, tag: &Tag) -> impl Iterator<Item = &Tag> {
        let chosen = self.choices.iter().find(|settled| settled.choice.as_ref() == Ok(tag));
        chosen.into_iter().flat_map(|settled| &settled.siblings)
    }

    /// Whether it tells what follows for fields that hold these tags.
    pub fn tells_of(&self, held: &BTreeSet<&Tag>) -> bool {
        held.iter().all(|tag| self.choice(Some(tag)).is_some())
    }
}

impl Findings {
    /// The tag that a field should hold instead of what it holds, or why it stays; `None` when that cannot be told, as it
    /// was settled for fields that hold something else.
    pub fn choose(&self, rule: &TagRule, held: Option<&Tag>) -> Option<Result<Tag, NoChoice>> {
        match self {
            Findings::Whole(candidates) => Some(candidates.choose(rule, held)),
            Findings::Settled(settled) => settled.choice(held).cloned(),
        }
    }

    /// The other tags of the build of a tag that was chosen.
    pub fn siblings(&self, tag: &Tag) -> Vec<Tag> {
        match self {
            Findings::Whole(candidates) => candidates.siblings(tag).cloned().collect(),
            Findings::Settled(settled) => settled.siblings(tag).cloned().collect(),
        }
    }

    /// Whether it tells what follows for fields that hold these tags. The tags that fields hold differ between two tips, and
    /// what was not asked for is not known.
    pub fn tells_of(&self, rule: &TagRule, held: &BTreeSet<&Tag>) -> bool {
        let is_known = |candidates: &Candidates, tag: &Tag| {
            rule.order().is_none()
                || rule.measure(tag).is_err()
                || candidates.of_held(tag).position != Position::NotQueried
        };
        match self {
            Findings::Whole(candidates) => held.iter().all(|tag| is_known(candidates, tag)),
            Findings::Settled(settled) => settled.tells_of(held),
        }
    }

    /// All of the tags, where they are at hand.
    pub fn whole(&self) -> Option<&Candidates> {
        match self {
            Findings::Whole(candidates) => Some(candidates),
            Findings::Settled(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::order::{Order, Standing};
    use crate::policy::seen::Seen;
    use crate::policy::tags::ShaForm;

    use super::*;

    #[test]
    fn what_is_settled_says_the_same_as_the_whole() {
        let tag = |text: &str| text.parse::<Tag>().expect("a tag");
        let at = |second| Standing::At(jiff::Timestamp::from_second(second).expect("a time"));
        let seen = |text: &str, second| Seen::new(tag(text), Some(at(second)));
        let rule = TagRule::Sha { form: ShaForm::Usual, order: Order::Built };
        let candidates = Candidates {
            seen: vec![seen("aaaaaa1", 1), seen("aaaaaa2", 2)],
            held: [("aaaaaa1", 1), ("aaaaaa9", 9)]
                .map(|(text, second)| (tag(text), CurrentTag { position: Position::Known(at(second)), build: None }))
                .into(),
        };
        let held = ["aaaaaa1", "aaaaaa2", "aaaaaa9", "latest"].map(tag);
        let settled = Findings::Settled(Arc::new(candidates.settle(&rule, &held.iter().collect())));
        let whole = Findings::Whole(candidates);
        for held in held.iter().map(Some).chain([None]) {
            assert_eq!(settled.choose(&rule, held), whole.choose(&rule, held), "{held:?}");
        }
        let (other, all) = (tag("aaaaaa3"), held.iter().collect());
        assert!(settled.choose(&rule, Some(&other)).is_none() && whole.choose(&rule, Some(&other)).is_some());
        let one = BTreeSet::from([&other]);
        assert!(settled.tells_of(&rule, &all) && !settled.tells_of(&rule, &one));
        assert!(whole.tells_of(&rule, &all) && !whole.tells_of(&rule, &one), "nobody asked for it");
    }
}
