//! Patterns that allow or exclude tags, whatever the rule says.

use globset::{GlobBuilder, GlobMatcher};

use crate::image::Tag;

use super::tags::RuleError;

/// The length of the longest pattern of tags or images. Nested alternatives are compiled by recursion.
pub(super) const MAX_PATTERN: usize = 1_000;

/// A pattern of tags: `*` matches anything, `?` one character, `[ab]` one of the listed characters.
#[derive(Debug, Clone)]
pub struct TagPattern {
    matcher: GlobMatcher,
}

/// Patterns that allow tags and patterns that exclude tags.
#[derive(Debug, Clone, Default)]
pub struct TagPatterns {
    /// A tag must match one of these; if empty, any tag is allowed.
    pub allow: Vec<TagPattern>,
    /// A tag must not match any of these.
    pub ignore: Vec<TagPattern>,
}

impl TagPattern {
    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<TagPattern, RuleError> {
        let fail = |reason: &str| RuleError::Tags { text: text.to_owned(), reason: reason.to_owned() };
        if text.len() > MAX_PATTERN {
            return Err(fail("patterns may have up to 1000 bytes"));
        }
        if text.is_empty() || text.contains(['/', ':', '@']) || text.contains(char::is_whitespace) {
            return Err(fail("write only tags, such as *-rc* or 1.2.3"));
        }
        let glob = GlobBuilder::new(text).build().map_err(|error| fail(&error.kind().to_string()))?;
        Ok(TagPattern { matcher: glob.compile_matcher() })
    }
}

impl TagPatterns {
    /// Returns whether a tag may be chosen.
    pub fn allows(&self, tag: &Tag) -> bool {
        let matches = |patterns: &[TagPattern]| patterns.iter().any(|pattern| pattern.matcher.is_match(tag.as_str()));
        (self.allow.is_empty() || matches(&self.allow)) && !matches(&self.ignore)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_allow_and_rule_out() {
        let parse = |texts: &[&str]| texts.iter().map(|text| TagPattern::parse(text).expect(text)).collect();
        let names = TagPatterns { allow: parse(&["main-*", "1.?"]), ignore: parse(&["*-bad", "main-1a2b3c4"]) };
        let admits = |tag: &str| names.allows(&tag.parse().expect("a tag"));
        assert!(admits("main-abcdef0") && admits("1.2") && !admits("1.23") && !admits("dev-abcdef0"));
        assert!(!admits("main-x-bad") && !admits("main-1a2b3c4"));
        assert!(TagPatterns::default().allows(&"anything".parse().expect("a tag")));
        for text in ["", "a b", "app:1", "[a"] {
            assert!(TagPattern::parse(text).is_err(), "{text}");
        }
    }
}
