//! The digests of deployed versions, according to the registries. They are remembered from one look at the pods to the next,
//! so a look at pods that run what they should costs no requests, apart from those that find out whether a tag was moved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::image::{Digest, Repository, Tag, Version};
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::identity::Identity;

/// The time after which a tag is queried again, in case it was moved.
const TAGS: Duration = Duration::from_secs(3600);
/// The most images and tags that are remembered.
const MAX_KNOWN: usize = 20_000;

/// The digests that earlier looks have found out.
#[derive(Debug, Default)]
pub struct Digests {
    /// The digests of tags, and when they were queried.
    tags: Mutex<BTreeMap<(Repository, Tag), (Digest, Instant)>>,
    /// The images behind digests, which never change.
    identities: Mutex<BTreeMap<(Repository, Digest), Arc<Identity>>>,
}

impl Digests {
    /// Returns the digest of a tag, which was queried at a time or later.
    async fn tag(
        &self,
        registry: &Client,
        repository: &Repository,
        tag: &Tag,
        since: Option<Instant>,
    ) -> Result<Digest, RegistryError> {
        let key = (repository.clone(), tag.clone());
        let known = self.tags.lock().get(&key).cloned();
        let is_fresh = |at: Instant| since.is_none_or(|since| at >= since) && at.elapsed() < TAGS;
        if let Some((digest, _)) = known.filter(|(_, at)| is_fresh(*at)) {
            return Ok(digest);
        }
        let digest = registry.digest(repository, &Version::from(tag.clone())).await?;
        remember(&mut self.tags.lock(), key, (digest.clone(), Instant::now()));
        Ok(digest)
    }

    /// Returns the image behind a digest.
    pub(super) async fn identity(
        &self,
        registry: &Client,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Arc<Identity>, RegistryError> {
        let key = (repository.clone(), digest.clone());
        let known = self.identities.lock().get(&key).cloned();
        if let Some(identity) = known {
            return Ok(identity);
        }
        let version = Version { tag: None, digest: Some(digest.clone()) };
        let identity = Arc::new(registry.identity(repository, &version).await?);
        remember(&mut self.identities.lock(), key, Arc::clone(&identity));
        Ok(identity)
    }

    /// Returns the image behind a tag, if it is known to be another one than `running` is a part of. Whether the tag was
    /// moved meanwhile is queried again for that.
    pub(super) async fn other_than(
        &self,
        registry: &Client,
        repository: &Repository,
        tag: &Tag,
        running: &Digest,
        now: Instant,
    ) -> Result<Option<Arc<Identity>>, RegistryError> {
        for since in [None, Some(now)] {
            let digest = self.tag(registry, repository, tag, since).await?;
            if digest == *running {
                return Ok(None);
            }
            let identity = self.identity(registry, repository, &digest).await?;
            if identity.has(running) {
                return Ok(None);
            }
            if since.is_some() {
                return Ok(Some(identity));
            }
        }
        Ok(None)
    }
}

/// Adds an entry. With too many, the others are forgotten, and found out again.
fn remember<K: Ord, V>(known: &mut BTreeMap<K, V>, key: K, value: V) {
    if known.len() >= MAX_KNOWN {
        known.clear();
    }
    known.insert(key, value);
}
