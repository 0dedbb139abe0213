//! The findings about an image: all of its tags, or only the choices for its fields.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::image::{Repository, Tag};
use crate::policy::no_choice::NoChoice;
use crate::policy::seen::{Current, Position};
use crate::policy::tags::TagRule;

use super::candidates::{Candidates, CurrentTag};

/// The reason why there are no findings about a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoFindings {
    /// The registry does not have the repository, or there is nothing to choose.
    Absent(String),
    /// The registry could not answer.
    Failed(String),
    /// The scan is not finished; the text describes its progress.
    Unfinished(String),
}

/// The findings about each repository.
pub type FindingsByImage = BTreeMap<Repository, Result<Findings, NoFindings>>;

/// The findings about an image.
#[derive(Debug, Clone)]
pub enum Findings {
    /// All of its tags.
    AllTags(Candidates),
    /// The choices for its fields. Only these are kept while the registry lists the same tags.
    Choices(Arc<Choices>),
}

/// The choice for a field.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Choice {
    /// Its current tag.
    current: Option<Tag>,
    /// The new tag, or the reason why it stays.
    choice: Result<Tag, NoChoice>,
    /// The other tags of the chosen build.
    siblings: Box<[Tag]>,
}

/// The choices for fields, by their current tag, including one for fields without a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    /// One for each current tag. They are few, so a linear search is fast enough.
    choices: Box<[Choice]>,
}

impl Candidates {
    /// Returns the new tag of a field, or the reason why it stays.
    pub fn choose(&self, rule: &TagRule, current: Option<&Tag>) -> Result<Tag, NoChoice> {
        let current = current.map(|tag| {
            let CurrentTag { position, build } = self.of_current(tag);
            Current { tag: tag.clone(), position, build }
        });
        rule.choose(&self.seen, current.as_ref())
    }

    /// Returns the choices for fields with these current tags, or without a tag.
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

    /// Returns whether there are choices for fields with these current tags.
    pub fn covers(&self, current: &BTreeSet<&Tag>) -> bool {
        current.iter().all(|tag| self.choice(Some(tag)).is_some())
    }
}

impl Findings {
    /// Returns the new tag of a field, or the reason why it stays. Returns `None` if there is no choice for its current
    /// tag.
    pub fn choose(&self, rule: &TagRule, current: Option<&Tag>) -> Option<Result<Tag, NoChoice>> {
        match self {
            Findings::AllTags(candidates) => Some(candidates.choose(rule, current)),
            Findings::Choices(choices) => choices.choice(current).cloned(),
        }
    }

    /// Returns the other tags of a chosen tag's build.
    pub fn siblings(&self, tag: &Tag) -> Vec<Tag> {
        match self {
            Findings::AllTags(candidates) => candidates.siblings(tag).cloned().collect(),
            Findings::Choices(choices) => choices.siblings(tag).cloned().collect(),
        }
    }

    /// Returns whether they suffice for fields with these current tags. Current tags differ between tips, and those
    /// that were not queried are not known.
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

    /// Returns all of the tags, if they are available.
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
    fn choices_are_the_same_as_those_of_all_tags() {
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
        assert!(whole.covers(&rule, &all) && !whole.covers(&rule, &one), "not queried");
    }
}
