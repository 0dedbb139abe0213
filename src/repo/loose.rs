//! Loose objects, looked at without libgit2: those that are incomplete, as a crash of the machine leaves them, and those that
//! cannot be large. libgit2 1.9 reads the former in an endless loop (its issue 7342), so they have to be found before it does.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use flate2::bufread::ZlibDecoder;
use git2::Oid;
use parking_lot::Mutex;

/// The objects that were found complete, by path, size and time of the last change.
static COMPLETE: LazyLock<Mutex<HashSet<u64>>> = LazyLock::new(Mutex::default);

/// The number of objects that are remembered; a clone has a few thousand at most.
const MOST_REMEMBERED: usize = 100_000;

/// The length of the longest header: type and size.
const MAX_HEADER: u64 = 64;

/// Deflate makes at most this many bytes of one (<https://zlib.net/zlib_tech.html>).
const MAX_EXPANSION: u64 = 1032;

/// As many objects in one of the 256 folders are many in all; `git gc --auto` estimates them by the same folder.
const MANY: usize = 4;
const SAMPLE: &str = "17";

/// Returns the folders of objects that have many loose ones: that of a repository, and those that it reads in place. A clone
/// has packs, but somebody's own repository may have thousands of loose objects.
pub(super) fn folders_with_many(repository: &Path) -> Vec<PathBuf> {
    let own = repository.join("objects");
    let others = fs::read_to_string(own.join("info/alternates")).unwrap_or_default();
    let folders = iter::once(own.clone()).chain(others.lines().map(|other| own.join(other)));
    folders.filter(|folder| fs::read_dir(folder.join(SAMPLE)).is_ok_and(|found| found.count() >= MANY)).collect()
}

/// Returns whether a folder has a loose object that takes so little space that it has at most `most` bytes. This takes a
/// fraction of the time that reading its header takes.
pub(super) fn is_small(objects: &Path, id: Oid, most: u64) -> bool {
    let name = id.to_string();
    let (folder, file) = name.split_at(2);
    fs::metadata(objects.join(folder).join(file)).is_ok_and(|metadata| metadata.len() * MAX_EXPANSION <= most)
}

/// Returns whether a file is the loose object of a clone (gitrepository-layout, `objects/[0-9a-f][0-9a-f]`).
pub(super) fn is_loose(objects: &Path, file: &Path) -> bool {
    let folder = file.parent().filter(|folder| folder.parent() == Some(objects));
    let name = folder.and_then(Path::file_name).and_then(|name| name.to_str());
    name.is_some_and(|name| name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Returns whether a loose object has as many bytes as its header says. One that has not changed is not read again.
pub(super) fn is_complete(file: &Path) -> bool {
    let Ok(metadata) = fs::metadata(file) else { return false };
    let known = fingerprint(file, &metadata);
    if COMPLETE.lock().contains(&known) {
        return true;
    }
    let is_complete = File::open(file).and_then(has_whole_body).unwrap_or(false);
    if is_complete {
        let mut complete = COMPLETE.lock();
        if complete.len() >= MOST_REMEMBERED {
            complete.clear();
        }
        complete.insert(known);
    }
    is_complete
}

fn fingerprint(file: &Path, metadata: &Metadata) -> u64 {
    let mut hasher = DefaultHasher::new();
    (file, metadata.len(), metadata.modified().ok()).hash(&mut hasher);
    hasher.finish()
}

/// Reads an object: `TYPE SIZE`, a zero byte and SIZE bytes, compressed.
fn has_whole_body(file: File) -> io::Result<bool> {
    let mut object = BufReader::new(ZlibDecoder::new(BufReader::new(file)));
    let mut header = Vec::new();
    object.by_ref().take(MAX_HEADER).read_until(0, &mut header)?;
    let header = std::str::from_utf8(&header).ok().and_then(|header| header.strip_suffix('\0'));
    let size = header.and_then(|header| header.split_once(' ')).and_then(|(_, size)| size.parse::<u64>().ok());
    Ok(size == Some(io::copy(&mut object, &mut io::sink())?))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    #[test]
    fn an_object_that_was_cut_off_anywhere_is_not_complete() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        let body: String = (0..2_000).map(|n| format!("{n}\n")).collect();
        write!(encoder, "blob {}\0{body}", body.len()).expect("written");
        let bytes = encoder.finish().expect("compressed");
        let file = folder.path().join("object");
        let is_complete_with = |bytes: &[u8]| {
            fs::write(&file, bytes).expect("written");
            COMPLETE.lock().clear();
            is_complete(&file)
        };
        assert!(is_complete_with(&bytes));
        for length in [0, 1, 2, 10, 100, bytes.len() / 2, bytes.len() - 20] {
            assert!(!is_complete_with(&bytes[..length]), "{length}");
        }
        assert!(!is_complete_with(&[0; 100]) && !is_complete(&folder.path().join("missing")));
    }

    #[test]
    fn an_object_is_small_only_if_nothing_can_make_it_large() {
        let folder = tempfile::tempdir().expect("a folder");
        let repository = git2::Repository::init_bare(folder.path()).expect("a repository");
        let objects = folder.path().join("objects");
        let most = 1 << 20;
        for (size, small) in [(0, true), (1_000, true), (most / 2, true), (most + 1, false), (10 * most, false)] {
            // Nothing is compressed better than zeros.
            let id = repository.blob(&vec![0; size]).expect("a blob");
            let name = id.to_string();
            let file = objects.join(&name[..2]).join(&name[2..]);
            let mut best = ZlibEncoder::new(Vec::new(), Compression::best());
            write!(best, "blob {size}\0").and_then(|()| best.write_all(&vec![0; size])).expect("written");
            fs::remove_file(&file).expect("removed");
            fs::write(&file, best.finish().expect("compressed")).expect("written");
            assert_eq!(is_small(&objects, id, most as u64), small, "{size}");
        }
        let missing = Oid::from_bytes(&[7; 20]).expect("an ID");
        assert!(!is_small(&objects, missing, most as u64));
    }

    #[test]
    fn many_loose_objects_are_noticed_also_in_a_repository_that_is_read_in_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let [origin, clone] = ["origin", "clone"].map(|name| folder.path().join(name));
        git2::Repository::init_bare(&clone).expect("a repository");
        let repository = git2::Repository::init_bare(&origin).expect("a repository");
        let objects = origin.join("objects");
        fs::write(clone.join("objects/info/alternates"), format!("{}\n", objects.display())).expect("written");
        assert_eq!(folders_with_many(&clone), Vec::<PathBuf>::new());
        for n in 0..3_000_u32 {
            repository.blob(&n.to_le_bytes()).expect("a blob");
        }
        assert_eq!(folders_with_many(&clone), [objects]);
    }

    #[test]
    fn only_loose_objects_are_looked_at() {
        let objects = Path::new("/c/clone.git/objects");
        assert!(is_loose(objects, &objects.join("0a/bcdef")));
        for other in ["pack/pack-1.pack", "info/alternates", "0a/b/c", "0a"] {
            assert!(!is_loose(objects, &objects.join(other)), "{other}");
        }
    }
}
