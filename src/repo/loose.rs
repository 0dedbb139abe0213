//! Finds incomplete loose objects, as a crash of the machine leaves them. libgit2 1.9 reads them in an endless loop (its issue
//! 7342), so they have to be found before it does.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::LazyLock;

use flate2::bufread::ZlibDecoder;
use parking_lot::Mutex;

/// The objects that were found complete, by path, size and time of the last change.
static COMPLETE: LazyLock<Mutex<HashSet<u64>>> = LazyLock::new(Mutex::default);

/// The number of objects that are remembered; a clone has a few thousand at most.
const MOST_REMEMBERED: usize = 100_000;

/// The length of the longest header: type and size.
const MAX_HEADER: u64 = 64;

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
    fn only_loose_objects_are_looked_at() {
        let objects = Path::new("/c/clone.git/objects");
        assert!(is_loose(objects, &objects.join("0a/bcdef")));
        for other in ["pack/pack-1.pack", "info/alternates", "0a/b/c", "0a"] {
            assert!(!is_loose(objects, &objects.join(other)), "{other}");
        }
    }
}
