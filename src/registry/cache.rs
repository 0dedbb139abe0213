//! A cache of what registries returned, kept on disk. Deleting it only costs requests.
//!
//! It holds the listings of the followed repositories, and the metadata of each listed tag's image. Tags that are no
//! longer listed are removed at once, repositories that are no longer followed after some days. So its size is bounded
//! by what is followed. If that is still too much, the largest repositories are forgotten: nobody needs so many tags,
//! and the others keep theirs.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;

use crate::clock;
use crate::image::{Digest, Repository, Tag};

use super::cache_format::{
    digest_key, image_key, key_below, kind, pack_metadata, repository_key, unpack_image, unpack_metadata,
};
use super::listing::Listing;
use super::manifest::SourceLabels;
use super::metadata::ImageMetadata;
use super::packed::{Packer, Unpacker, pack_tag, unpack_tag, unpack_tags};
use super::store::{LARGEST, Store};

const SECONDS_OF_A_DAY: i64 = 24 * 3600;

/// A cache of what registries returned.
pub struct Cache {
    pub(super) store: Store,
    pub(super) state: Mutex<State>,
    /// The number of writes to disk after which its size was checked.
    pub(super) checked: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The numbers of repositories, each with the last day of use.
    pub numbers: HashMap<Repository, (u32, u32)>,
    /// The source repositories that images name, by the number of their repository, as far as somebody has asked: each
    /// cycle does.
    pub sources: HashMap<u32, Option<String>>,
    /// The number of days on which the cache was used.
    days: u32,
    /// The last of them, counted from 1970.
    today: i64,
    /// The day of the last cleanup.
    swept: Option<u32>,
}

fn today() -> i64 {
    clock::now().as_second().div_euclid(SECONDS_OF_A_DAY)
}

impl Cache {
    /// Opens the cache in a folder; without a folder, or if that fails, it is kept in memory.
    pub fn open(folder: Option<&Path>) -> Cache {
        Cache::open_on(folder, today(), LARGEST)
    }

    pub(super) fn open_on(folder: Option<&Path>, today: i64, largest: u64) -> Cache {
        let store = Store::open(folder, largest);
        let stored = store.get(&[kind::DAYS]).and_then(|bytes| {
            let mut bytes = Unpacker(&bytes);
            Some((bytes.number()?, i64::from(bytes.number()?)))
        });
        let (days, day) = stored.unwrap_or_default();
        let cache = Cache {
            store,
            state: Mutex::new(State { days, today: day, ..State::default() }),
            checked: AtomicU64::new(0),
        };
        cache.begin_day(today);
        cache
    }

    /// Counts a day of use.
    fn begin_day(&self, today: i64) {
        let mut state = self.state.lock();
        if state.today != today {
            (state.today, state.days) = (today, state.days.saturating_add(1));
            let day = u32::try_from(today).unwrap_or_default();
            self.store.put(vec![kind::DAYS], Packer::default().number(state.days).number(day).done());
        }
    }

    /// The metadata of a digest.
    pub fn image(&self, digest: &Digest) -> Option<ImageMetadata> {
        let key = image_key(digest);
        let bytes = self.store.get(&key)?;
        let mut bytes = Unpacker(&bytes);
        let used = bytes.number()?;
        let image = unpack_metadata(digest.clone(), &mut bytes)?;
        let days = self.state.lock().days;
        if used != days {
            self.store.put(key, pack_metadata(Packer::default().number(days), &image).done());
        }
        Some(image)
    }

    /// The metadata of a tag's image when it was first seen.
    pub fn tag(&self, repository: &Repository, tag: &Tag) -> Option<ImageMetadata> {
        let number = self.number(repository)?;
        unpack_image(&self.store.get(&key_below(kind::TAG, number, &pack_tag(tag)))?)
    }

    /// The metadata of all tags of a repository, in one read.
    pub fn images(&self, repository: &Repository) -> HashMap<Tag, ImageMetadata> {
        let mut images = HashMap::new();
        if let Some(number) = self.number(repository) {
            self.store.scan(&key_below(kind::TAG, number, &[]), |tag, image| {
                images.extend(unpack_tag(tag).zip(unpack_image(image)));
            });
        }
        images
    }

    /// Stores the metadata of an image under its tag, or under its digest.
    pub fn remember(&self, repository: &Repository, tag: Option<&Tag>, image: &ImageMetadata) {
        match tag {
            Some(tag) => {
                let number = self.number_for(repository);
                let value = pack_metadata(Packer::default().digest(&image.digest), image).done();
                self.store.put(key_below(kind::TAG, number, &pack_tag(tag)), value);
            }
            None => {
                let value = pack_metadata(Packer::default().number(self.state.lock().days), image).done();
                self.store.put(image_key(&image.digest), value);
            }
        }
        self.make_space();
    }

    /// The source labels of an image.
    pub fn source_labels(&self, repository: &Repository, digest: &Digest) -> Option<SourceLabels> {
        let bytes = self.store.get(&digest_key(kind::SOURCE_LABELS, self.number(repository)?, digest))?;
        let mut bytes = Unpacker(&bytes);
        Some(SourceLabels { revision: bytes.maybe()?, source: bytes.maybe()? })
    }

    /// Stores the source labels of an image.
    pub fn remember_source_labels(&self, repository: &Repository, digest: &Digest, source_labels: &SourceLabels) {
        let SourceLabels { revision, source } = source_labels;
        let value = Packer::default().maybe(revision.as_deref()).maybe(source.as_deref()).done();
        self.store.put(digest_key(kind::SOURCE_LABELS, self.number_for(repository), digest), value);
    }

    /// The source repository that one of the images of a repository names.
    pub fn source(&self, repository: &Repository) -> Option<String> {
        let number = self.number(repository)?;
        if let Some(known) = self.state.lock().sources.get(&number) {
            return known.clone();
        }
        let bytes = self.store.get(&key_below(kind::SOURCE, number, &[]));
        let source = bytes.and_then(|bytes| Unpacker(&bytes).maybe()?);
        self.state.lock().sources.insert(number, source.clone());
        source
    }

    /// Stores the source repository that one of the images of a repository names.
    pub fn remember_source(&self, repository: &Repository, source: &str) {
        if self.source(repository).as_deref() != Some(source) {
            let number = self.number_for(repository);
            self.store.put(key_below(kind::SOURCE, number, &[]), Packer::default().maybe(Some(source)).done());
            self.state.lock().sources.insert(number, Some(source.to_owned()));
        }
    }

    /// The last listing of a repository, without its tags.
    pub fn listing(&self, repository: &Repository) -> Option<Listing> {
        let bytes = self.store.get(&repository_key(repository.as_str()))?;
        let mut bytes = Unpacker(&bytes);
        let (number, used) = (bytes.number()?, bytes.number()?);
        self.state.lock().numbers.insert(repository.clone(), (number, used));
        Listing::unpack(&mut bytes)
    }

    /// The tags of a listing, page by page; `None` if any are missing.
    pub fn listed(&self, repository: &Repository, pages: usize) -> Option<Vec<Vec<Tag>>> {
        let number = self.number(repository)?;
        let mut listed = Vec::new();
        self.store.scan(&key_below(kind::PAGE, number, &[]), |place, tags| {
            let is_next = Unpacker(place).number() == u32::try_from(listed.len()).ok();
            listed.extend(Some(tags).filter(|_| is_next).and_then(unpack_tags));
        });
        (listed.len() == pages).then_some(listed)
    }

    /// The size of the tags of a listing as they are stored, in bytes.
    pub fn listed_bytes(&self, repository: &Repository) -> usize {
        let mut bytes = 0;
        if let Some(number) = self.number(repository) {
            self.store.scan(&key_below(kind::PAGE, number, &[]), |_, tags| bytes += tags.len());
        }
        bytes
    }

    /// Stores a listing, with the packed tags of its changed pages.
    pub fn store_listing(&self, repository: &Repository, listing: &Listing, changed: HashMap<usize, Vec<u8>>) {
        let number = self.number_for(repository);
        let page_key =
            |place: usize| key_below(kind::PAGE, number, &u32::try_from(place).unwrap_or(u32::MAX).to_be_bytes());
        for (place, tags) in changed {
            self.store.put(page_key(place), tags);
        }
        let before = self.listing(repository).map_or(0, |before| before.pages.len());
        self.store.remove((listing.pages.len()..before).map(page_key).collect());
        self.store_repository(repository, number, listing);
        self.make_space();
    }

    /// Records the use of a repository whose listing is unchanged.
    pub fn touch(&self, repository: &Repository, listing: &Listing) {
        let (known, days) = {
            let state = self.state.lock();
            (state.numbers.get(repository).copied(), state.days)
        };
        if let Some((number, used)) = known
            && used != days
        {
            self.store_repository(repository, number, listing);
        }
    }

    fn store_repository(&self, repository: &Repository, number: u32, listing: &Listing) {
        let days = self.state.lock().days;
        self.state.lock().numbers.insert(repository.clone(), (number, days));
        let value = listing.pack(Packer::default().number(number).number(days)).done();
        self.store.put(repository_key(repository.as_str()), value);
    }

    /// Removes the tags of a repository that are no longer listed, and the entries that only they refer to.
    pub fn retain_tags(&self, repository: &Repository, listed: &[Tag]) {
        let Some(number) = self.number(repository) else { return };
        let listed: HashSet<&Tag> = listed.iter().collect();
        let (mut gone, mut stale, mut needed) = (Vec::new(), Vec::new(), HashSet::new());
        let is_listed = |tag: &[u8]| unpack_tag(tag).is_some_and(|tag| listed.contains(&tag));
        self.store.scan(&key_below(kind::TAG, number, &[]), |tag, image| {
            let digest = unpack_image(image).map(|image| image.digest);
            if is_listed(tag) {
                needed.extend(digest);
            } else {
                gone.push(key_below(kind::TAG, number, tag));
                stale.extend(digest);
            }
        });
        for kind in [kind::PUSH, kind::FIRST_SEEN] {
            self.store.scan(&key_below(kind, number, &[]), |tag, _| {
                gone.extend((!is_listed(tag)).then(|| key_below(kind, number, tag)));
            });
        }
        stale.retain(|digest| !needed.contains(digest));
        for kind in [kind::SOURCE_LABELS, kind::ORIGIN] {
            gone.extend(stale.iter().map(|digest| digest_key(kind, number, digest)));
        }
        self.store.remove(gone);
    }

    /// Writes the cache to disk, and removes unused entries once a day. A crash before that loses only what can be
    /// fetched again.
    pub fn flush(&self) {
        self.flush_on(today());
    }

    fn flush_on(&self, today: i64) {
        self.begin_day(today);
        let days = self.state.lock().days;
        if self.state.lock().swept.replace(days) != Some(days) {
            self.sweep(days);
        }
        self.store.flush();
    }

    /// The number of a known repository.
    pub(super) fn number(&self, repository: &Repository) -> Option<u32> {
        if let Some((number, _)) = self.state.lock().numbers.get(repository) {
            return Some(*number);
        }
        let bytes = self.store.get(&repository_key(repository.as_str()))?;
        let mut bytes = Unpacker(&bytes);
        let (number, used) = (bytes.number()?, bytes.number()?);
        self.state.lock().numbers.insert(repository.clone(), (number, used));
        Some(number)
    }

    /// The number of a repository, assigned if it has none.
    pub(super) fn number_for(&self, repository: &Repository) -> u32 {
        if let Some(number) = self.number(repository) {
            return number;
        }
        let mut state = self.state.lock();
        if let Some((number, _)) = state.numbers.get(repository) {
            return *number;
        }
        let next = self.store.get(&[kind::NEXT]).and_then(|bytes| Unpacker(&bytes).number()).unwrap_or_default();
        let days = state.days;
        state.numbers.insert(repository.clone(), (next, days));
        self.store.put(vec![kind::NEXT], Packer::default().number(next.wrapping_add(1)).done());
        let value = Listing::default().pack(Packer::default().number(next).number(days)).done();
        self.store.put(repository_key(repository.as_str()), value);
        next
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::listing::Page;
    use super::super::packed::pack_tags;
    use jiff::Timestamp;

    use super::*;

    fn repository(text: &str) -> Repository {
        text.parse().expect("a name")
    }

    fn tag(text: &str) -> Tag {
        text.parse().expect("a tag")
    }

    fn image(n: u32) -> ImageMetadata {
        let created = n.is_multiple_of(2).then(|| Timestamp::from_second(i64::from(n) + 1).expect("a time"));
        let platform = |m: u32| Digest::sha256(&format!("{:064x}", n + m));
        let platforms = if n.is_multiple_of(3) { vec![platform(1), platform(2)] } else { Vec::new() };
        ImageMetadata { digest: platform(0), created, platforms }
    }

    /// A listing of pages with these hashes.
    fn listing(hashes: &[u8]) -> Listing {
        let page = |n: &u8| Page {
            target: format!("/v2/app/tags/list?n={n}"),
            etag: n.is_multiple_of(2).then(|| format!("\"{n}\"")),
            hash: [*n; 32],
            link: Some("/v2/app/tags/list?n=9".to_owned()),
            is_last: *n == 9,
        };
        Listing { host: "r.io".to_owned(), pages: hashes.iter().map(page).collect() }
    }

    #[test]
    fn entries_outlive_the_process_only_while_their_tags_are_listed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (app, other) = (repository("r.io/app"), repository("r.io/app-2"));
        let labels = SourceLabels { revision: Some("0f".to_owned()), source: None };
        {
            let cache = Cache::open(Some(folder.path()));
            (0..4).for_each(|n| cache.remember(&app, Some(&tag(&format!("t{n}"))), &image(n)));
            cache.remember(&other, Some(&tag("t0")), &image(9));
            cache.remember_source_labels(&app, &image(2).digest, &labels);
            cache.remember_source_labels(&app, &image(3).digest, &labels);
            cache.remember_source(&app, "https://old.example/app");
            cache.remember_source(&app, "https://git.example/app");
            let at = image(0).created.expect("a time");
            cache.remember_pushes(&app, &[(tag("t2"), at), (tag("t3"), at)]);
            // A second process works without the file.
            let second = Cache::open(Some(folder.path()));
            assert_eq!(second.tag(&app, &tag("t0")), None);
            second.remember(&app, None, &image(7));
            assert_eq!(second.image(&image(7).digest), Some(image(7)));
        }
        let cache = Cache::open(Some(folder.path()));
        assert_eq!(cache.tag(&app, &tag("t3")), Some(image(3)));
        assert_eq!(cache.images(&app), (0..4).map(|n| (tag(&format!("t{n}")), image(n))).collect());
        cache.retain_tags(&app, &[tag("t3")]);
        assert_eq!((cache.tag(&app, &tag("t3")), cache.tag(&app, &tag("t2"))), (Some(image(3)), None));
        assert_eq!(cache.pushes(&app).into_keys().collect::<Vec<_>>(), [tag("t3")]);
        assert_eq!(cache.source_labels(&app, &image(3).digest), Some(labels));
        assert_eq!(cache.source_labels(&app, &image(2).digest), None);
        assert_eq!(cache.source(&app).as_deref(), Some("https://git.example/app"));
        assert_eq!(cache.tag(&other, &tag("t0")), Some(image(9)));
    }

    #[test]
    fn changed_pages_of_a_listing_are_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let app = repository("r.io/app");
        let tags = |texts: &[&str]| texts.iter().map(|text| tag(text)).collect::<Vec<Tag>>();
        let cache = Cache::open(Some(folder.path()));
        let packed = |texts: &[&str]| pack_tags(tags(texts).iter());
        let pages = HashMap::from([(0, packed(&["a", "b"])), (1, packed(&["c"])), (2, packed(&[]))]);
        cache.store_listing(&app, &listing(&[1, 2, 9]), pages);
        assert_eq!(cache.listing(&app), Some(listing(&[1, 2, 9])));
        assert_eq!(cache.listed(&app, 3), Some(vec![tags(&["a", "b"]), tags(&["c"]), tags(&[])]));
        cache.store_listing(&app, &listing(&[1, 4]), HashMap::from([(1, packed(&["d"]))]));
        drop(cache);
        let cache = Cache::open(Some(folder.path()));
        assert_eq!((cache.listing(&app), cache.listed(&app, 3)), (Some(listing(&[1, 4])), None));
        assert_eq!(cache.listed(&app, 2), Some(vec![tags(&["a", "b"]), tags(&["d"])]));
    }

    #[test]
    fn nothing_that_is_followed_is_evicted() {
        let folder = tempfile::tempdir().expect("a folder");
        let (repositories, tags) = (300, 800);
        let app = |n: u32| repository(&format!("r.io/app-{n}"));
        {
            let cache = Cache::open(Some(folder.path()));
            for n in 0..repositories {
                for m in 0..tags {
                    cache.remember(&app(n), Some(&tag(&format!("{:040x}", n * tags + m))), &image(n * tags + m));
                }
            }
        }
        let cache = Cache::open(Some(folder.path()));
        let page = HashMap::from([(0, pack_tags([tag("t")].iter()))]);
        (0..6000)
            .for_each(|n| cache.store_listing(&repository(&format!("r.io/page-{n}")), &listing(&[1]), page.clone()));
        // One more does not affect the others.
        cache.flush();
        assert!((0..6000).all(|n| cache.listed(&repository(&format!("r.io/page-{n}")), 1).is_some()));
        let reads = cache.store.reads();
        assert!((0..repositories).all(|n| cache.images(&app(n)).len() == tags as usize));
        // One read finds the number of a repository, one all of its tags.
        assert_eq!(cache.store.reads() - reads, u64::from(repositories) * 2);
    }

    #[test]
    fn unused_entries_are_removed_after_some_days_of_use() {
        let folder = tempfile::tempdir().expect("a folder");
        let (app, other) = (repository("r.io/app"), repository("r.io/other"));
        let pages = HashMap::from([(0, pack_tags([tag("t")].iter()))]);
        let open = |day: i64| Cache::open_on(Some(folder.path()), day, LARGEST);
        let follow = |cache: &Cache, which: &Repository, day: i64| {
            match cache.listing(which) {
                Some(listing) => cache.touch(which, &listing),
                None => cache.store_listing(which, &listing(&[1]), pages.clone()),
            }
            cache.flush_on(day);
        };
        {
            let cache = open(1000);
            follow(&cache, &app, 1000);
            follow(&cache, &other, 1000);
            cache.remember(&app, None, &image(1));
            cache.remember(&other, Some(&tag("t")), &image(2));
        }
        let knows_other = |cache: &Cache| (cache.listing(&other).is_some(), cache.tag(&other, &tag("t")).is_some());
        // Ten years later, without any use in between.
        assert_eq!(knows_other(&open(4650)), (true, true));
        let cache = open(5000);
        for day in 5000..5013 {
            follow(&cache, &app, day);
            assert_eq!((knows_other(&cache), cache.image(&image(1).digest).is_some()), ((true, true), true), "{day}");
        }
        for day in 5013..5018 {
            follow(&cache, &app, day);
        }
        assert_eq!((knows_other(&cache), cache.image(&image(1).digest).is_some()), ((false, false), true));
        assert_eq!(cache.listing(&app), Some(listing(&[1])));
        // A repository that comes back gets a new number.
        cache.remember(&other, Some(&tag("u")), &image(2));
        assert_eq!((cache.images(&other).len(), cache.listed(&app, 1)), (1, Some(vec![vec![tag("t")]])));
    }
}
