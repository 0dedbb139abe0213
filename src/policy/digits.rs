//! SHAs that consist of digits only, as one in 27 of those with seven digits does. They look like a date or a build
//! number, so the other tags or the image must show that they are commits.

use std::fmt;

use crate::image::Tag;

use super::form::Form;
use super::tags::TagRule;

/// The reason why a tag that consists of digits only is not taken for a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// Its image was built from another commit.
    OtherCommit,
    /// No commit on the branch begins with it.
    NotOnBranch,
    /// It is a date, and nothing says otherwise.
    Date,
    /// It is older than the tags that can be chosen, so its image was not inspected.
    Older,
    /// Its image does not name its commit.
    Unlabelled,
    /// Its image has not been inspected yet.
    Unread,
}

impl Doubt {
    /// Returns whether the tag may be a commit nevertheless.
    pub fn is_open(self) -> bool {
        matches!(self, Doubt::Unlabelled | Doubt::Unread)
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("consists of digits only, ")?;
        f.write_str(match self {
            Doubt::OtherCommit => "and its image was built from another commit (org.opencontainers.image.revision)",
            Doubt::Date => "and is a date unless its image says otherwise (org.opencontainers.image.revision)",
            Doubt::NotOnBranch => "and no commit on the branch begins with it",
            Doubt::Older => "so it may be a date or a build number; it is older than the newest commit",
            Doubt::Unlabelled => {
                "so it may be a date or a build number; label images with org.opencontainers.image.revision, \
                 accept it with a `pattern` that has a group `sha`, or exclude it with `ignore`"
            }
            Doubt::Unread => "so it may be a date or a build number; its image has not been inspected yet",
        })
    }
}

impl TagRule {
    /// Settles a doubt about a tag: a date is taken for a date unless its image says otherwise.
    pub fn weigh(&self, tag: &Tag, doubt: Doubt) -> Doubt {
        if doubt.is_open() && self.commit_of(tag).is_some_and(is_time) { Doubt::Date } else { doubt }
    }
}

/// Splits tags that consist of digits only into commits and others, judging by the names of the other tags. A tag is a
/// commit if a longer tag begins with the same digits, or if all others of its form are SHAs of its length and there
/// are no more of digits only than chance explains. `fitting` are tags that name commits, each with a letter.
pub(super) fn admit(rule: &TagRule, fitting: &[Tag], digits: Vec<Tag>) -> (Vec<Tag>, Vec<Tag>) {
    if digits.is_empty() {
        return (digits, Vec::new());
    }
    let mut commits: Vec<&str> = fitting.iter().filter_map(|tag| rule.commit_of(tag)).collect();
    commits.sort_unstable();
    let forms: Vec<(Form, usize)> =
        fitting.iter().map(|tag| (rule.form_of(tag), rule.commit_of(tag).map_or(0, str::len))).collect();
    let numbers: Vec<(Form, usize)> =
        digits.iter().map(|tag| (rule.form_of(tag), rule.commit_of(tag).map_or(0, str::len))).collect();
    let is_commit = |tag: &Tag| {
        let Some(sha) = rule.commit_of(tag) else { return false };
        let next = commits.partition_point(|commit| *commit < sha);
        if commits.get(next).is_some_and(|commit| commit.starts_with(sha)) {
            return true;
        }
        let form = rule.form_of(tag);
        let mut alike = forms.iter().filter(|(other, _)| other.is_like(&form)).map(|(_, length)| *length).peekable();
        if is_time(sha) || alike.peek().is_none() {
            return false;
        }
        let (mut letters, mut is_of_length) = (0, true);
        for length in alike {
            letters += 1;
            is_of_length &= length == sha.len();
        }
        let alone = numbers.iter().filter(|(other, _)| other.is_like(&form)).count();
        is_of_length && alone <= 1 + (letters + alone) / 8
    };
    digits.into_iter().partition(is_commit)
}

/// Returns whether digits begin with a date (`20260401`, `20260401120000`), or are seconds or milliseconds since 1970
/// in the years from 2017 to 2033.
fn is_time(digits: &str) -> bool {
    let number = |from: usize, to: usize| digits.get(from..to).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    let is_date = digits.len() >= 8
        && (1990..2100).contains(&number(0, 4))
        && (1..=12).contains(&number(4, 6))
        && (1..=31).contains(&number(6, 8));
    is_date || matches!(digits.len(), 10 | 13) && (15..20).contains(&number(0, 2))
}

#[cfg(test)]
mod tests {
    use super::super::order::Order;
    use super::super::tags::ShaForm;
    use super::*;

    fn admitted(fitting: &[&str], digits: &[&str]) -> Vec<String> {
        let rule = TagRule::Sha { form: ShaForm::Usual, order: Order::Built };
        let tags = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a tag")).collect::<Vec<Tag>>();
        admit(&rule, &tags(fitting), tags(digits)).0.iter().map(Tag::to_string).collect()
    }

    #[test]
    fn shas_of_the_same_length_speak_for_digits() {
        let shas = ["1a2b3c4", "5d6e7f8", "abcdef0"];
        assert_eq!(admitted(&shas, &["1234567"]), ["1234567"]);
        assert_eq!(admitted(&shas, &["12345678"]), [""; 0], "another length");
        assert_eq!(admitted(&["1a2b3c4", "5d6e7f8d"], &["1234567"]), [""; 0], "the others differ in length");
        assert_eq!(admitted(&["main-1a2b3c4"], &["1234567"]), [""; 0], "another form");
        assert_eq!(admitted(&["main-1a2b3c4"], &["main-1234567"]), ["main-1234567"]);
        assert_eq!(admitted(&[], &["1234567"]), [""; 0]);
        let whole = "a".repeat(40);
        assert_eq!(admitted(&["1a2b3c4", &whole], &["1234567"]), ["1234567"], "whole SHAs are a form of their own");
    }

    #[test]
    fn numbers_and_dates_are_none() {
        let builds = ["1000001", "1000002", "1000003"];
        assert_eq!(admitted(&["1a2b3c4", "5d6e7f8", "abcdef0"], &builds), [""; 0], "more than chance makes");
        assert_eq!(admitted(&["1a2b3c4d", "5d6e7f8d"], &["20260401"]), [""; 0]);
        assert_eq!(admitted(&["1a2b3c4d", "5d6e7f8d"], &["20261401"]), ["20261401"], "there are twelve months");
        assert_eq!(admitted(&["1a2b3c4d5e"], &["1790000000"]), [""; 0]);
    }

    #[test]
    fn a_date_is_in_no_doubt() {
        let rule = TagRule::Sha { form: ShaForm::Usual, order: Order::Built };
        let weigh = |text: &str, doubt| rule.weigh(&text.parse().expect("a tag"), doubt);
        assert_eq!(weigh("20260401", Doubt::Unread), Doubt::Date);
        assert_eq!(weigh("nightly-20260401120000", Doubt::Unlabelled), Doubt::Date);
        assert_eq!(weigh("main-1a2b3c4-1712000000", Doubt::Unread), Doubt::Date);
        assert_eq!(weigh("20260401", Doubt::OtherCommit), Doubt::OtherCommit);
        assert_eq!(weigh("12345678", Doubt::Unlabelled), Doubt::Unlabelled);
    }

    #[test]
    fn a_longer_sha_speaks_for_digits() {
        let whole = format!("1234567{}", "a".repeat(33));
        assert_eq!(admitted(&[&whole, "1a2b3c4"], &["1234567", "1234568", "1234569", "1234570"]), ["1234567"]);
        assert_eq!(admitted(&[&format!("main-{whole}")], &["1234567"]), ["1234567"]);
    }
}
