//! Exact texts and patterns, for identities and values.

use std::fmt;
use std::hash::{Hash, Hasher};

use regex::{Regex, RegexBuilder};

/// The length of the longest pattern, in bytes.
const LONGEST: usize = 1_000;
/// The memory that a compiled pattern may take, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// A text to match exactly, or a pattern, which is written between slashes and has to match the whole text.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// As written, including the slashes.
    text: String,
    pattern: Option<Regex>,
}

/// The reason why a text is not valid as a matcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum MatcherError {
    /// It would match everything, or nothing.
    #[error("it is empty")]
    Empty,
    /// It is too long.
    #[error("it is longer than 1000 bytes")]
    TooLong,
    /// The pattern does not compile.
    #[error("the pattern `{text}` is not valid: {reason}")]
    Pattern { text: String, reason: String },
}

impl Matcher {
    /// Parses a text, or a pattern between slashes.
    ///
    /// # Errors
    /// It is empty or too long, or the pattern is not valid.
    pub fn parse(text: &str) -> Result<Matcher, MatcherError> {
        if text.len() > LONGEST {
            return Err(MatcherError::TooLong);
        }
        let inner = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        if text.is_empty() || inner.is_some_and(str::is_empty) {
            return Err(MatcherError::Empty);
        }
        let compile = |inner: &str| {
            // A pattern that is closed by a bracket of its own would escape the anchors around it.
            let alone = Regex::new(inner);
            let whole =
                alone.and_then(|_| RegexBuilder::new(&format!(r"\A(?:{inner})\z")).size_limit(MAX_SIZE).build());
            whole.map_err(|error| MatcherError::Pattern {
                text: inner.to_owned(),
                reason: error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
            })
        };
        Ok(Matcher { text: text.to_owned(), pattern: inner.map(compile).transpose()? })
    }

    /// Returns whether a text is the expected one.
    pub fn matches(&self, text: &str) -> bool {
        match &self.pattern {
            Some(pattern) => pattern.is_match(text),
            None => self.text == text,
        }
    }

    /// Returns the text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether it is a pattern.
    pub fn is_pattern(&self) -> bool {
        self.pattern.is_some()
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        self.text == other.text
    }
}

impl Eq for Matcher {}

impl Hash for Matcher {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_match_exactly_and_patterns_as_a_whole() {
        let matches = |matcher: &str, text: &str| Matcher::parse(matcher).expect(matcher).matches(text);
        assert!(
            matches("https://a.example/x", "https://a.example/x")
                && !matches("https://a.example/x", "https://a-example/x")
        );
        assert!(!matches("a", "ab") && !matches("a", "A"));
        assert!(matches(
            r"/https://github\.com/acme/.+@refs/tags/v.*/",
            "https://github.com/acme/shop/x.yml@refs/tags/v1"
        ));
        assert!(!matches("/a/", "ab") && !matches("/a/", "ba") && !matches("/a|b/", "ac") && !matches("/a/", "a\n"));
        assert!(matches("/", "/"), "a slash alone is a text");
    }

    #[test]
    fn patterns_cannot_leave_their_anchors() {
        for text in ["", "//", "/(/", "/a)|(b/", "/\\/", &format!("/{}/", "a".repeat(1000)), "/(a{1000}){1000}/"] {
            assert!(Matcher::parse(text).is_err(), "{text}");
        }
        let commented = Matcher::parse("/(?x)a # b/");
        assert!(commented.is_err() || !commented.is_ok_and(|matcher| matcher.matches("ab")));
    }
}
