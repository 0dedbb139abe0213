//! What was learned of registries, kept on disk. Deleting it costs requests and nothing else.
//!
//! One file beside the clones. Whoever opens it first has it; another process meanwhile works without. A file that is
//! of another version, too large or not sound is made anew.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use jiff::Timestamp;
use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, Durability, ReadableDatabase, ReadableTableMetadata, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::image::{Digest, Repository, Tag};

use super::client::Image;
use super::manifest::Provenance;

/// The thread that opens the file. The library trusts its file, so one that was damaged makes it panic: that is no bug
/// of ours, and ends this thread only.
pub const OPENING: &str = "opening-the-cache";
/// Raise it when the meaning of an entry changes.
const VERSION: &str = "2";
/// What nearly all digests begin with.
const SHA256: &str = "sha256:";
const FILE: &str = "registries.redb";
/// A larger file is made anew: some hundred thousand images.
const LARGEST: u64 = 256 << 20;
/// How much of the file is kept in memory, in bytes.
const MEMORY: usize = 1 << 20;
/// After so many things that were learned they are brought to the disk: until then they take memory.
const MOST_NEWS: usize = 500;
/// As many digests, and as many pages of tags, before they are forgotten. Tags are bounded by what registries list.
const DIGESTS: u64 = 200_000;
const PAGES: u64 = 5_000;

/// What the file is: its version.
const ABOUT: TableDefinition<'_, &str, &str> = TableDefinition::new("about");
/// `digest` to when it was built, and the digests of its platforms.
const IMAGES: TableDefinition<'_, &str, &str> = TableDefinition::new("images");
/// `repository tag` to its digest.
const TAGS: TableDefinition<'_, &str, &str> = TableDefinition::new("tags");
/// `digest` to where the image says that it comes from.
const ORIGINS: TableDefinition<'_, &str, &str> = TableDefinition::new("origins");
/// `repository tag` to when it was pushed.
const PUSHES: TableDefinition<'_, &str, &str> = TableDefinition::new("pushes");
/// `host target` to a page of tags.
const LISTINGS: TableDefinition<'_, &str, &str> = TableDefinition::new("pages");

/// A page of a listing of tags, as a registry that knows ETags gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The registry's mark of this very page.
    pub etag: String,
    /// What it lists.
    pub tags: Vec<String>,
    /// Where the next page is, as the registry wrote it.
    pub next: Option<String>,
}

/// What was learned of registries.
pub struct Cache {
    store: RwLock<Database>,
    /// How much was learned that is not on the disk yet.
    news: AtomicUsize,
}

type Failure = Box<dyn std::error::Error>;

impl Cache {
    /// Opens the cache in a folder; without one, or where that fails, it lives in memory and ends with the process.
    pub fn open(folder: Option<&Path>) -> Cache {
        let store = folder.and_then(on_disk).or_else(in_memory);
        // Memory that cannot be had is no error that anybody could handle.
        let store = store.unwrap_or_else(|| unreachable!("a store in memory can always be made"));
        Cache { store: RwLock::new(store), news: AtomicUsize::new(0) }
    }

    /// What is known of a digest.
    pub fn image(&self, digest: &Digest) -> Option<Image> {
        read_image(digest, &self.read(|store| get(store, IMAGES, digest.as_str()))?)
    }

    /// What a tag held when it was first seen.
    pub fn tag(&self, repository: &Repository, tag: &Tag) -> Option<Image> {
        let digest = self.read(|store| get(store, TAGS, &tag_key(repository, tag)))?;
        self.image(&digest.parse().ok()?)
    }

    /// Keeps what is known of an image, and of a tag that holds it.
    pub fn remember(&self, repository: &Repository, tag: Option<&Tag>, image: &Image) {
        let entry = write_image(image);
        self.write(|transaction| {
            let mut images = transaction.open_table(IMAGES)?;
            if images.len()? >= DIGESTS {
                images.retain(|_, _| false)?;
            }
            images.insert(image.digest.as_str(), entry.as_str())?;
            if let Some(tag) = tag {
                let key = tag_key(repository, tag);
                transaction.open_table(TAGS)?.insert(key.as_str(), image.digest.as_str())?;
            }
            Ok(())
        });
    }

    /// Where an image says that it comes from, if that was asked before.
    pub fn provenance(&self, digest: &Digest) -> Option<Provenance> {
        let text = self.read(|store| get(store, ORIGINS, digest.as_str()))?;
        serde_json::from_str(&text).ok()
    }

    /// Keeps where an image says that it comes from.
    pub fn remember_provenance(&self, digest: &Digest, provenance: &Provenance) {
        let Ok(text) = serde_json::to_string(provenance) else { return };
        self.write(|transaction| {
            let mut origins = transaction.open_table(ORIGINS)?;
            if origins.len()? >= DIGESTS {
                origins.retain(|_, _| false)?;
            }
            origins.insert(digest.as_str(), text.as_str())?;
            Ok(())
        });
    }

    /// When a tag was pushed, if that was asked before.
    pub fn pushed(&self, repository: &Repository, tag: &Tag) -> Option<Timestamp> {
        self.read(|store| get(store, PUSHES, &tag_key(repository, tag)))?.parse().ok()
    }

    /// Keeps when tags were pushed.
    pub fn remember_pushed(&self, repository: &Repository, news: &[(Tag, Timestamp)]) {
        if news.is_empty() {
            return;
        }
        self.write(|transaction| {
            let mut pushes = transaction.open_table(PUSHES)?;
            if pushes.len()? >= DIGESTS {
                pushes.retain(|_, _| false)?;
            }
            for (tag, at) in news {
                pushes.insert(tag_key(repository, tag).as_str(), at.to_string().as_str())?;
            }
            Ok(())
        });
    }

    /// Forgets the tags of a repository that are not listed any more.
    pub fn keep_listed(&self, repository: &Repository, listed: &HashSet<&Tag>) {
        for table in [TAGS, PUSHES] {
            let gone = self.read(|store| not_listed(store, table, &format!("{repository} "), listed));
            if let Some(gone) = gone {
                self.write(|transaction| {
                    let mut tags = transaction.open_table(table)?;
                    gone.iter().try_for_each(|key| tags.remove(key.as_str()).map(drop))?;
                    Ok(())
                });
            }
        }
    }

    /// A page as it was when it was last listed.
    pub fn page(&self, host: &str, target: &str) -> Option<Page> {
        let text = self.read(|store| get(store, LISTINGS, &format!("{host} {target}")))?;
        serde_json::from_str(&text).ok()
    }

    /// Keeps a page.
    pub fn remember_page(&self, host: &str, target: &str, page: &Page) {
        let Ok(text) = serde_json::to_string(page) else { return };
        self.write(|transaction| {
            let mut pages = transaction.open_table(LISTINGS)?;
            if pages.len()? >= PAGES {
                pages.retain(|_, _| false)?;
            }
            pages.insert(format!("{host} {target}").as_str(), text.as_str())?;
            Ok(())
        });
    }

    /// Brings what was learned to the disk. Until then it is not lost but for a crash, and then it is learned again.
    pub fn flush(&self) {
        if self.news.swap(0, Ordering::Relaxed) > 0 {
            self.commit(Durability::Immediate, |_| Ok(()));
        }
    }

    fn read<T>(&self, work: impl FnOnce(&Database) -> Result<Option<T>, Failure>) -> Option<T> {
        let result = {
            let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
            work(&store)
        };
        result.unwrap_or_else(|failure| {
            self.give_up(failure.as_ref());
            None
        })
    }

    fn write(&self, work: impl FnOnce(&redb::WriteTransaction) -> Result<(), Failure>) {
        self.commit(Durability::None, work);
        if self.news.fetch_add(1, Ordering::Relaxed) >= MOST_NEWS {
            self.flush();
        }
    }

    fn commit(&self, durability: Durability, work: impl FnOnce(&redb::WriteTransaction) -> Result<(), Failure>) {
        let result = {
            let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
            commit(&store, durability, work)
        };
        if let Err(failure) = result {
            self.give_up(failure.as_ref());
        }
    }

    /// A disk that is full or fails costs the cache, not the pass.
    fn give_up(&self, failure: &dyn std::error::Error) {
        tracing::warn!(%failure, "the cache of registries cannot be used; going on without it");
        if let Some(store) = in_memory() {
            *self.store.write().unwrap_or_else(PoisonError::into_inner) = store;
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.flush();
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

/// The entry of an image: when it was built, then the platforms of an index, parted by blanks. What nearly all digests
/// begin with is left out.
fn write_image(image: &Image) -> String {
    let created = image.created.map(|at| at.to_string()).unwrap_or_default();
    let short = |digest: &Digest| digest.as_str().strip_prefix(SHA256).unwrap_or(digest.as_str()).to_owned();
    let words: Vec<String> = std::iter::once(created).chain(image.platforms.iter().map(short)).collect();
    words.join(" ")
}

fn read_image(digest: &Digest, entry: &str) -> Option<Image> {
    let mut words = entry.split(' ');
    let created = match words.next()? {
        "" => None,
        at => Some(at.parse().ok()?),
    };
    let whole = |word: &str| if word.contains(':') { word.parse() } else { format!("{SHA256}{word}").parse() };
    let platforms = words.map(|word| whole(word).ok()).collect::<Option<_>>()?;
    Some(Image { digest: digest.clone(), created, platforms })
}

fn tag_key(repository: &Repository, tag: &Tag) -> String {
    format!("{repository} {tag}")
}

/// The keys below a prefix whose tags are not listed; `None` when there are none.
fn not_listed(
    store: &Database,
    table: TableDefinition<'_, &str, &str>,
    prefix: &str,
    listed: &HashSet<&Tag>,
) -> Result<Option<Vec<String>>, Failure> {
    let transaction = store.begin_read()?;
    let Ok(tags) = transaction.open_table(table) else { return Ok(None) };
    let mut gone = Vec::new();
    for entry in tags.range(prefix..)? {
        let (key, _) = entry?;
        let Some(tag) = key.value().strip_prefix(prefix) else { break };
        if !tag.parse().is_ok_and(|tag: Tag| listed.contains(&tag)) {
            gone.push(key.value().to_owned());
        }
    }
    Ok(Some(gone).filter(|gone| !gone.is_empty()))
}

fn get(store: &Database, table: TableDefinition<'_, &str, &str>, key: &str) -> Result<Option<String>, Failure> {
    let transaction = store.begin_read()?;
    match transaction.open_table(table) {
        Ok(table) => Ok(table.get(key)?.map(|value| value.value().to_owned())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn commit(
    store: &Database,
    durability: Durability,
    work: impl FnOnce(&redb::WriteTransaction) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut transaction = store.begin_write()?;
    transaction.set_durability(durability)?;
    work(&transaction)?;
    Ok(transaction.commit()?)
}

fn in_memory() -> Option<Database> {
    Database::builder().create_with_backend(InMemoryBackend::new()).ok()
}

/// The file in a folder, sound and of our version; `None` when another process has it or there can be none.
fn on_disk(folder: &Path) -> Option<Database> {
    if let Err(error) = std::fs::create_dir_all(folder) {
        tracing::debug!(folder = %folder.display(), %error, "no cache of registries");
        return None;
    }
    let file = folder.join(FILE);
    for _ in 0..2 {
        let is_too_large = std::fs::metadata(&file).is_ok_and(|found| found.len() > LARGEST);
        let path = file.clone();
        let work = move || if is_too_large { Ok(None) } else { sound(&path) };
        let opened = std::thread::Builder::new().name(OPENING.to_owned()).spawn(work).ok()?.join();
        match opened {
            Ok(Ok(Some(store))) => return Some(store),
            Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => {
                tracing::debug!(file = %file.display(), "another process has the cache of registries; going on without");
                return None;
            }
            Ok(Ok(None) | Err(_)) | Err(_) => {
                tracing::info!(file = %file.display(), "the cache of registries is made anew");
                std::fs::remove_file(&file).ok()?;
            }
        }
    }
    None
}

/// Opens a file and proves it; `None` when it is not to be used.
fn sound(file: &Path) -> Result<Option<Database>, DatabaseError> {
    let mut store = Database::builder().set_cache_size(MEMORY).create(file)?;
    if !store.check_integrity()? {
        return Ok(None);
    }
    let of_version = || -> Result<bool, Failure> {
        // Looked up before it is written: a commit waits for the disk.
        match get(&store, ABOUT, "version")? {
            Some(version) => Ok(version == VERSION),
            None => commit(&store, Durability::Immediate, |transaction| {
                transaction.open_table(ABOUT)?.insert("version", VERSION)?;
                Ok(())
            })
            .map(|()| true),
        }
    };
    Ok(of_version().unwrap_or(false).then_some(store))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(text: &str) -> Repository {
        text.parse().expect("a name")
    }

    fn tag(text: &str) -> Tag {
        text.parse().expect("a tag")
    }

    fn image(n: u32) -> Image {
        let created = n.is_multiple_of(2).then(|| Timestamp::from_second(i64::from(n) + 1).expect("a time"));
        let platform = |m: u32| Digest::sha256(&format!("{:064x}", n + m));
        let platforms = if n.is_multiple_of(3) { vec![platform(1), platform(2)] } else { Vec::new() };
        Image { digest: platform(0), created, platforms }
    }

    #[test]
    fn what_is_learned_outlives_the_process_and_only_while_it_is_listed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (app, other) = (repository("r.io/app"), repository("r.io/app-2"));
        {
            let cache = Cache::open(Some(folder.path()));
            (0..4).for_each(|n| cache.remember(&app, Some(&tag(&format!("t{n}"))), &image(n)));
            cache.remember(&other, Some(&tag("t0")), &image(9));
            // Who comes second works without.
            let second = Cache::open(Some(folder.path()));
            assert_eq!(second.tag(&app, &tag("t0")), None);
            second.remember(&app, None, &image(7));
            assert_eq!(second.image(&image(7).digest), Some(image(7)));
        }
        let cache = Cache::open(Some(folder.path()));
        assert_eq!(cache.tag(&app, &tag("t3")), Some(image(3)));
        assert_eq!(cache.tag(&app, &tag("t2")), Some(image(2)));
        cache.keep_listed(&app, &HashSet::from([&tag("t3")]));
        assert_eq!((cache.tag(&app, &tag("t3")), cache.tag(&app, &tag("t2"))), (Some(image(3)), None));
        assert_eq!(cache.tag(&other, &tag("t0")), Some(image(9)));
        let page = Page { etag: "\"x\"".to_owned(), tags: vec!["a".to_owned()], next: None };
        cache.remember_page("r.io", "/v2/app/tags/list", &page);
        assert_eq!(cache.page("r.io", "/v2/app/tags/list"), Some(page));
    }

    #[test]
    fn a_file_that_is_not_sound_is_made_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(FILE);
        let app = repository("r.io/app");
        let filled = || {
            let cache = Cache::open(Some(folder.path()));
            (0..200).for_each(|n| cache.remember(&app, Some(&tag(&format!("t{n}"))), &image(n)));
            drop(cache);
            std::fs::read(&file).expect("a file")
        };
        let good = filled();
        let usable = || {
            let cache = Cache::open(Some(folder.path()));
            (0..200).for_each(|n| {
                let known = cache.tag(&app, &tag(&format!("t{n}")));
                assert!(known.is_none_or(|known| known == image(n)));
            });
            cache.remember(&app, None, &image(1));
            assert_eq!(cache.image(&image(1).digest), Some(image(1)));
        };
        let mut random = fastrand::Rng::with_seed(7);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() != Some(OPENING) {
                hook(panic);
            }
        }));
        for round in 0..60 {
            let mut bad = good.clone();
            match round {
                0 => bad.clear(),
                1 => bad = b"not a database at all".to_vec(),
                2..10 => bad.truncate(random.usize(..good.len())),
                _ => (0..random.usize(1..40)).for_each(|_| bad[random.usize(..good.len())] = random.u8(..)),
            }
            std::fs::write(&file, bad).expect("written");
            usable();
        }
        let _ = std::panic::take_hook();
    }
}
