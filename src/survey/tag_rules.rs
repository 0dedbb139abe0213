//! The rule of a policy that orders tags of a style.

use std::collections::BTreeSet;

use crate::image::Tag;
use crate::policy::calver::CalverFormat;
use crate::policy::order::Order;
use crate::policy::range::Range;
use crate::policy::tags::{Filter, ShaForm, TagRule};

use super::proposed_policy::ProposedTags;
use super::tag_style::{ANY_COMMIT, ANY_NUMBER, Core, TagStyle};

/// Returns the rule for tags of a style. `major` is the major version that none of the tags ever left.
pub fn propose(style: &TagStyle, major: Option<&str>, tags: &[&str]) -> ProposedTags {
    let TagStyle { core, prefix, suffix } = style;
    let (before, after) = (escape(prefix), suffix_pattern(suffix, tags));
    let around = |inner: &str| format!("^{before}{inner}{after}$");
    let is_bare = prefix.is_empty() && suffix.is_empty();
    let one = |pattern: String| (Some(pattern), Some("$1".to_owned()));
    let part = |inner: &str| if is_bare { (None, None) } else { one(around(inner)) };
    let has_prereleases = || tags.iter().any(|tag| is_prerelease(tag));
    let (value, (pattern, extract)) = match core {
        Core::Commit => return ProposedTags::Sha,
        Core::CommitAndTime => (None, one(around("[0-9a-f]+-([0-9]+)"))),
        Core::TimeAndCommit => (None, one(around("([0-9]+)-[0-9a-f]+"))),
        Core::Calendar(format) => (Some(("format", (*format).to_owned())), part("(.*)")),
        Core::Number => (None, part("([0-9]+)")),
        Core::Version => (Some(("range", range(major, has_prereleases()))), part("(.*)")),
        Core::LongVersion => {
            let v = if prefix.is_empty() { "v?" } else { "" };
            let pattern = around(&format!(r"{v}([0-9]+\.[0-9]+\.[0-9]+)\.([0-9]+)"));
            (Some(("range", range(major, true))), (Some(pattern), Some("$1-$2".to_owned())))
        }
    };
    ProposedTags::Compared { rule: core.rule(), value, pattern, extract }
}

/// Returns whether a rule can order a tag.
pub fn fits(tags: &ProposedTags, tag: &str) -> bool {
    let measured = |rule: TagRule| tag.parse::<Tag>().is_ok_and(|tag| rule.measure(&tag).is_ok());
    compiled(tags).is_some_and(measured)
}

fn compiled(tags: &ProposedTags) -> Option<TagRule> {
    let ProposedTags::Compared { rule, value, pattern, extract } = tags else {
        return (*tags == ProposedTags::Sha).then_some(TagRule::Sha { form: ShaForm::Usual, order: Order::Built });
    };
    let filter = Filter::new(pattern.as_deref(), extract.as_deref()).ok()?;
    let value = value.as_ref().map(|(_, value)| value.as_str()).unwrap_or_default();
    match *rule {
        "semver" => Some(TagRule::Semver { range: Range::parse(value).ok()?, filter }),
        "calver" => Some(TagRule::Calver { format: CalverFormat::parse(value).ok()?, filter }),
        "numerical" => Some(TagRule::Numerical { descending: false, filter }),
        _ => None,
    }
}

/// Escapes what is special in a regular expression, and nothing else, so that people can read it.
fn escape(text: &str) -> String {
    let special = |c: char| r".+*?()[]{}|^$\".contains(c);
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// Returns the pattern of a suffix. What is the same in all tags stays as it is.
fn suffix_pattern(suffix: &str, tags: &[&str]) -> String {
    let styles = tags.iter().filter(|tag| TagStyle::general(tag).is_some_and(|style| style.suffix == suffix));
    let suffixes: BTreeSet<String> = styles.filter_map(|tag| Some(TagStyle::of(tag)?.suffix)).collect();
    match suffixes.into_iter().collect::<Vec<String>>().as_slice() {
        [only] => escape(only),
        _ => escape(suffix).replace(ANY_NUMBER, "[0-9]+").replace(ANY_COMMIT, "[0-9a-f]+"),
    }
}

fn is_prerelease(tag: &str) -> bool {
    let Some(style) = TagStyle::of(tag) else { return false };
    let version = tag.strip_suffix(&style.suffix).unwrap_or(tag);
    style.core == Core::Version && version.contains('-') && !version.starts_with(char::is_alphabetic)
}

fn range(major: Option<&str>, has_prereleases: bool) -> String {
    let next = major.and_then(|major| Some(major.parse::<u64>().ok()? + 1));
    match (major, next, has_prereleases) {
        (Some(major), _, false) => format!("{major}.x"),
        (Some(major), Some(next), true) => format!(">={major}.0.0-0 <{next}.0.0-0"),
        (_, _, true) => ">=0.0.0-0".to_owned(),
        (None, _, false) => "*".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_orders_the_tags_that_it_was_made_from() {
        for (tags, wanted) in [
            (&["1a2b3c4", "5d6e7f8"][..], "sha"),
            (&["v1.2.0", "v1.3.0"], "semver 1.x"),
            (&["1.2.0-rc1", "1.2.0"], "semver >=1.0.0-0 <2.0.0-0"),
            (&["1.27-alpine", "1.28-alpine"], "semver 1.x ^(.*)-alpine$"),
            (&["1.27-alpine3.18", "1.28-alpine3.18"], r"semver 1.x ^(.*)-alpine3\.18$"),
            (&["1.21.0-ls44", "1.21.1-ls46"], "semver 1.x ^(.*)-ls[0-9]+$"),
            (&["1.26.5-8cf78dab3", "1.26.6-1a2b3c4d5"], "semver 1.x ^(.*)-[0-9a-f]+$"),
            (&["v1.0.4.1011", "v1.0.4.1023"], r"semver >=1.0.0-0 <2.0.0-0 ^v?([0-9]+\.[0-9]+\.[0-9]+)\.([0-9]+)$"),
            (&["22.04", "24.04"], "calver YY.0M"),
            (&["v737", "v738"], "numerical  ^v([0-9]+)$"),
            (&["main-1a2b3c4-1712345678"], "numerical  ^main-[0-9a-f]+-([0-9]+)$"),
            (&["2026.04.01", "2026.04.02"], "calver YYYY.0M.0D"),
        ] {
            let style = TagStyle::general(tags[0]).expect("a style");
            let rule = propose(&style, Some("1"), tags);
            let shown = match &rule {
                ProposedTags::Compared { rule, value, pattern, .. } => {
                    let value = value.as_ref().map(|(_, value)| value.as_str()).unwrap_or_default();
                    format!("{rule} {value} {}", pattern.as_deref().unwrap_or_default()).trim().to_owned()
                }
                ProposedTags::Sha => "sha".to_owned(),
                ProposedTags::None => "none".to_owned(),
            };
            assert_eq!(shown, wanted);
            assert!(tags.iter().all(|tag| fits(&rule, tag)), "{wanted}: {tags:?}");
        }
        let rule = ProposedTags::Compared {
            rule: "semver",
            value: Some(("range", "*".to_owned())),
            pattern: None,
            extract: None,
        };
        assert!(!fits(&rule, "4.0.0.281") && !fits(&rule, "22.04"));
    }
}
