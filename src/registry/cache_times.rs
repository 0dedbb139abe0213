//! What the cache knows about when tags arrived: the push times that registries report, and when tags were first seen.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::image::{Digest, Repository, Tag};

use super::cache::Cache;
use super::cache_format::{key_below, kind, pack_first_seen, unpack_first_seen};
use super::packed::{Packer, Unpacker, pack_tag, unpack_tag};

impl Cache {
    /// The known push times of tags.
    pub fn pushes(&self, repository: &Repository) -> HashMap<Tag, Timestamp> {
        let mut pushes = HashMap::new();
        if let Some(number) = self.number(repository) {
            self.store.scan(&key_below(kind::PUSH, number, &[]), |tag, at| {
                pushes.extend(unpack_tag(tag).zip(Unpacker(at).time().flatten()));
            });
        }
        pushes
    }

    /// Stores push times of tags.
    pub fn remember_pushes(&self, repository: &Repository, new: &[(Tag, Timestamp)]) {
        if new.is_empty() {
            return;
        }
        let number = self.number_for(repository);
        for (tag, at) in new {
            let key = key_below(kind::PUSH, number, &pack_tag(tag));
            self.store.put(key, Packer::default().time(Some(*at)).done());
        }
        self.make_space();
    }

    /// The known push time of a tag.
    pub fn push(&self, repository: &Repository, tag: &Tag) -> Option<Timestamp> {
        let number = self.number(repository)?;
        Unpacker(&self.store.get(&key_below(kind::PUSH, number, &pack_tag(tag)))?).time().flatten()
    }

    /// Forgets the push time of a tag that has moved.
    pub fn forget_push(&self, repository: &Repository, tag: &Tag) {
        if let Some(number) = self.number(repository) {
            self.store.remove(vec![key_below(kind::PUSH, number, &pack_tag(tag))]);
        }
    }

    /// The image that a tag had when it was seen last, and when it had that for the first time.
    pub fn first_seen(&self, repository: &Repository, tag: &Tag) -> Option<(Digest, Timestamp)> {
        let number = self.number(repository)?;
        unpack_first_seen(&self.store.get(&key_below(kind::FIRST_SEEN, number, &pack_tag(tag)))?)
    }

    /// The same for all tags of a repository, in one read.
    pub fn all_first_seen(&self, repository: &Repository) -> HashMap<Tag, (Digest, Timestamp)> {
        let mut seen = HashMap::new();
        if let Some(number) = self.number(repository) {
            self.store.scan(&key_below(kind::FIRST_SEEN, number, &[]), |tag, value| {
                seen.extend(unpack_tag(tag).zip(unpack_first_seen(value)));
            });
        }
        seen
    }

    /// Stores when the image of a tag was first seen.
    pub fn remember_first_seen(&self, repository: &Repository, tag: &Tag, digest: &Digest, at: Timestamp) {
        let key = key_below(kind::FIRST_SEEN, self.number_for(repository), &pack_tag(tag));
        self.store.put(key, pack_first_seen(digest, at));
    }
}
