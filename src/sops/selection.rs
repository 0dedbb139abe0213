//! Selects the values of a file that are encrypted: by a suffix or pattern of their keys, or by comments above them.

use regex::Regex;

use super::go_regex::{self, RegexError};

/// The default suffix of keys that stay in plaintext.
pub const DEFAULT_UNENCRYPTED_SUFFIX: &str = "_unencrypted";

/// The rule of a file. SOPS allows only one at a time.
#[derive(Debug, Clone)]
pub enum Selection {
    /// Everything except keys with this suffix, and the values below them.
    UnencryptedSuffix(String),
    /// Only keys with this suffix, and the values below them.
    EncryptedSuffix(String),
    /// Everything except keys that match, and the values below them.
    UnencryptedRegex(Pattern),
    /// Only keys that match, and the values below them.
    EncryptedRegex(Pattern),
    /// Everything except values below a comment that matches.
    UnencryptedCommentRegex(Pattern),
    /// Only values below a comment that matches.
    EncryptedCommentRegex(Pattern),
}

/// A pattern in Go's syntax.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles a pattern.
    pub fn new(text: &str) -> Result<Pattern, RegexError> {
        Ok(Pattern { text: text.to_owned(), regex: go_regex::compile(text)? })
    }

    fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl Default for Selection {
    fn default() -> Selection {
        Selection::UnencryptedSuffix(DEFAULT_UNENCRYPTED_SUFFIX.to_owned())
    }
}

impl Selection {
    /// The keys of such rules in metadata and in `.sops.yaml`.
    pub const KEYS: [&str; 6] = [
        "unencrypted_suffix",
        "encrypted_suffix",
        "unencrypted_regex",
        "encrypted_regex",
        "unencrypted_comment_regex",
        "encrypted_comment_regex",
    ];

    /// Makes the rule of a key with its text; `None` for any other key.
    pub fn of(key: &str, text: &str) -> Option<Result<Selection, RegexError>> {
        let pattern = Pattern::new;
        Some(match key {
            "unencrypted_suffix" => Ok(Selection::UnencryptedSuffix(text.to_owned())),
            "encrypted_suffix" => Ok(Selection::EncryptedSuffix(text.to_owned())),
            "unencrypted_regex" => pattern(text).map(Selection::UnencryptedRegex),
            "encrypted_regex" => pattern(text).map(Selection::EncryptedRegex),
            "unencrypted_comment_regex" => pattern(text).map(Selection::UnencryptedCommentRegex),
            "encrypted_comment_regex" => pattern(text).map(Selection::EncryptedCommentRegex),
            _ => return None,
        })
    }

    /// Returns whether this is the default.
    pub fn is_default(&self) -> bool {
        matches!(self, Selection::UnencryptedSuffix(suffix) if suffix == DEFAULT_UNENCRYPTED_SUFFIX)
    }

    /// Returns the rule for Secrets in Flux: only their values are encrypted, so that Flux can recognise them.
    pub fn of_secrets() -> Selection {
        let text = "^(data|stringData)$";
        Selection::of(Self::KEYS[3], text).and_then(Result::ok).unwrap_or_default()
    }

    /// Returns the key and the text of the rule.
    pub fn written(&self) -> (&'static str, &str) {
        match self {
            Selection::UnencryptedSuffix(text) => (Self::KEYS[0], text),
            Selection::EncryptedSuffix(text) => (Self::KEYS[1], text),
            Selection::UnencryptedRegex(pattern) => (Self::KEYS[2], &pattern.text),
            Selection::EncryptedRegex(pattern) => (Self::KEYS[3], &pattern.text),
            Selection::UnencryptedCommentRegex(pattern) => (Self::KEYS[4], &pattern.text),
            Selection::EncryptedCommentRegex(pattern) => (Self::KEYS[5], &pattern.text),
        }
    }

    /// Returns whether the value at a path is encrypted. `comments` contains the comments right above, by level; a
    /// comment itself is the last one.
    pub fn selects(&self, path: &[String], comments: &[Vec<String>], is_comment: bool) -> bool {
        match self {
            Selection::UnencryptedSuffix(suffix) => !path.iter().any(|key| key.ends_with(suffix)),
            Selection::EncryptedSuffix(suffix) => path.iter().any(|key| key.ends_with(suffix)),
            Selection::UnencryptedRegex(pattern) => !path.iter().any(|key| pattern.matches(key)),
            Selection::EncryptedRegex(pattern) => path.iter().any(|key| pattern.matches(key)),
            Selection::UnencryptedCommentRegex(pattern) => {
                !comments.iter().flatten().any(|comment| pattern.matches(comment))
            }
            Selection::EncryptedCommentRegex(pattern) => {
                // The comment with the pattern stays readable itself.
                let own = usize::from(is_comment);
                let (last, outer) =
                    comments.split_last().map_or((&[][..], &[][..]), |(last, outer)| (&last[..], outer));
                let last = &last[..last.len().saturating_sub(own)];
                outer.iter().flatten().chain(last).any(|comment| pattern.matches(comment))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(key: &str, text: &str, path: &str, comments: &[&[&str]], is_comment: bool) -> bool {
        let selection = Selection::of(key, text).expect("a rule").expect("a pattern");
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        let comments: Vec<Vec<String>> =
            comments.iter().map(|level| level.iter().map(|&c| c.to_owned()).collect()).collect();
        selection.selects(&path, &comments, is_comment)
    }

    #[test]
    fn any_key_of_the_path_counts() {
        assert!(!selects("unencrypted_suffix", "_clear", "a_clear.b", &[], false));
        assert!(selects("unencrypted_suffix", "_clear", "a.b", &[], false));
        assert!(selects("encrypted_suffix", "_enc", "a.b_enc.c", &[], false));
        assert!(!selects("encrypted_regex", "^(data|stringData)$", "metadata.name", &[], false));
        assert!(selects("encrypted_regex", "^(data|stringData)$", "data.name", &[], false));
        assert!(!selects("unencrypted_regex", "^kind$", "kind", &[], false));
    }

    #[test]
    fn comments_above_count_on_every_level() {
        assert!(selects("encrypted_comment_regex", "sops:enc", "a.b", &[&[" sops:enc"], &[]], false));
        assert!(!selects("encrypted_comment_regex", "sops:enc", "a", &[&[" sops:enc"]], true));
        assert!(selects("encrypted_comment_regex", "sops:enc", "a", &[&[" sops:enc", " why"]], true));
        assert!(!selects("encrypted_comment_regex", "sops:enc", "a.b", &[&[], &[]], false));
        assert!(!selects("unencrypted_comment_regex", "clear", "a", &[&[" clear"]], true));
        assert!(selects("unencrypted_comment_regex", "clear", "a", &[&[]], false));
    }
}
