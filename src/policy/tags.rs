//! Which tags fit a policy, by their names alone, and what they are compared by.

use std::fmt;
use std::ops::Range as Span;

use regex::Regex;
use semver::Version;

use crate::image::Tag;

use super::number::Number;
use super::order::Order;
use super::range::{Range, RangeError};

/// How tags are chosen.
#[derive(Debug, Clone)]
pub enum TagRule {
    /// Tags that name a git commit.
    Sha {
        /// Which tags those are.
        form: ShaForm,
        /// What tells which of them is the newest.
        order: Order,
    },
    /// Versions; the highest in a range.
    Semver {
        /// The range.
        range: Range,
        /// What of a tag is the version.
        filter: Filter,
    },
    /// Numbers.
    Numerical {
        /// Whether the lowest wins instead of the highest.
        descending: bool,
        /// What of a tag is the number.
        filter: Filter,
    },
    /// The tag that the field holds, whatever it is called: only its digest is followed.
    Held,
    /// Texts, compared byte by byte.
    Alphabetical {
        /// Whether the first wins instead of the last.
        descending: bool,
        /// What of a tag is compared.
        filter: Filter,
    },
}

/// Which tags name a git commit.
#[derive(Debug, Clone)]
pub enum ShaForm {
    /// 7 to 64 hexadecimal digits, alone or behind a prefix that ends in a dash.
    Usual,
    /// What a pattern with the named group `sha` matches.
    Pattern(Regex),
    /// What a pattern matches; the commit is told by the image (`org.opencontainers.image.revision`).
    Labelled(Regex),
}

/// What of a tag is compared: Flux's `filterTags`.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pattern: Option<Regex>,
    extract: Option<String>,
}

/// A rule that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// No regular expression.
    #[error("`{text}` is no regular expression: {reason}")]
    Pattern {
        /// The text.
        text: String,
        /// The regex engine's words, last line.
        reason: String,
    },
    /// A SHA pattern without its group.
    #[error("`{0}` needs a group named sha around the commit, such as ^main-(?P<sha>[0-9a-f]{{7,40}})$")]
    NoShaGroup(String),
    /// `extract` names a group that `pattern` does not have.
    #[error("`{extract}` names a group that the pattern `{pattern}` does not have")]
    NoGroup {
        /// The text of `extract`.
        extract: String,
        /// The pattern, empty when none was given.
        pattern: String,
    },
    /// No version range.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// No pattern of tags.
    #[error("`{text}` is no pattern of tags: {reason}")]
    Tags {
        /// The text.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// No pattern of image names.
    #[error("`{text}` is no pattern of image names: {reason}")]
    Images {
        /// The text.
        text: String,
        /// What is wrong.
        reason: String,
    },
}

/// Why a tag does not fit, by its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The pattern does not match.
    #[error("does not match the pattern `{0}`")]
    Pattern(String),
    /// Not the form of a commit.
    #[error("names no commit (7 to 64 hexadecimal digits)")]
    NoSha,
    /// Not a version.
    #[error("is no version (semver 2.0.0)")]
    NoVersion,
    /// Not in the range.
    #[error("is not in the range `{0}`")]
    OutOfRange(String),
    /// Not a number.
    #[error("is no number")]
    NoNumber,
}

/// What a tag is compared by. Larger is newer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// By the policy's order, not by the name.
    ByOrder,
    /// By version.
    Version(Version),
    /// By number.
    Number(Number),
    /// By text.
    Text(String),
}

impl Filter {
    /// A filter from the texts of the configuration.
    pub fn new(pattern: Option<&str>, extract: Option<&str>) -> Result<Filter, RuleError> {
        let pattern = pattern.map(compile).transpose()?;
        if let Some(extract) = extract {
            let missing = |name: &str| match (&pattern, name.parse::<usize>()) {
                (Some(pattern), Ok(index)) => index >= pattern.captures_len(),
                (Some(pattern), Err(_)) => !pattern.capture_names().flatten().any(|known| known == name),
                (None, _) => true,
            };
            if group_names(extract).any(missing) {
                let pattern = pattern.as_ref().map(|p| p.as_str().to_owned()).unwrap_or_default();
                return Err(RuleError::NoGroup { extract: extract.to_owned(), pattern });
            }
        }
        Ok(Filter { pattern, extract: extract.map(str::to_owned) })
    }

    fn apply(&self, tag: &str) -> Result<String, Misfit> {
        let Some(pattern) = &self.pattern else { return Ok(tag.to_owned()) };
        let captures = pattern.captures(tag).ok_or_else(|| Misfit::Pattern(pattern.as_str().to_owned()))?;
        let Some(extract) = &self.extract else { return Ok(tag.to_owned()) };
        let mut value = String::new();
        captures.expand(extract, &mut value);
        Ok(value)
    }
}

/// The names (or numbers) of the groups in an `extract` text, as the regex crate expands them.
fn group_names(extract: &str) -> impl Iterator<Item = &str> {
    extract.split('$').skip(1).filter_map(|part| {
        if let Some(braced) = part.strip_prefix('{') {
            return braced.split('}').next();
        }
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
        (end > 0).then(|| &part[..end])
    })
}

fn compile(text: &str) -> Result<Regex, RuleError> {
    Regex::new(text).map_err(|error| RuleError::Pattern {
        text: text.to_owned(),
        reason: error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
    })
}

impl ShaForm {
    /// The form that a pattern describes. Only where commits are ordered by history may the commit be left to the image.
    pub fn pattern(text: &str, order: &Order) -> Result<ShaForm, RuleError> {
        let pattern = compile(text)?;
        match (pattern.capture_names().flatten().any(|name| name == "sha"), order) {
            (true, _) => Ok(ShaForm::Pattern(pattern)),
            (false, Order::Commit(_)) => Ok(ShaForm::Labelled(pattern)),
            (false, _) => Err(RuleError::NoShaGroup(text.to_owned())),
        }
    }

    /// The commit that a tag names, whole or shortened; `None` where the image has to tell.
    pub fn commit<'t>(&self, tag: &'t Tag) -> Option<&'t str> {
        self.commit_place(tag).map(|place| &tag.as_str()[place])
    }

    /// Where a tag names its commit, in bytes.
    pub(super) fn commit_place(&self, tag: &Tag) -> Option<Span<usize>> {
        let text = tag.as_str();
        match self {
            ShaForm::Usual => Some(text.rfind('-').map_or(0, |dash| dash + 1)..text.len()),
            ShaForm::Pattern(pattern) => pattern.captures(text)?.name("sha").map(|group| group.range()),
            ShaForm::Labelled(_) => None,
        }
    }

    /// Whether a tag that fits may as well be a date or a build number.
    pub(super) fn is_digits_alone(&self, tag: &Tag) -> bool {
        let is_number = |sha: &str| sha.len() < 40 && sha.bytes().all(|b| b.is_ascii_digit());
        matches!(self, ShaForm::Usual) && self.commit(tag).is_some_and(is_number)
    }

    fn fits(&self, tag: &str) -> Result<(), Misfit> {
        let is_hex = |t: &str| t.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        // Zeros are what git writes for no commit, and people until there is one.
        let is_none = |t: &str| t.bytes().all(|b| b == b'0');
        let hex = |t: &str| (7..=64).contains(&t.len()) && is_hex(t) && !is_none(t);
        match self {
            ShaForm::Usual => {
                let sha = tag.rsplit('-').next().unwrap_or(tag);
                if hex(sha) { Ok(()) } else { Err(Misfit::NoSha) }
            }
            ShaForm::Pattern(pattern) => {
                let captures = pattern.captures(tag).ok_or_else(|| Misfit::Pattern(pattern.as_str().to_owned()))?;
                let sha = captures.name("sha").map(|group| group.as_str()).unwrap_or_default();
                if hex(sha) { Ok(()) } else { Err(Misfit::NoSha) }
            }
            ShaForm::Labelled(pattern) if pattern.is_match(tag) => Ok(()),
            ShaForm::Labelled(pattern) => Err(Misfit::Pattern(pattern.as_str().to_owned())),
        }
    }
}

impl TagRule {
    /// What a tag is compared by, or why it does not fit.
    pub fn rank(&self, tag: &Tag) -> Result<Rank, Misfit> {
        let rank = self.measure(tag)?;
        match (self, &rank) {
            (TagRule::Semver { range, .. }, Rank::Version(version)) if !range.matches(version) => {
                Err(Misfit::OutOfRange(range.as_str().to_owned()))
            }
            _ => Ok(rank),
        }
    }

    /// What a tag is compared by, even where it is too old or too new to be chosen.
    pub fn measure(&self, tag: &Tag) -> Result<Rank, Misfit> {
        let text = tag.as_str();
        match self {
            TagRule::Sha { form, .. } => form.fits(text).map(|()| Rank::ByOrder),
            TagRule::Held => Ok(Rank::Text(text.to_owned())),
            TagRule::Semver { filter, .. } => {
                let value = filter.apply(text)?;
                let version = lenient_version(&value).ok_or(Misfit::NoVersion)?;
                Ok(Rank::Version(Version { build: semver::BuildMetadata::EMPTY, ..version }))
            }
            TagRule::Numerical { filter, .. } => {
                Number::parse(&filter.apply(text)?).map(Rank::Number).ok_or(Misfit::NoNumber)
            }
            TagRule::Alphabetical { filter, .. } => filter.apply(text).map(Rank::Text),
        }
    }

    /// What tells which of two tags is newer, where their names do not.
    pub fn order(&self) -> Option<&Order> {
        match self {
            TagRule::Sha { order, .. } => Some(order),
            _ => None,
        }
    }

    /// The commit that a tag names, whole or shortened, where names say commits.
    pub fn commit_of<'t>(&self, tag: &'t Tag) -> Option<&'t str> {
        match self {
            TagRule::Sha { form, .. } => form.commit(tag),
            _ => None,
        }
    }

    /// Whether the smallest rank wins instead of the largest.
    pub fn is_descending(&self) -> bool {
        matches!(self, TagRule::Numerical { descending: true, .. } | TagRule::Alphabetical { descending: true, .. })
    }
}

impl fmt::Display for TagRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.is_descending() { "first" } else { "last" };
        match self {
            TagRule::Sha { order, .. } => write!(f, "tags that name a commit, the newest by `order: {order}`"),
            TagRule::Semver { range, .. } => write!(f, "versions, the highest of {}", range.as_str()),
            TagRule::Numerical { .. } => write!(f, "numbers, the {end}"),
            TagRule::Alphabetical { .. } => write!(f, "names, the {end} by the alphabet"),
            TagRule::Held => f.write_str("the tag that is there, by the digest that it has now"),
        }
    }
}

/// A version with an optional `v`, minor and patch being optional too (`v1`, `1.2`), as Masterminds/semver reads it.
fn lenient_version(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let core_end = text.find(['-', '+']).unwrap_or(text.len());
    let (core, tail) = text.split_at(core_end);
    let missing = 2usize.checked_sub(core.matches('.').count())?;
    Version::parse(&format!("{core}{}{tail}", ".0".repeat(missing))).ok()
}

#[cfg(test)]
mod tests {
    use super::super::order::SourceBranch;
    use super::*;

    fn rank(rule: &TagRule, tag: &str) -> Result<Rank, Misfit> {
        rule.rank(&tag.parse().expect("a tag"))
    }

    #[test]
    fn tags_that_name_a_commit() {
        let sha = |form| TagRule::Sha { form, order: Order::Built };
        let usual = sha(ShaForm::Usual);
        for tag in ["1a2b3c4", "main-1a2b3c4", "sha-1a2b3c4d5e6f708192a3b4c5d6e7f80912345678", "feature-x-abcdef0"] {
            assert_eq!(rank(&usual, tag), Ok(Rank::ByOrder), "{tag}");
        }
        assert_eq!(rank(&usual, "latest"), Err(Misfit::NoSha));
        assert_eq!(rank(&usual, "1a2b3c"), Err(Misfit::NoSha));
        assert_eq!(rank(&usual, "1A2B3C4"), Err(Misfit::NoSha));
        assert_eq!(rank(&usual, "0000000"), Err(Misfit::NoSha));
        let is_digits_alone = |tag: &str| ShaForm::Usual.is_digits_alone(&tag.parse().expect("a tag"));
        assert!(is_digits_alone("20260401") && is_digits_alone("main-1234567"));
        assert!(!is_digits_alone(&"1".repeat(40)) && !is_digits_alone("1a2b3c4"));
        let form = ShaForm::pattern("^(?P<sha>[0-9a-f]+)-amd64$", &Order::Built).expect("a pattern");
        assert_eq!(form.commit(&"1234567-amd64".parse().expect("a tag")), Some("1234567"));
        assert_eq!(ShaForm::Usual.commit(&"main-1a2b3c4".parse().expect("a tag")), Some("1a2b3c4"));
        let pattern = sha(form);
        assert_eq!(rank(&pattern, "1234567-amd64"), Ok(Rank::ByOrder));
        assert!(matches!(rank(&pattern, "1a2b3c4"), Err(Misfit::Pattern(_))));
    }

    #[test]
    fn versions_numbers_and_texts() {
        let filter = |pattern, extract| Filter::new(Some(pattern), Some(extract)).expect("a filter");
        let range = Range::parse(">=1.0.0").expect("a range");
        let semver = TagRule::Semver { range, filter: filter("^app-(?P<v>.*)$", "$v") };
        assert!(rank(&semver, "app-1.2.3").ok() < rank(&semver, "app-v1.10").ok());
        assert_eq!(rank(&semver, "app-x"), Err(Misfit::NoVersion));
        assert_eq!(rank(&semver, "app-0.9.0"), Err(Misfit::OutOfRange(">=1.0.0".to_owned())));
        let numerical = TagRule::Numerical { descending: false, filter: filter("^main-([0-9]+)$", "$1") };
        assert!(rank(&numerical, "main-9").ok() < rank(&numerical, "main-10").ok());
        assert!(matches!(rank(&numerical, "main-x"), Err(Misfit::Pattern(_))));
        let plain = TagRule::Numerical { descending: false, filter: Filter::default() };
        assert_eq!(rank(&plain, "x"), Err(Misfit::NoNumber));
    }

    #[test]
    fn rules_that_cannot_be_say_why() {
        let history = Order::Commit(SourceBranch { source: None, branch: "main".to_owned() });
        assert!(matches!(ShaForm::pattern("^[0-9a-f]+$", &Order::Pushed), Err(RuleError::NoShaGroup(_))));
        assert!(matches!(ShaForm::pattern("^build-[0-9]+$", &history), Ok(ShaForm::Labelled(_))));
        assert!(matches!(ShaForm::pattern("(", &Order::Built), Err(RuleError::Pattern { .. })));
        assert!(matches!(Filter::new(Some("a(b)"), Some("$2")), Err(RuleError::NoGroup { .. })));
        assert!(matches!(Filter::new(Some("a(?P<x>b)"), Some("${y}")), Err(RuleError::NoGroup { .. })));
        assert!(matches!(Filter::new(None, Some("$1")), Err(RuleError::NoGroup { .. })));
        assert!(Filter::new(Some("a(?P<x>b)(c)"), Some("$x-${2}")).is_ok());
    }
}
