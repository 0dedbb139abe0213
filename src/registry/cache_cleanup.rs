//! What the cache forgets: repositories that are no longer followed, and the largest ones if it is full.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use super::cache::Cache;
use super::cache_format::{key_below, kind, repository_key};
use super::packed::Unpacker;

/// Entries that were not used on this many days are removed. Only days on which the cache was used count, so that
/// nothing is lost while the agent is stopped, and two configurations can share a cache.
const DAYS: u32 = 14;

impl Cache {
    /// Removes what was not used for some days.
    pub(super) fn sweep(&self, days: u32) {
        let is_stale = |value: &mut Unpacker<'_>| value.number().is_none_or(|used| used.saturating_add(DAYS) < days);
        let (mut repositories, mut gone) = (Vec::new(), Vec::new());
        self.store.scan(&[kind::REPOSITORY], |name, value| {
            let mut value = Unpacker(value);
            let number = value.number();
            if is_stale(&mut value) {
                repositories.extend(std::str::from_utf8(name).ok().map(str::to_owned).zip(number));
            }
        });
        self.store.scan(&[kind::IMAGE], |digest, value| {
            if is_stale(&mut Unpacker(value)) {
                gone.push([&[kind::IMAGE], digest].concat());
            }
        });
        for (name, number) in &repositories {
            gone.extend(self.forget(name, *number));
        }
        if !gone.is_empty() {
            tracing::debug!(
                repositories = repositories.len(),
                entries = gone.len(),
                "removed unused entries from the registry cache"
            );
        }
        self.store.remove(gone);
    }

    /// Forgets a repository; returns the keys to remove.
    fn forget(&self, name: &str, number: u32) -> Vec<Vec<u8>> {
        let mut gone = vec![repository_key(name)];
        for kind in kind::BELOW_REPOSITORIES {
            self.store.scan(&key_below(kind, number, &[]), |rest, _| gone.push(key_below(kind, number, rest)));
        }
        let mut state = self.state.lock();
        state.numbers.retain(|_, (other, _)| *other != number);
        state.sources.remove(&number);
        gone
    }

    /// Forgets the largest repositories if everything together takes too much space.
    pub(super) fn make_space(&self) {
        let written = self.store.writes();
        if self.checked.swap(written, Ordering::Relaxed) == written || !self.store.is_too_large() {
            return;
        }
        let (mut sizes, mut left): (HashMap<u32, u64>, u64) = (HashMap::new(), 0);
        for kind in kind::BELOW_REPOSITORIES {
            self.store.scan(&[kind], |key, value| {
                let size = (key.len() + value.len()) as u64;
                left += size;
                if let Some(number) = Unpacker(key).number() {
                    *sizes.entry(number).or_default() += size;
                }
            });
        }
        let mut repositories = Vec::new();
        self.store.scan(&[kind::REPOSITORY], |name, value| {
            let known = std::str::from_utf8(name).ok().map(str::to_owned).zip(Unpacker(value).number());
            repositories.extend(known.map(|(name, number)| (sizes.get(&number).copied().unwrap_or(0), name, number)));
        });
        repositories.sort_by(|one, other| other.cmp(one));
        for (size, name, number) in repositories {
            if left <= self.store.target() {
                break;
            }
            left -= size;
            tracing::warn!(image = %name, bytes = size, "the registry cache is full: forgot what is known about this image");
            let gone = self.forget(&name, number);
            self.store.remove(gone);
        }
        self.store.shrink();
    }
}

#[cfg(test)]
mod tests {
    use crate::image::{Digest, Repository, Tag};

    use super::super::metadata::ImageMetadata;
    use super::*;

    #[test]
    fn the_largest_repository_is_forgotten_when_the_cache_is_full() {
        for on_disk in [true, false] {
            let folder = tempfile::tempdir().expect("a folder");
            let largest = if on_disk { 8 << 20 } else { 16 << 20 };
            let platforms = vec![Digest::sha256(&"0f".repeat(32)); 2];
            let image = ImageMetadata { digest: platforms[0].clone(), created: None, platforms };
            let cache = Cache::open_on(on_disk.then_some(folder.path()), 1000, largest);
            let (app, other) = (
                "r.io/app".parse::<Repository>().expect("a name"),
                "r.io/endless".parse::<Repository>().expect("a name"),
            );
            cache.remember(&app, Some(&"t".parse::<Tag>().expect("a tag")), &image);
            let size = || {
                let bytes = |entry: std::io::Result<std::fs::DirEntry>| entry?.metadata().map(|found| found.len());
                let files = std::fs::read_dir(folder.path()).expect("a folder");
                files.map(|entry| bytes(entry).expect("a size")).sum::<u64>()
            };
            let tag = |n: usize| format!("{n:0100}").parse::<Tag>().expect("a tag");
            let mut was_forgotten = false;
            for n in 0..30_000 {
                if n % 1000 == 0 {
                    assert!(size() < 9 << 20, "{} bytes while it runs", size());
                    was_forgotten |= n > 0 && cache.tag(&other, &tag(0)).is_none();
                }
                cache.remember(&other, Some(&tag(n)), &image);
            }
            assert!(was_forgotten, "the limit was never reached");
            assert_eq!(cache.images(&app).len(), 1, "the smaller one is kept");
        }
    }
}
