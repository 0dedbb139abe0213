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
    AllTags(Candidates),
    /// What follows from them. It is all that is kept of an image while its registry lists the same tags.
    Choices(Arc<Choices>),
}

/// What follows for a field.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Choice {
    /// What it holds.
    current: Option<Tag>,
    /// The tag that it should hold instead, or why it stays.
    choice: Result<Tag, NoChoice>,
    /// The other tags of the build that was chosen.
    siblings: Box<[Tag]>,
}

/// What follows for a field by the tag that it holds, and for one that holds none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    /// By what a field holds. There are few, so that looking through them is as good as anything.
    choices: Box<[Choice]>,
}

impl Candidates {
    /// The tag that a field should hold instead of what it holds, or why it stays.
    pub fn choose(&self, rule: &TagRule, current: Option<&Tag>) -> Result<Tag, NoChoice> {
        let current = current.map(|tag| {
            let CurrentTag { position, build } = self.of_current(tag);
            Current { tag: tag.clone(), position, build }
        });
        rule.choose(&self.seen, current.as_ref())
    }

    /// What follows for fields that hold these tags, or none.
    pub fn choices_for(&self, rule: &TagRule, current: &BTreeSet<&Tag>) -> Choices {
        let choices = |current: Option<&Tag>| {
            let choice = self.choose(rule, current);
            let siblings = choice.iter().flat_map(|tag| self.siblings(tag)).cloned().collect();
            Choice { current: current.cloned(), choice, siblings }
        };
        Choices { choices: current.iter().map(|tag| Some(*tag)).chain([None]).map(choices).collect() }
    }
}

impl Choices {
    fn choice(&self, current: Option<&Tag>) -> Option<&Result<Tag, NoChoice>> {
        self.choices.iter().find(|choices| choices.current.as_ref() == current).map(|choices| &choices.choice)
    }

    fn siblings(&self, tag: &Tag) -> impl Iterator<Item = &Tag> {
        let chosen = self.choices.iter().find(|choices| choices.choice.as_ref() == Ok(tag));
        chosen.into_iter().flat_map(|choices| &choices.siblings)
    }

    /// Whether it tells what follows for fields that hold these tags.
    pub fn covers(&self, current: &BTreeSet<&Tag>) -> bool {
        current.iter().all(|tag| self.choice(Some(tag)).is_some())
    }
}

impl Findings {
    /// The tag that a field should hold instead of what it holds, or why it stays; `None` when that cannot be told, as it
    /// was choices for fields that hold something else.
    pub fn choose(&self, rule: &TagRule, current: Option<&Tag>) -> Option<Result<Tag, NoChoice>> {
        match self {
            Findings::AllTags(candidates) => Some(candidates.choose(rule, current)),
            Findings::Choices(choices) => choices.choice(current).cloned(),
        }
    }

    /// The other tags of the build of a tag that was chosen.
    pub fn siblings(&self, tag: &Tag) -> Vec<Tag> {
        match self {
            Findings::AllTags(candidates) => candidates.siblings(tag).cloned().collect(),
            Findings::Choices(choices) => choices.siblings(tag).cloned().collect(),
        }
    }

    /// Whether it tells what follows for fields that hold these tags. The tags that fields hold differ between two tips, and
    /// what was not asked for is not known.
    pub fn covers(&self, rule: &TagRule, current: &BTreeSet<&Tag>) -> bool {
        let is_known = |candidates: &Candidates, tag: &Tag| {
            rule.order().is_none()
                || rule.measure(tag).is_err()
                || candidates.of_current(tag).position != Position::NotQueried
        };
        match self {
            Findings::AllTags(candidates) => current.iter().all(|tag| is_known(candidates, tag)),
            Findings::Choices(choices) => choices.covers(current),
        }
    }

    /// All of the tags, where they are at hand.
    pub fn all_tags(&self) -> Option<&Candidates> {
        match self {
            Findings::AllTags(candidates) => Some(candidates),
            Findings::Choices(_) => None,
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
            current: [("aaaaaa1", 1), ("aaaaaa9", 9)]
                .map(|(text, second)| (tag(text), CurrentTag { position: Position::Known(at(second)), build: None }))
                .into(),
        };
        let current = ["aaaaaa1", "aaaaaa2", "aaaaaa9", "latest"].map(tag);
        let choices = Findings::Choices(Arc::new(candidates.choices_for(&rule, &current.iter().collect())));
        let whole = Findings::AllTags(candidates);
        for current in current.iter().map(Some).chain([None]) {
            assert_eq!(choices.choose(&rule, current), whole.choose(&rule, current), "{current:?}");
        }
        let (other, all) = (tag("aaaaaa3"), current.iter().collect());
        assert!(choices.choose(&rule, Some(&other)).is_none() && whole.choose(&rule, Some(&other)).is_some());
        let one = BTreeSet::from([&other]);
        assert!(choices.covers(&rule, &all) && !choices.covers(&rule, &one));
        assert!(whole.covers(&rule, &all) && !whole.covers(&rule, &one), "nobody asked for it");
    }
}
