//! Keys and values in one file, written in batches. Deleting the file costs requests and nothing else.
//!
//! Whoever opens the file first has it; another process works without one meanwhile. A file of another version, and one
//! that is not sound, is replaced.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock};
use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, ReadableDatabase, TableDefinition, TableError};

/// The thread that opens the file. The library trusts its file, so one that was damaged makes it panic: that is no bug
/// of ours, and ends this thread only.
pub const OPENING: &str = "opening-the-cache";
/// Raise it when the meaning of an entry changes.
const VERSION: &str = "2";
const FILE: &str = "registries.redb";
/// How much of the file is kept in memory, in bytes.
const MEMORY: usize = 3 << 20;
/// Entries that wait to be written, at most, and their bytes. They are lost in a crash, and learned again.
const MOST_WAITING: usize = 1000;
const MOST_WAITING_BYTES: usize = 1 << 20;
/// A file below this size is not compacted, in bytes.
const SMALL: u64 = 4 << 20;

/// The version of the file.
const ABOUT: TableDefinition<'_, &str, &str> = TableDefinition::new("about");
const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");

type Failure = Box<dyn std::error::Error>;

/// Keys and values.
pub(super) struct Store {
    database: RwLock<Database>,
    file: Option<PathBuf>,
    waiting: Mutex<Waiting>,
    reads: AtomicU64,
}

/// Entries that are to be written; those without a value are to be removed.
#[derive(Debug, Default)]
struct Waiting {
    entries: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
    /// Bytes that were written or removed since it was last seen how much of the file is in use.
    written: u64,
}

impl Store {
    /// Opens the file in a folder; without one, or where that fails, all is in memory and ends with the process.
    pub(super) fn open(folder: Option<&Path>) -> Store {
        let opened = folder.and_then(on_disk);
        let file = opened.as_ref().and(folder).map(|folder| folder.join(FILE));
        let database = opened.or_else(in_memory);
        // Memory that cannot be had is no error that anybody could handle.
        let database = database.unwrap_or_else(|| unreachable!("a store in memory can always be made"));
        Store { database: RwLock::new(database), file, waiting: Mutex::default(), reads: AtomicU64::new(0) }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        if let Some(waiting) = self.waiting().entries.get(key) {
            return waiting.clone();
        }
        self.read(|database| {
            let transaction = database.begin_read()?;
            match transaction.open_table(ENTRIES) {
                Ok(entries) => Ok(entries.get(key)?.map(|value| value.value().to_vec())),
                Err(TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
        .flatten()
    }

    /// All entries whose keys begin with a prefix, by their keys. What `each` is given of a key is what follows the prefix.
    pub(super) fn scan(&self, prefix: &[u8], mut each: impl FnMut(&[u8], &[u8])) {
        let from = (Bound::Included(prefix.to_vec()), Bound::Unbounded);
        let waiting: Vec<(Vec<u8>, Option<Vec<u8>>)> = {
            let waiting = self.waiting();
            let below = waiting.entries.range(from).take_while(|(key, _)| key.starts_with(prefix));
            below.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let mut waiting = waiting.iter().peekable();
        let mut tell = |key: &[u8], value: Option<&[u8]>| {
            if let (Some(rest), Some(value)) = (key.strip_prefix(prefix), value) {
                each(rest, value);
            }
        };
        self.read(|database| {
            let transaction = database.begin_read()?;
            let entries = match transaction.open_table(ENTRIES) {
                Ok(entries) => entries,
                Err(TableError::TableDoesNotExist(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            for entry in entries.range(prefix..)? {
                let (key, value) = entry?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                while let Some((newer, instead)) = waiting.next_if(|(newer, _)| newer.as_slice() < key.value()) {
                    tell(newer, instead.as_deref());
                }
                match waiting.next_if(|(newer, _)| newer.as_slice() == key.value()) {
                    Some((newer, instead)) => tell(newer, instead.as_deref()),
                    None => tell(key.value(), Some(value.value())),
                }
            }
            Ok(())
        });
        waiting.for_each(|(key, value)| tell(key, value.as_deref()));
    }

    /// Writes an entry, by and by.
    pub(super) fn put(&self, key: Vec<u8>, value: Vec<u8>) {
        self.change(key, Some(value));
    }

    /// Removes entries, by and by.
    pub(super) fn remove(&self, keys: Vec<Vec<u8>>) {
        keys.into_iter().for_each(|key| self.change(key, None));
    }

    fn change(&self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let mut waiting = self.waiting();
        waiting.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        waiting.entries.insert(key, value);
        if waiting.entries.len() >= MOST_WAITING || waiting.bytes >= MOST_WAITING_BYTES {
            self.write(&mut waiting);
        }
    }

    /// Brings everything to the disk, and gives back to it what is not needed.
    pub(super) fn flush(&self) {
        let mut waiting = self.waiting();
        self.write(&mut waiting);
        let (reads, size) = (self.reads.swap(0, Ordering::Relaxed), self.size());
        tracing::debug!(reads, bytes = size, "the cache of registries was written");
        // To see how much is in use takes a walk over all of it.
        if size > SMALL && waiting.written * 2 > size {
            waiting.written = 0;
            self.compact(size);
        }
    }

    fn compact(&self, size: u64) {
        let mut database = self.database.write();
        let mut work = || -> Result<(), Failure> {
            let transaction = database.begin_write()?;
            let stats = transaction.stats()?;
            transaction.abort()?;
            if (stats.stored_bytes() + stats.metadata_bytes()) * 2 < size {
                database.compact()?;
                tracing::debug!(before = size, bytes = self.size(), "the cache of registries was compacted");
            }
            Ok(())
        };
        if let Err(error) = work() {
            tracing::debug!(%error, "the cache of registries was not compacted");
        }
    }

    /// The size of the file in bytes.
    fn size(&self) -> u64 {
        self.file.as_ref().and_then(|file| std::fs::metadata(file).ok()).map_or(0, |found| found.len())
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }

    /// Readers wait meanwhile: they would miss what has left memory and is not in the file yet.
    fn write(&self, waiting: &mut Waiting) {
        if waiting.entries.is_empty() {
            return;
        }
        waiting.written += std::mem::take(&mut waiting.bytes) as u64;
        let entries = std::mem::take(&mut waiting.entries);
        let written = {
            let database = self.database.read();
            write(&database, &entries)
        };
        match written {
            Ok(removed) => waiting.written += removed,
            Err(failure) => self.give_up(failure.as_ref()),
        }
    }

    fn read<T>(&self, work: impl FnOnce(&Database) -> Result<T, Failure>) -> Option<T> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let result = {
            let database = self.database.read();
            work(&database)
        };
        result.map_err(|failure| self.give_up(failure.as_ref())).ok()
    }

    /// A disk that is full or fails costs the cache, not the cycle.
    fn give_up(&self, failure: &dyn std::error::Error) {
        tracing::warn!(%failure, "the cache of registries cannot be used; going on without it");
        if let Some(database) = in_memory() {
            *self.database.write() = database;
        }
    }

    #[cfg(test)]
    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Writes entries; gives how many bytes were removed.
fn write(database: &Database, entries: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<u64, Failure> {
    let transaction = database.begin_write()?;
    let mut removed = 0;
    {
        let mut table = transaction.open_table(ENTRIES)?;
        for (key, value) in entries {
            match value {
                Some(value) => drop(table.insert(key.as_slice(), value.as_slice())?),
                None => {
                    if let Some(value) = table.remove(key.as_slice())? {
                        removed += (key.len() + value.value().len()) as u64;
                    }
                }
            }
        }
    }
    transaction.commit()?;
    Ok(removed)
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
        let path = file.clone();
        let work = move || sound(&path);
        let opened = std::thread::Builder::new().name(OPENING.to_owned()).spawn(work).ok()?.join();
        match opened {
            Ok(Ok(Some(database))) => return Some(database),
            Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => {
                tracing::debug!(file = %file.display(), "another process has the cache of registries; going on without");
                return None;
            }
            Ok(Ok(None) | Err(_)) | Err(_) => {
                tracing::info!(file = %file.display(), "the cache of registries is replaced by an empty one");
                std::fs::remove_file(&file).ok()?;
            }
        }
    }
    None
}

/// Opens a file and proves it; `None` when it is not to be used.
fn sound(file: &Path) -> Result<Option<Database>, DatabaseError> {
    let mut database = Database::builder().set_cache_size(MEMORY).create(file)?;
    if !database.check_integrity()? {
        return Ok(None);
    }
    let of_version = || -> Result<bool, Failure> {
        // Looked up before it is written: a commit waits for the disk.
        let said = match database.begin_read()?.open_table(ABOUT) {
            Ok(about) => about.get("version")?.map(|version| version.value() == VERSION),
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(is_ours) = said {
            return Ok(is_ours);
        }
        let transaction = database.begin_write()?;
        transaction.open_table(ABOUT)?.insert("version", VERSION)?;
        transaction.commit()?;
        Ok(true)
    };
    Ok(of_version().unwrap_or(false).then_some(database))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(store: &Store, prefix: &[u8]) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        store.scan(prefix, |key, value| found.push((text(key), text(value))));
        found
    }

    #[test]
    fn what_waits_is_read_as_if_it_were_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(Some(folder.path()));
        let put = |key: &str, value: &str| store.put(key.into(), value.into());
        ["a1", "b1", "b3", "b5", "c1"].iter().for_each(|key| put(key, "old"));
        store.flush();
        put("b0", "new");
        put("b3", "new");
        put("b9", "new");
        store.remove(vec!["b5".into()]);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let expected = [pair("0", "new"), pair("1", "old"), pair("3", "new"), pair("9", "new")];
        assert_eq!(all(&store, b"b"), expected);
        assert_eq!((store.get(b"b3"), store.get(b"b5")), (Some(b"new".to_vec()), None));
        store.flush();
        assert_eq!(all(&store, b"b"), expected);
        drop(store);
        assert_eq!(all(&Store::open(Some(folder.path())), b"b"), expected);
    }

    #[test]
    fn what_is_removed_makes_the_file_smaller_while_it_is_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(Some(folder.path()));
        let key = |n: u32| n.to_be_bytes().to_vec();
        (0..20_000).for_each(|n| store.put(key(n), vec![7; 500]));
        store.flush();
        let large = store.size();
        store.remove((1000..20_000).map(key).collect());
        store.flush();
        assert!(store.size() * 4 < large, "{} of {large}", store.size());
        assert!((0..1000).all(|n| store.get(&key(n)).is_some()) && store.get(&key(1000)).is_none());
    }

    #[test]
    fn a_file_that_is_not_sound_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(FILE);
        let key = |n: u32| n.to_be_bytes().to_vec();
        let store = Store::open(Some(folder.path()));
        (0..200).for_each(|n| store.put(key(n), vec![7; 40]));
        drop(store);
        let good = std::fs::read(&file).expect("a file");
        let usable = || {
            let store = Store::open(Some(folder.path()));
            assert!((0..200).all(|n| store.get(&key(n)).is_none_or(|value| value == [7; 40])));
            store.put(key(1), vec![8]);
            store.flush();
            assert_eq!(store.get(&key(1)), Some(vec![8]));
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
