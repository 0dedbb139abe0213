//! Proof of origin that has been verified, in the cache. A signature that counted once does not change, so it is kept for
//! as long as the image is listed; scans, which the next one outdates, are not cached. That proof was missing is never cached: it may be added at any time.

use crate::image::{Digest, Repository};

use super::cache_format::{digest_key, kind};
use super::client::Client;

/// The hash of all that a verification depends on besides the image and its signatures.
pub type RequirementHash = [u8; 32];

impl Client {
    /// What proved the origin of an image, if that was verified against the same requirement. Sends no request.
    pub fn known_origin(
        &self,
        repository: &Repository,
        digest: &Digest,
        requirement: &RequirementHash,
    ) -> Option<Vec<u8>> {
        let cache = self.cache();
        let bytes = cache.store.get(&digest_key(kind::ORIGIN, cache.number(repository)?, digest))?;
        bytes.strip_prefix(requirement).map(<[u8]>::to_vec)
    }

    /// Caches what proved the origin of an image.
    pub fn remember_origin(
        &self,
        repository: &Repository,
        digest: &Digest,
        requirement: &RequirementHash,
        proof: &[u8],
    ) {
        let cache = self.cache();
        let key = digest_key(kind::ORIGIN, cache.number_for(repository), digest);
        cache.store.put(key, [requirement, proof].concat());
        cache.make_space();
    }
}
