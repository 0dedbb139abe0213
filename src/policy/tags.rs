//! The tags that fit a policy, judging by their names alone, and the values that they are compared by.

use std::fmt;
use std::ops::Range as Span;

use regex::Regex;
use semver::Version;

use crate::image::Tag;

use super::calver::{CalendarVersion, CalverError, CalverFormat};
use super::number::Number;
use super::order::Order;
use super::range::{Range, RangeError};

/// The rule by which a tag is chosen.
#[derive(Debug, Clone)]
pub enum TagRule {
    /// Tags that name a git commit.
    Sha {
        /// The form of such tags.
        form: ShaForm,
        /// The criterion for the newest of them.
        order: Order,
    },
    /// Versions: the highest one in a range is chosen.
    Semver {
        /// The range.
        range: Range,
        /// The part of a tag that is the version.
        filter: Filter,
    },
    /// Calendar versions: the newest is chosen.
    Calver {
        /// The format.
        format: CalverFormat,
        /// The part of a tag that is the version.
        filter: Filter,
    },
    /// Numbers.
    Numerical {
        /// True if the lowest is chosen instead of the highest.
        descending: bool,
        /// The part of a tag that is the number.
        filter: Filter,
    },
    /// The tag that the field holds, whatever its name: only its digest is followed.
    Held,
    /// Texts, compared byte by byte.
    Alphabetical {
        /// True if the first is chosen instead of the last.
        descending: bool,
        /// The part of a tag that is compared.
        filter: Filter,
    },
}

/// The form of tags that name a git commit.
#[derive(Debug, Clone)]
pub enum ShaForm {
    /// 7 to 64 hexadecimal digits, alone or after a prefix that ends in a dash.
    Usual,
    /// Tags that match a pattern with the named group `sha`.
    Pattern(Regex),
    /// Tags that match a pattern; the image names the commit (`org.opencontainers.image.revision`).
    Labelled(Regex),
}

/// The part of a tag that is compared, like Flux's `filterTags`.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pattern: Option<Regex>,
    extract: Option<String>,
    /// True if `_` stands for `+`, as in the tags of charts.
    has_plus: bool,
}

/// The reason why a rule is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum RuleError {
    /// A regular expression is not valid.
    #[error("`{text}` is not a valid regular expression: {reason}")]
    Pattern { text: String, reason: String },
    /// A SHA pattern does not have the required group.
    #[error("`{0}` needs a group named sha around the commit, such as ^main-(?P<sha>[0-9a-f]{{7,40}})$")]
    NoShaGroup(String),
    /// `extract` refers to a group that `pattern` does not have.
    #[error("`{extract}` refers to a group that the pattern `{pattern}` does not have")]
    NoGroup { extract: String, pattern: String },
    /// A version range is not valid.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A format of calendar versions is not valid.
    #[error(transparent)]
    Calver(#[from] CalverError),
    /// A tag pattern is not valid.
    #[error("`{text}` is not a valid tag pattern: {reason}")]
    Tags { text: String, reason: String },
    /// An image pattern is not valid.
    #[error("`{text}` is not a valid image pattern: {reason}")]
    Images { text: String, reason: String },
    /// A pattern of charts is not valid.
    #[error("`{text}` is not a valid pattern of charts: {reason}")]
    Charts { text: String, reason: String },
}

/// The reason why a tag does not fit, judging by its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It does not match the pattern.
    #[error("does not match the pattern `{0}`")]
    Pattern(String),
    /// It does not have the form of a commit.
    #[error("does not name a commit (7 to 64 hexadecimal digits)")]
    NoSha,
    /// It is not a version.
    #[error("is not a version (semver 2.0.0)")]
    NoVersion,
    /// It is not in the range.
    #[error("is not in the range `{0}`")]
    OutOfRange(String),
    /// It is not a calendar version.
    #[error("is not a calendar version of the form `{0}`")]
    NoCalendarVersion(String),
    /// It is not a number.
    #[error("is not a number")]
    NoNumber,
    /// It was made from the digest of another image, for what refers to that.
    #[error("is made from a digest, for signatures and other artifacts of that image")]
    OfDigest,
}

/// The value that a tag is compared by. Larger is newer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// By the policy's order, not by the name.
    ByOrder,
    /// By version.
    Version(Version),
    /// By calendar version.
    CalendarVersion(CalendarVersion),
    /// By number.
    Number(Number),
    /// By text.
    Text(String),
}

impl Filter {
    /// Makes a filter from the texts in the configuration.
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
        Ok(Filter { pattern, extract: extract.map(str::to_owned), has_plus: false })
    }

    /// Returns the filter for versions of charts.
    pub fn of_charts() -> Filter {
        Filter { has_plus: true, ..Filter::default() }
    }

    fn apply(&self, tag: &str) -> Result<String, Misfit> {
        if self.has_plus {
            return Ok(tag.replace('_', "+"));
        }
        let Some(pattern) = &self.pattern else { return Ok(tag.to_owned()) };
        let captures = pattern.captures(tag).ok_or_else(|| Misfit::Pattern(pattern.as_str().to_owned()))?;
        let Some(extract) = &self.extract else { return Ok(tag.to_owned()) };
        let mut value = String::new();
        captures.expand(extract, &mut value);
        Ok(value)
    }
}

/// Returns the names (or numbers) of the groups in an `extract` text, as the regex crate expands them.
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
    /// Makes the form that a pattern describes. The commit may be left to the image only if commits are ordered by
    /// history.
    pub fn pattern(text: &str, order: &Order) -> Result<ShaForm, RuleError> {
        let pattern = compile(text)?;
        match (pattern.capture_names().flatten().any(|name| name == "sha"), order) {
            (true, _) => Ok(ShaForm::Pattern(pattern)),
            (false, Order::Commit(_)) => Ok(ShaForm::Labelled(pattern)),
            (false, _) => Err(RuleError::NoShaGroup(text.to_owned())),
        }
    }

    /// Returns the commit that a tag names, full or abbreviated; `None` if only the image names it.
    pub fn commit<'t>(&self, tag: &'t Tag) -> Option<&'t str> {
        self.commit_place(tag).map(|place| &tag.as_str()[place])
    }

    /// Returns the bytes of a tag that name its commit.
    pub(super) fn commit_place(&self, tag: &Tag) -> Option<Span<usize>> {
        let text = tag.as_str();
        match self {
            ShaForm::Usual => Some(text.rfind('-').map_or(0, |dash| dash + 1)..text.len()),
            ShaForm::Pattern(pattern) => pattern.captures(text)?.name("sha").map(|group| group.range()),
            ShaForm::Labelled(_) => None,
        }
    }

    /// Returns whether a tag that fits could also be a date or a build number.
    pub(super) fn is_digits_alone(&self, tag: &Tag) -> bool {
        let is_number = |sha: &str| sha.len() < 40 && sha.bytes().all(|b| b.is_ascii_digit());
        matches!(self, ShaForm::Usual) && self.commit(tag).is_some_and(is_number)
    }

    fn fits(&self, tag: &str) -> Result<(), Misfit> {
        let is_hex = |t: &str| t.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        // Git writes zeros for no commit, and people do so until there is one.
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
    /// Returns the value that a tag is compared by, or the reason why it does not fit.
    pub fn rank(&self, tag: &Tag) -> Result<Rank, Misfit> {
        let rank = self.measure(tag)?;
        match (self, &rank) {
            (TagRule::Semver { range, .. }, Rank::Version(version)) if !range.matches(version) => {
                Err(Misfit::OutOfRange(range.as_str().to_owned()))
            }
            _ => Ok(rank),
        }
    }

    /// Returns the value that a tag is compared by, even if it is too old or too new to be chosen.
    pub fn measure(&self, tag: &Tag) -> Result<Rank, Misfit> {
        let text = tag.as_str();
        if is_of_digest(text) {
            return Err(Misfit::OfDigest);
        }
        match self {
            TagRule::Sha { form, .. } => form.fits(text).map(|()| Rank::ByOrder),
            TagRule::Held => Ok(Rank::Text(text.to_owned())),
            TagRule::Semver { filter, .. } => {
                let value = filter.apply(text)?;
                let version = lenient_version(&value).ok_or(Misfit::NoVersion)?;
                Ok(Rank::Version(Version { build: semver::BuildMetadata::EMPTY, ..version }))
            }
            TagRule::Calver { format, filter } => {
                let version = format.read(&filter.apply(text)?).map(Rank::CalendarVersion);
                version.ok_or_else(|| Misfit::NoCalendarVersion(format.to_string()))
            }
            TagRule::Numerical { filter, .. } => {
                Number::parse(&filter.apply(text)?).map(Rank::Number).ok_or(Misfit::NoNumber)
            }
            TagRule::Alphabetical { filter, .. } => filter.apply(text).map(Rank::Text),
        }
    }

    /// Returns the criterion for which of two tags is newer, if their names do not tell.
    pub fn order(&self) -> Option<&Order> {
        match self {
            TagRule::Sha { order, .. } => Some(order),
            _ => None,
        }
    }

    /// Returns the commit that a tag names, full or abbreviated, if tags name commits.
    pub fn commit_of<'t>(&self, tag: &'t Tag) -> Option<&'t str> {
        match self {
            TagRule::Sha { form, .. } => form.commit(tag),
            _ => None,
        }
    }

    /// Returns whether the smallest rank is chosen instead of the largest.
    pub fn is_descending(&self) -> bool {
        matches!(self, TagRule::Numerical { descending: true, .. } | TagRule::Alphabetical { descending: true, .. })
    }
}

impl fmt::Display for TagRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, name) = if self.is_descending() { ("lowest", "first") } else { ("highest", "last") };
        match self {
            TagRule::Sha { order, .. } => write!(f, "tags that name a commit, the newest by `order: {order}`"),
            TagRule::Semver { range, .. } => write!(f, "versions, the highest in {}", range.as_str()),
            TagRule::Calver { format, .. } => write!(f, "calendar versions of the form {format}, the newest"),
            TagRule::Numerical { .. } => write!(f, "numbers, the {number}"),
            TagRule::Alphabetical { .. } => write!(f, "names, the {name} in alphabetical order"),
            TagRule::Held => f.write_str("the current tag, by its current digest"),
        }
    }
}

/// Returns whether a tag is made from a digest, as clients name what belongs to an image: `sha256-….sig` (cosign 2), or
/// `sha256-…` for a list of referrers (distribution specification 1.1, section "Referrers Tag Schema").
fn is_of_digest(tag: &str) -> bool {
    let rest = tag.strip_prefix("sha256-").or_else(|| tag.strip_prefix("sha512-"));
    rest.is_some_and(|rest| {
        let digits = rest.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
        digits >= 64 && (digits == rest.len() || rest[digits..].starts_with('.'))
    })
}

/// Parses a version with optional `v`, minor and patch (`v1`, `1.2`), like Masterminds/semver.
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
    fn signatures_are_no_candidates() {
        let digest = format!("sha256-{}", "a1".repeat(32));
        for rule in [
            TagRule::Alphabetical { descending: false, filter: Filter::default() },
            TagRule::Sha { form: ShaForm::Usual, order: Order::Built },
            TagRule::Numerical {
                descending: false,
                filter: Filter::new(Some(r"(?P<n>\d+)"), Some("$n")).expect("valid"),
            },
        ] {
            for suffix in ["", ".sig", ".att", ".sbom"] {
                assert_eq!(rank(&rule, &format!("{digest}{suffix}")), Err(Misfit::OfDigest), "{suffix}");
            }
        }
        let names = TagRule::Alphabetical { descending: false, filter: Filter::default() };
        assert!(rank(&names, "sha256-a1b2c3d").is_ok(), "an abbreviated digest may name an image");
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
