//! The style of tags: what they are made of, and the rule of a policy that orders them.

use std::sync::LazyLock;

use regex::Regex;

use crate::policy::calver::CalverFormat;

/// The style of a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagStyle {
    /// The part that tells which of two tags is newer.
    pub core: Core,
    /// The text before it.
    pub prefix: String,
    /// The text after it.
    pub suffix: String,
}

/// The part of a tag that tells which of two tags is newer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Core {
    /// A git commit, whose age only the image knows.
    Commit,
    /// A git commit followed by a time, as Flux recommends.
    CommitAndTime,
    /// A time followed by a git commit.
    TimeAndCommit,
    /// A calendar version of a format.
    Calendar(&'static str),
    /// A version.
    Version,
    /// A version of four numbers, which is none for semver.
    LongVersion,
    /// A number.
    Number,
}

impl Core {
    /// Returns the name for people.
    pub fn name(&self) -> &'static str {
        match self {
            Core::Commit => "git commits",
            Core::CommitAndTime | Core::TimeAndCommit => "git commits with a time",
            Core::Calendar(_) => "calendar versions",
            Core::Version => "versions",
            Core::LongVersion => "versions of four numbers",
            Core::Number => "numbers",
        }
    }

    /// Returns the rule of a policy that orders such tags.
    pub fn rule(&self) -> &'static str {
        match self {
            Core::Commit => "sha",
            Core::CommitAndTime | Core::TimeAndCommit | Core::Number => "numerical",
            Core::Calendar(_) => "calver",
            Core::Version | Core::LongVersion => "semver",
        }
    }
}

/// The formats of calendar versions that are told from versions, the strictest first. A short year is not among them: it
/// cannot be told from a major version, and orders the same. Nor is a day without a leading zero, which cannot be told
/// from the number of a release: that may be 0 or 40.
const CALENDARS: [&str; 6] =
    ["YYYY.0M.0D", "YYYY-0M-0D", "YYYY0M0D", "YYYY.0M.0D.MICRO", "YYYY.0M.MICRO", "YYYY.MM.MICRO"];

/// The formats of calendar versions with a short year, for what would be a version if its numbers had no leading zeros.
const SHORT_CALENDARS: [&str; 3] = ["YY.0M", "YY.0M.0D", "YY.0M.MICRO"];

/// Any number in a general suffix. No tag contains this character.
pub const ANY_NUMBER: char = '#';
/// Any commit in a general suffix. No tag contains this character.
pub const ANY_COMMIT: char = '%';

/// The patterns of the other styles, the strictest first.
const PATTERNS: [(&str, Core); 5] = [
    (r"^(?P<prefix>(?:[a-z][a-z0-9_.]*-)*)[0-9a-f]{7,40}-(?P<core>[0-9]{8,14})$", Core::CommitAndTime),
    (r"^(?P<prefix>(?:[a-z][a-z0-9_.]*-)*)(?P<core>[0-9]{8,14})-[0-9a-f]{7,40}$", Core::TimeAndCommit),
    (r"^(?P<prefix>(?:[A-Za-z][A-Za-z0-9_.]*-)*)(?P<core>[0-9a-f]{7,40})$", Core::Commit),
    (
        r"^(?P<prefix>(?:[A-Za-z][A-Za-z0-9_]*[-_])*v?)(?P<core>[0-9]+(?:\.[0-9]+){1,3})(?P<suffix>(?:[-.+_][A-Za-z0-9_.+-]*)?)$",
        Core::Version,
    ),
    (r"^(?P<prefix>(?:[A-Za-z][A-Za-z0-9_]*[-_.])*[vbr]?)(?P<core>[0-9]{1,9})$", Core::Number),
];

static COMPILED: LazyLock<Vec<(Regex, Core)>> = LazyLock::new(|| {
    let compile = |(text, core): (&str, Core)| Some((Regex::new(text).ok()?, core));
    PATTERNS.into_iter().filter_map(compile).collect()
});

type Formats = LazyLock<Vec<(&'static str, CalverFormat)>>;

static FORMATS: Formats = LazyLock::new(|| CALENDARS.into_iter().filter_map(parsed).collect());

static SHORT_FORMATS: Formats = LazyLock::new(|| SHORT_CALENDARS.into_iter().filter_map(parsed).collect());

fn parsed(text: &'static str) -> Option<(&'static str, CalverFormat)> {
    Some((text, CalverFormat::parse(text).ok()?))
}

impl TagStyle {
    /// Returns the style of a text; `None` if it does not look like a version.
    pub fn of(text: &str) -> Option<TagStyle> {
        if text.is_empty() || text.len() > 128 || !text.bytes().any(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if let Some((format, _)) = FORMATS.iter().find(|(_, format)| format.read(text).is_some()) {
            return Some(TagStyle { core: Core::Calendar(format), prefix: String::new(), suffix: String::new() });
        }
        COMPILED.iter().find_map(|(pattern, core)| {
            let found = pattern.captures(text)?;
            let group = |name| found.name(name).map(|group| group.as_str()).unwrap_or_default();
            let is_commit = |text: &str| text.len() == 40 || text.bytes().any(|byte| byte.is_ascii_alphabetic());
            // What comes before a commit may be a version, which then tells more.
            if *core == Core::Commit && (!is_commit(group("core")) || contains_version(group("prefix"))) {
                return None;
            }
            // A prerelease is part of a version; a suffix of letters, such as `-alpine`, names a variant.
            let suffix = if is_prerelease(group("suffix")) { "" } else { group("suffix") };
            let core = if *core == Core::Version { kind_of_version(group("core")) } else { core.clone() };
            Some(TagStyle { core, prefix: group("prefix").to_owned(), suffix: suffix.to_owned() })
        })
    }

    /// Returns the style of a text without what varies from one tag to the next: the leading `v` of a version, and
    /// numbers and commits in the suffix.
    pub fn general(text: &str) -> Option<TagStyle> {
        let TagStyle { core, mut prefix, suffix } = TagStyle::of(text)?;
        if prefix == "v" && matches!(core, Core::Version | Core::LongVersion) {
            prefix.clear();
        }
        Some(TagStyle { core, prefix, suffix: general(&suffix) })
    }

    /// Returns whether this is a plain small number, which could count anything.
    pub fn is_plain_number(&self) -> bool {
        self.core == Core::Number && self.prefix.is_empty()
    }
}

/// Returns whether a text contains two numbers with a dot between them.
fn contains_version(text: &str) -> bool {
    text.as_bytes().windows(3).any(|at| at[0].is_ascii_digit() && at[1] == b'.' && at[2].is_ascii_digit())
}

/// Returns what a version is, apart from its prefix and suffix.
fn kind_of_version(text: &str) -> Core {
    let has_leading_zero = text.split('.').any(|number| number.len() > 1 && number.starts_with('0'));
    let calendar = || SHORT_FORMATS.iter().find(|(_, format)| format.read(text).is_some());
    match has_leading_zero.then(calendar).flatten() {
        Some((format, _)) => Core::Calendar(format),
        None if text.matches('.').count() == 3 => Core::LongVersion,
        None => Core::Version,
    }
}

/// Replaces the numbers and the commits in a suffix.
fn general(suffix: &str) -> String {
    let mut text = String::new();
    for part in suffix.split_inclusive(['-', '.', '_', '+']) {
        let word = part.trim_end_matches(['-', '.', '_', '+']);
        let is_hex = word.len() >= 7 && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_hex && word.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            text.push(ANY_COMMIT);
        } else {
            for c in word.chars().map(|c| if c.is_ascii_digit() { ANY_NUMBER } else { c }) {
                if c != ANY_NUMBER || !text.ends_with(ANY_NUMBER) {
                    text.push(c);
                }
            }
        }
        text.push_str(&part[word.len()..]);
    }
    text
}

fn is_prerelease(suffix: &str) -> bool {
    let words = ["-rc", "-alpha", "-beta", "-pre", "-dev", "-snapshot", "-SNAPSHOT", "-next", "-canary"];
    words.iter().any(|word| suffix.starts_with(word)) || suffix.starts_with("-0.") || suffix.starts_with('+')
}

/// Returns the name and the tag of a reference with a tag; the digest does not count.
pub fn split_reference(text: &str) -> Option<(&str, &str)> {
    let text = text.split_once('@').map_or(text, |(text, _)| text);
    let (name, tag) = text.rsplit_once(':')?;
    let is_name = !name.is_empty() && !name.ends_with('/') && !name.contains(char::is_whitespace) && !tag.contains('/');
    (is_name && !tag.is_empty()).then_some((name, tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_told_apart() {
        let style = |text: &str| {
            TagStyle::of(text)
                .map(|style| format!("{:?} {} {}", style.core, style.prefix, style.suffix).trim().to_owned())
        };
        for (text, expected) in [
            ("1a2b3c4", "Commit"),
            ("main-1a2b3c4", "Commit main-"),
            ("main-1a2b3c4-1712345678", "CommitAndTime main-"),
            ("20260401120000-1a2b3c4", "TimeAndCommit"),
            ("2026.04.01", "Calendar(\"YYYY.0M.0D\")"),
            ("2026.4.3", "Calendar(\"YYYY.MM.MICRO\")"),
            ("2026.4.0", "Calendar(\"YYYY.MM.MICRO\")"),
            ("20260401", "Calendar(\"YYYY0M0D\")"),
            ("1.2.3", "Version"),
            ("v1.2", "Version v"),
            ("1.2.3-rc1", "Version"),
            ("1.27-alpine", "Version  -alpine"),
            ("4.0.0.281", "LongVersion"),
            ("v3.0.4.1011-ls7", "LongVersion v -ls7"),
            ("22.04", "Calendar(\"YY.0M\")"),
            ("v1.26.0-8cf78dab3", "Version v -8cf78dab3"),
            ("v737", "Number v"),
            ("release-12", "Number release-"),
            ("39", "Number"),
        ] {
            assert_eq!(style(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["latest", "", "a b 1", "https://x/1.2", "${TAG1}", "10.0.0.1:80", "3Gi", "500m"] {
            assert_eq!(style(text), None, "{text}");
        }
    }

    #[test]
    fn references_are_split() {
        assert_eq!(split_reference("r.io:5000/a/b:v1@sha256:0"), Some(("r.io:5000/a/b", "v1")));
        assert_eq!(split_reference("r.io:5000/a/b"), None);
        assert_eq!(split_reference("v1"), None);
        assert_eq!(split_reference("a b:v1"), None);
    }
}
