//! Records of updates that a person forced past a gate.

use std::fmt;

use crate::image::{Reference, Repository, Version};

use super::version_text::{version, whole};

/// `Tagalong-Forced:` something that a person forced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Forced {
    /// A field went back, or to an image whose age is not known.
    Downgrade {
        /// The image.
        image: Repository,
        /// The version before.
        from: Version,
        /// The version after.
        to: Version,
    },
    /// A version was set although it is held.
    Hold {
        /// The image.
        image: Repository,
        /// The version.
        version: Version,
    },
}

impl Forced {
    /// Returns the image.
    pub fn image(&self) -> &Repository {
        match self {
            Forced::Downgrade { image, .. } | Forced::Hold { image, .. } => image,
        }
    }

    /// Reads the value of a trailer.
    pub fn read(value: &str) -> Option<Forced> {
        let words: Vec<&str> = value.split_whitespace().collect();
        match words.as_slice() {
            ["downgrade", image, from, "->", to] => {
                Some(Forced::Downgrade { image: image.parse().ok()?, from: version(from)?, to: version(to)? })
            }
            ["force", target] => {
                let Reference { repository, version } = target.parse().ok()?;
                Some(Forced::Hold { image: repository, version })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Forced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Forced::Downgrade { image, from, to } => write!(f, "downgrade {image} {} -> {}", whole(from), whole(to)),
            Forced::Hold { image, version } => {
                let colon = if version.tag.is_some() { ":" } else { "" };
                write!(f, "force {image}{colon}{version}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_are_written() {
        for text in [
            "downgrade ghcr.io/acme/app v2 -> v1",
            "downgrade ghcr.io/acme/app (none) -> v1",
            "force ghcr.io/acme/app:v2",
        ] {
            assert_eq!(Forced::read(text).expect("a record").to_string(), text);
        }
        for text in ["downgrade", "force", "force a b", "downgrade ghcr.io/acme/app v2 v1", "other ghcr.io/acme/app:v2"]
        {
            assert_eq!(Forced::read(text), None, "{text}");
        }
    }
}
