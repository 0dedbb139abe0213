//! Keys and values in one file, written in batches. Deleting the file only costs requests.
//!
//! The first process to open the file owns it; others work without it. A file that is damaged or of another version is
//! replaced.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, ReadableDatabase, TableDefinition, TableError};

/// The name of the thread that opens the file. The library trusts its file, so a damaged one makes it panic: that is
/// not a bug of tagalong, and ends only this thread.
pub const OPENING: &str = "opening-the-cache";
/// Raise it when the meaning of an entry changes.
const VERSION: &str = "2";
const FILE: &str = "registries.redb";
/// The size of the library's page cache, in bytes.
const MEMORY: usize = 3 << 20;
/// The most entries, and bytes of them, that are buffered before a write. A crash loses them, and they are fetched
/// again.
const MAX_BUFFERED: usize = 1000;
const MAX_BUFFERED_BYTES: usize = 1 << 20;
/// The smallest file that is compacted, in bytes.
const SMALL: u64 = 4 << 20;
/// The largest file, in bytes.
pub(super) const LARGEST: u64 = 256 << 20;
/// The most that is kept in memory without a file, as a part of that.
const IN_MEMORY: u64 = 4;

/// The version of the file.
const ABOUT: TableDefinition<'_, &str, &str> = TableDefinition::new("about");
const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");

type Failure = Box<dyn std::error::Error>;

/// A key-value store.
pub(super) struct Store {
    database: RwLock<Database>,
    file: Option<PathBuf>,
    buffer: Mutex<Buffer>,
    reads: AtomicU64,
    writes: AtomicU64,
    /// The largest size of the file.
    largest: u64,
    /// The bytes written to memory since they were last counted, in addition to those counted.
    in_memory: AtomicU64,
}

/// Entries to be written; those without a value are to be removed.
#[derive(Debug, Default)]
struct Buffer {
    entries: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
    /// The bytes written or removed since the file was last checked for unused space.
    written: u64,
}

impl Store {
    /// Opens the file in a folder; without a folder, or if that fails, everything is kept in memory.
    pub(super) fn open(folder: Option<&Path>, largest: u64) -> Store {
        let opened = folder.and_then(on_disk);
        let file = opened.as_ref().and(folder).map(|folder| folder.join(FILE));
        let database = opened.or_else(in_memory);
        // Running out of memory is not an error that could be handled.
        let database = database.unwrap_or_else(|| unreachable!("a store in memory can always be created"));
        Store {
            database: RwLock::new(database),
            file,
            buffer: Mutex::default(),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            largest,
            in_memory: AtomicU64::new(0),
        }
    }

    /// The number of times that buffered entries were written.
    pub(super) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Returns whether it is so large that something has to be removed. The library doubles a file that is full, so half
    /// of the limit must not be exceeded.
    pub(super) fn is_too_large(&self) -> bool {
        if self.file.is_some() {
            return self.size() > self.largest / 2;
        }
        let limit = self.largest / IN_MEMORY;
        if self.in_memory.load(Ordering::Relaxed) <= limit {
            return false;
        }
        // What was written may have replaced something.
        let stored = self.read(|database| Ok(database.begin_write()?.stats()?.stored_bytes())).unwrap_or_default();
        self.in_memory.store(stored, Ordering::Relaxed);
        stored > limit
    }

    /// The bytes that may be left once something had to be removed.
    pub(super) fn target(&self) -> u64 {
        let limit = if self.file.is_some() { self.largest / 2 } else { self.largest / IN_MEMORY };
        limit / 4
    }

    /// Writes everything, and makes the file as small as it can be. If that is not small enough, it is not used any
    /// more.
    pub(super) fn shrink(&self) {
        self.write(&mut self.buffer.lock());
        self.compact(u64::MAX);
        if self.is_too_large() {
            self.give_up(&std::io::Error::other("it cannot be made smaller"));
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        if let Some(buffer) = self.buffer.lock().entries.get(key) {
            return buffer.clone();
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

    /// Calls `each` for all entries whose keys begin with a prefix, in order of their keys, with the rest of the key.
    pub(super) fn scan(&self, prefix: &[u8], mut each: impl FnMut(&[u8], &[u8])) {
        let from = (Bound::Included(prefix.to_vec()), Bound::Unbounded);
        let buffer: Vec<(Vec<u8>, Option<Vec<u8>>)> = {
            let buffer = self.buffer.lock();
            let below = buffer.entries.range(from).take_while(|(key, _)| key.starts_with(prefix));
            below.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let mut buffer = buffer.iter().peekable();
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
                while let Some((newer, instead)) = buffer.next_if(|(newer, _)| newer.as_slice() < key.value()) {
                    tell(newer, instead.as_deref());
                }
                match buffer.next_if(|(newer, _)| newer.as_slice() == key.value()) {
                    Some((newer, instead)) => tell(newer, instead.as_deref()),
                    None => tell(key.value(), Some(value.value())),
                }
            }
            Ok(())
        });
        buffer.for_each(|(key, value)| tell(key, value.as_deref()));
    }

    /// Buffers an entry to be written.
    pub(super) fn put(&self, key: Vec<u8>, value: Vec<u8>) {
        self.change(key, Some(value));
    }

    /// Buffers entries to be removed.
    pub(super) fn remove(&self, keys: Vec<Vec<u8>>) {
        keys.into_iter().for_each(|key| self.change(key, None));
    }

    fn change(&self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let mut buffer = self.buffer.lock();
        buffer.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        buffer.entries.insert(key, value);
        if buffer.entries.len() >= MAX_BUFFERED || buffer.bytes >= MAX_BUFFERED_BYTES {
            self.write(&mut buffer);
        }
    }

    /// Writes everything to disk, and compacts the file if much of it is unused.
    pub(super) fn flush(&self) {
        let mut buffer = self.buffer.lock();
        self.write(&mut buffer);
        let (reads, size) = (self.reads.swap(0, Ordering::Relaxed), self.size());
        tracing::debug!(reads, bytes = size, "wrote the registry cache");
        // Measuring the used space walks the whole file.
        if size > SMALL && buffer.written * 2 > size {
            buffer.written = 0;
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
                tracing::debug!(before = size, bytes = self.size(), "compacted the registry cache");
            }
            Ok(())
        };
        if let Err(error) = work() {
            tracing::debug!(%error, "cannot compact the registry cache");
        }
    }

    /// The size of the file in bytes.
    fn size(&self) -> u64 {
        self.file.as_ref().and_then(|file| std::fs::metadata(file).ok()).map_or(0, |found| found.len())
    }

    /// Readers wait in the meantime: they would miss entries that have left the buffer and are not in the file yet.
    fn write(&self, buffer: &mut Buffer) {
        if buffer.entries.is_empty() {
            return;
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        let bytes = std::mem::take(&mut buffer.bytes) as u64;
        buffer.written += bytes;
        self.in_memory.fetch_add(bytes, Ordering::Relaxed);
        let entries = std::mem::take(&mut buffer.entries);
        let written = {
            let database = self.database.read();
            write(&database, &entries)
        };
        match written {
            Ok(removed) => buffer.written += removed,
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

    /// Continues in memory, because a full or failing disk must not fail the cycle.
    fn give_up(&self, failure: &dyn std::error::Error) {
        tracing::warn!(%failure, "cannot use the registry cache; continuing without it");
        if let Some(database) = in_memory() {
            *self.database.write() = database;
            self.in_memory.store(0, Ordering::Relaxed);
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

/// Writes entries; returns the number of bytes removed.
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

/// Opens the file in a folder, and replaces it if it is damaged or of another version; `None` if another process owns
/// it or it cannot be created.
fn on_disk(folder: &Path) -> Option<Database> {
    if let Err(error) = std::fs::create_dir_all(folder) {
        tracing::debug!(folder = %folder.display(), %error, "cannot create the registry cache");
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
                tracing::debug!(file = %file.display(), "another process owns the registry cache; continuing without it");
                return None;
            }
            Ok(Ok(None) | Err(_)) | Err(_) => {
                tracing::info!(file = %file.display(), "replacing the registry cache with an empty one");
                std::fs::remove_file(&file).ok()?;
            }
        }
    }
    None
}

/// Opens and checks a file; `None` if it is damaged or of another version.
fn sound(file: &Path) -> Result<Option<Database>, DatabaseError> {
    let mut database = Database::builder().set_cache_size(MEMORY).create(file)?;
    if !database.check_integrity()? {
        return Ok(None);
    }
    let of_version = || -> Result<bool, Failure> {
        // Read before it is written, because a commit waits for the disk.
        let version = match database.begin_read()?.open_table(ABOUT) {
            Ok(about) => about.get("version")?.map(|version| version.value() == VERSION),
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(is_ours) = version {
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
    fn buffered_entries_are_read_as_if_they_were_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(Some(folder.path()), LARGEST);
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
        assert_eq!(all(&Store::open(Some(folder.path()), LARGEST), b"b"), expected);
    }

    #[test]
    fn removing_entries_shrinks_the_file_while_it_is_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(Some(folder.path()), LARGEST);
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
    fn a_damaged_file_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(FILE);
        let key = |n: u32| n.to_be_bytes().to_vec();
        let store = Store::open(Some(folder.path()), LARGEST);
        (0..200).for_each(|n| store.put(key(n), vec![7; 40]));
        drop(store);
        let good = std::fs::read(&file).expect("a file");
        let usable = || {
            let store = Store::open(Some(folder.path()), LARGEST);
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
