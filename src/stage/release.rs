//! Releases: images that move together, identified by their digests.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use sha2::{Digest as _, Sha256};

use crate::image::{Digest, Repository, Tag, Version};

/// Images that move together. Their digests identify them; tags are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    images: BTreeMap<Repository, Build>,
}

/// The version of an image in a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its tag.
    pub tag: Option<Tag>,
    /// The digest that it had when it was deployed.
    pub digest: Digest,
}

/// The ID of a release: SHA-256 over its sorted `IMAGE@DIGEST` lines.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReleaseId(String);

impl Release {
    /// Makes a release of images with their builds; `None` if there are none.
    pub fn of(images: BTreeMap<Repository, Build>) -> Option<Release> {
        (!images.is_empty()).then_some(Release { images })
    }

    /// Returns its images with their builds.
    pub fn images(&self) -> &BTreeMap<Repository, Build> {
        &self.images
    }

    /// Returns the version of one of its images.
    pub fn version_of(&self, image: &Repository) -> Option<Version> {
        let build = self.images.get(image)?;
        Some(Version { tag: build.tag.clone(), digest: Some(build.digest.clone()) })
    }

    /// Returns whether the images that it shares with another release are the same. Stages need not have all images.
    pub fn is_same_where_shared(&self, other: &Release) -> bool {
        let mut shared =
            other.images.iter().filter_map(|(image, build)| Some((self.images.get(image)?, build))).peekable();
        shared.peek().is_some() && shared.all(|(own, other)| own.digest == other.digest)
    }

    /// Returns whether it has the same ID as another release, without computing it.
    pub fn is(&self, other: &Release) -> bool {
        let mut pairs = self.images.iter().zip(&other.images);
        self.images.len() == other.images.len()
            && pairs.all(|((image, build), (other, by))| image == other && build.digest == by.digest)
    }

    /// Returns its ID.
    pub fn id(&self) -> ReleaseId {
        let mut hash = Sha256::new();
        for (image, build) in &self.images {
            hash.update(format!("{image}@{}\n", build.digest));
        }
        let mut id = String::with_capacity(64);
        for byte in hash.finalize() {
            let _ = write!(id, "{byte:02x}");
        }
        ReleaseId(id)
    }

    /// Returns the tag that all of its images share.
    pub fn tag(&self) -> Option<&Tag> {
        let mut tags = self.images.values().map(|build| build.tag.as_ref());
        let first = tags.next()??;
        tags.all(|tag| tag == Some(first)).then_some(first)
    }

    /// Returns its name for people: the tag that its images share, or the start of its ID.
    pub fn short(&self) -> String {
        self.tag().map_or_else(|| self.id().short().to_owned(), |tag| tag.short().to_owned())
    }
}

impl ReleaseId {
    /// Reads an ID; `None` unless it is one.
    pub fn parse(text: &str) -> Option<ReleaseId> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        (text.len() == 64 && text.bytes().all(is_hex)).then(|| ReleaseId(text.to_owned()))
    }

    /// Returns the ID as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns its first twelve digits.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(images: &[(&str, &str, char)]) -> Release {
        let build = |(image, tag, digit): &(&str, &str, char)| {
            let digest = format!("sha256:{}", digit.to_string().repeat(64)).parse().expect("a digest");
            (image.parse().expect("an image"), Build { tag: tag.parse().ok(), digest })
        };
        Release::of(images.iter().map(build).collect()).expect("images")
    }

    #[test]
    fn the_id_is_the_hash_of_sorted_lines() {
        let both = release(&[("ghcr.io/acme/b", "1a2b3c4", '2'), ("ghcr.io/acme/a", "1a2b3c4", '1')]);
        // printf 'ghcr.io/acme/a@sha256:11…\nghcr.io/acme/b@sha256:22…\n' | sha256sum
        let lines = format!("ghcr.io/acme/a@sha256:{}\nghcr.io/acme/b@sha256:{}\n", "1".repeat(64), "2".repeat(64));
        let expected: String = Sha256::digest(lines).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(both.id().as_str(), expected);
        assert_eq!(ReleaseId::parse(&expected), Some(both.id()));
        assert_eq!(both.short(), "1a2b3c4");
        let retagged = release(&[("ghcr.io/acme/a", "v1", '1'), ("ghcr.io/acme/b", "v2", '2')]);
        assert_eq!((retagged.id(), retagged.tag()), (both.id(), None), "only the bytes count");
        assert_eq!(retagged.short(), retagged.id().short());
        assert!(ReleaseId::parse("1a2b3c4").is_none());
    }
}
