//! The digests by which an image is known: that of its index, those of the index's platforms, and that of its image config.
//! Runtimes name a running image by any of the first two.

use crate::image::{Digest, Repository, Version};

use super::client::Client;
use super::error::RegistryError;

/// The digests by which an image is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The digest of its index or manifest.
    pub digest: Digest,
    /// The digests of the manifests that the index lists.
    platforms: Vec<Digest>,
    /// The digest of the image config, if it is not an index.
    config: Option<Digest>,
}

impl Identity {
    /// Returns whether a digest is that of the image, or of its manifest for one platform.
    pub fn has(&self, digest: &Digest) -> bool {
        self.digest == *digest || self.platforms.contains(digest)
    }

    /// Returns whether both have the same image for some platform, although one of them was packed again.
    pub fn shares_an_image_with(&self, other: &Identity) -> bool {
        let is_shared = |digest: &Digest| other.has(digest);
        self.platforms.iter().any(is_shared)
            || other.platforms.contains(&self.digest)
            || self.config.is_some() && self.config == other.config
    }
}

impl Client {
    /// The digests by which an image is known. Always sends a request.
    pub async fn identity(&self, repository: &Repository, version: &Version) -> Result<Identity, RegistryError> {
        let work = async {
            let read = self.manifest(repository, version).await?;
            let platforms = read.manifest.platforms().filter_map(|part| part.digest().parse().ok()).collect();
            let config = read.manifest.config.as_ref().and_then(|config| config.digest().parse().ok());
            Ok(Identity { digest: read.digest, platforms, config })
        };
        self.within_time(repository, "the manifest of an image", work).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(character: &str) -> Digest {
        Digest::sha256(&character.repeat(64))
    }

    fn index(own: &str, platforms: &[&str]) -> Identity {
        Identity { digest: digest(own), platforms: platforms.iter().map(|one| digest(one)).collect(), config: None }
    }

    #[test]
    fn an_image_is_known_by_its_index_its_platforms_and_what_they_share() {
        let one = index("a", &["1", "2"]);
        assert!(one.has(&digest("a")) && one.has(&digest("2")) && !one.has(&digest("3")));
        let again = index("b", &["2", "3"]);
        assert!(one.shares_an_image_with(&again) && !one.shares_an_image_with(&index("c", &["4"])));
        let manifest = |own: &str, config: &str| Identity { config: Some(digest(config)), ..index(own, &[]) };
        assert!(manifest("2", "e").shares_an_image_with(&one) && one.shares_an_image_with(&manifest("2", "e")));
        assert!(manifest("5", "e").shares_an_image_with(&manifest("6", "e")));
        assert!(!manifest("5", "e").shares_an_image_with(&manifest("6", "f")));
    }
}
