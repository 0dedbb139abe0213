//! The tags that a cleanup of the registry would delete if it keeps only the newest.

use crate::image::Tag;

use super::seen::Seen;
use super::tags::{Rank, TagRule};

impl TagRule {
    /// Returns the number of tags that are newer than a tag; `None` if that is unknown, because the tag does not fit
    /// the rule, or because its standing in the order is unknown.
    pub fn newer_than(&self, tag: &Tag, seen: &[Seen]) -> Option<usize> {
        let held = self.measure(tag).ok()?;
        let others = || seen.iter().filter(|other| other.tag != *tag && other.doubt.is_none());
        if self.order().is_some() {
            let at = seen.iter().find(|other| other.tag == *tag)?.standing?;
            return Some(others().filter(|other| other.standing.is_some_and(|other| other > at)).count());
        }
        let newer = |rank: &Rank| if self.is_descending() { *rank < held } else { *rank > held };
        Some(others().filter(|other| self.measure(&other.tag).is_ok_and(|rank| newer(&rank))).count())
    }
}

#[cfg(test)]
mod tests {
    use super::super::order::{Order, Standing};
    use super::super::range::Range;
    use super::super::tags::{Filter, ShaForm};
    use super::*;

    fn seen(text: &str, second: Option<i64>) -> Seen {
        let standing = second.map(|second| Standing::At(jiff::Timestamp::from_second(second).expect("a time")));
        Seen::new(text.parse().expect("a tag"), standing)
    }

    #[test]
    fn newer_tags_are_counted() {
        let rule = TagRule::Semver { range: Range::parse("^1").expect("a range"), filter: Filter::default() };
        let tags = [seen("1.0.0", None), seen("1.2.0", None), seen("2.0.0", None), seen("junk", None)];
        let count = |tag: &str| rule.newer_than(&tag.parse().expect("a tag"), &tags);
        assert_eq!((count("1.0.0"), count("2.0.0"), count("junk")), (Some(2), Some(0), None));
    }

    #[test]
    fn ages_are_counted_if_they_decide() {
        let rule = TagRule::Sha { form: ShaForm::Usual, order: Order::Built };
        let tags = [seen("aaaaaa1", Some(1)), seen("aaaaaa2", Some(2)), seen("aaaaaa3", None)];
        let count = |tag: &str| rule.newer_than(&tag.parse().expect("a tag"), &tags);
        assert_eq!(
            (count("aaaaaa1"), count("aaaaaa2"), count("aaaaaa3"), count("bbbbbb1")),
            (Some(1), Some(0), None, None)
        );
    }
}
