//! Names of stages and releases.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The name of a stage or of a group of images. It is part of trailers, commit statuses and names of branches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// The error of a text that is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a valid name: use up to 63 letters, digits, `-`, `_` and `.`, and begin with a letter or digit")]
pub struct NameError(String);

impl Name {
    /// Returns the name as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_valid = text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(is_allowed)
            // Names of branches have neither (git check-ref-format).
            && !text.contains("..")
            && !text.ends_with('.')
            && !text.ends_with(".lock");
        if is_valid { Ok(Name(text.into())) } else { Err(NameError(text.to_owned())) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_single_words() {
        for name in ["live", "eu-west-1", "v1.2", "a_b", "7"] {
            assert_eq!(name.parse::<Name>().expect(name).to_string(), name);
        }
        for text in ["", "-a", "a b", "a/b", "a..b", "a.", "a.lock", "ä", &"x".repeat(64)] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }
}
