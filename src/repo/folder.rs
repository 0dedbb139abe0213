//! The folder of a clone and its lock.
//!
//! In the cache folder, each URL has a folder with `lock` and `clone.git`, `renewed` after a clone was replaced, and `hangs`
//! after git did not return from a call. The lock is a kernel lock, which ends with the process. Whoever holds it may clean up after a killed process.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::config::Config;
use super::error::RepoError;
use super::loose::{is_complete, is_loose};

/// A folder that is ours until this value is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: Option<File>,
}

impl Folder {
    /// Returns the path of the clone of a repository. It can be read without the lock, but may disappear.
    pub fn clone_of(config: &Config) -> PathBuf {
        config.cache_dir.join(folder_name(config.url.expose())).join("clone.git")
    }

    /// Locks the folder of a repository, waiting for another process if necessary.
    pub fn take(config: &Config) -> Result<Folder, RepoError> {
        let path = config.cache_dir.join(folder_name(config.url.expose()));
        let fail = |source| RepoError::Folder { folder: path.clone(), source };
        fs::create_dir_all(&path).map_err(fail)?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join("lock")).map_err(fail)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                tracing::info!(folder = %path.display(), "waiting for another tagalong process that uses this clone");
                lock.lock().map_err(fail)?;
            }
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        }
        Ok(Folder { path, _lock: Some(lock) })
    }

    /// Returns the folder of a repository without locking it. The clone in it may only be read, and may disappear.
    pub fn unlocked(config: &Config) -> Folder {
        Folder { path: config.cache_dir.join(folder_name(config.url.expose())), _lock: None }
    }

    /// Returns the path of the bare clone.
    pub fn clone_path(&self) -> PathBuf {
        self.path.join("clone.git")
    }

    /// Removes what a killed process may have left in the clone: lock files, which would block git forever, and incomplete
    /// packs.
    pub fn sweep(&self) -> Result<Swept, RepoError> {
        let clone = self.clone_path();
        let mut swept = Swept { objects: 0, incomplete: None };
        for entry in walkdir::WalkDir::new(&clone).into_iter().filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy();
            let objects = clone.join("objects");
            let in_objects = entry.path().starts_with(&objects);
            let left_over = if in_objects { is_temporary_object(&name) } else { name.ends_with(".lock") };
            if entry.file_type().is_file() && left_over {
                remove(entry.path())?;
            } else if in_objects {
                swept.objects += 1;
                if swept.incomplete.is_none() && is_loose(&objects, entry.path()) && !is_complete(entry.path()) {
                    swept.incomplete = Some(entry.into_path());
                }
            }
        }
        Ok(swept)
    }

    /// Returns whether git did not return from a call in the clone, in a process that has ended since.
    pub fn has_hung(&self) -> bool {
        self.path.join(HANGS).exists()
    }

    /// Returns whether a broken clone was replaced less than an hour ago and the new one has not worked yet. Then it is not
    /// the clone that is broken.
    pub fn was_renewed_lately(&self) -> bool {
        let modified = fs::metadata(self.renewal()).and_then(|found| found.modified());
        modified.is_ok_and(|at| at.elapsed().is_ok_and(|since| since < RENEWALS_APART))
    }

    /// Records that a broken clone is replaced now.
    pub fn note_renewal(&self) -> Result<(), RepoError> {
        let file = self.renewal();
        fs::write(&file, "").map_err(|source| RepoError::Folder { folder: file, source })
    }

    /// Removes that record, because the clone works.
    pub fn forget_renewal(&self) {
        // If this fails, a clone that breaks within the hour is not replaced.
        let _ = fs::remove_file(self.renewal());
    }

    fn renewal(&self) -> PathBuf {
        self.path.join("renewed")
    }

    /// Removes the clone.
    pub fn discard(&self) -> Result<(), RepoError> {
        let path = self.clone_path();
        let removed = if path.is_file() { fs::remove_file(&path) } else { fs::remove_dir_all(&path) };
        match removed {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => other.map_err(|source| RepoError::Folder { folder: path, source })?,
        }
        let hang = self.path.join(HANGS);
        if hang.exists() { remove(&hang) } else { Ok(()) }
    }
}

/// The result of a sweep.
#[derive(Debug)]
pub struct Swept {
    /// The number of object files.
    pub objects: usize,
    /// An object that was not written to its end.
    pub incomplete: Option<PathBuf>,
}

/// Records that git does not return from a call in a clone, so that the clone is replaced when it is opened next.
pub(super) fn note_hang(clone: &Path) {
    let file = clone.with_file_name(HANGS);
    if let Err(error) = fs::write(&file, "") {
        tracing::warn!(file = %file.display(), %error, "cannot note that the clone is to be replaced");
    }
}

/// The file that exists after git did not return from a call.
const HANGS: &str = "hangs";

/// The time before a broken clone is replaced again. Cloning in each cycle would not help.
const RENEWALS_APART: Duration = Duration::from_secs(3600);

fn is_temporary_object(name: &str) -> bool {
    name.starts_with("tmp_") || name.starts_with("pack_git2_") || name.starts_with("streamed_git2_")
}

fn remove(path: &Path) -> Result<(), RepoError> {
    fs::remove_file(path).map_err(|source| RepoError::Folder { folder: path.to_owned(), source })
}

/// Returns the last two words of the URL, for people, and its hash, for uniqueness. Credentials only change the hash.
fn folder_name(url: &str) -> String {
    let words: Vec<&str> = url
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
        .filter(|word| !word.is_empty() && *word != "git")
        .collect();
    let readable = words[words.len().saturating_sub(2)..].join("-").to_ascii_lowercase();
    let hash = Sha256::digest(url.as_bytes());
    let hash: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{hash}", readable.chars().take(60).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_url_has_a_folder_that_people_recognise() {
        let name = folder_name("ssh://git@gitea.d-ma.be:2222/mathias/infra.git");
        assert!(name.starts_with("mathias-infra-"), "{name}");
        assert_ne!(name, folder_name("ssh://git@gitea.d-ma.be:22/mathias/infra.git"));
        assert!(!folder_name("https://user:hunter2@example.com/a/b").contains("hunter2"));
    }
}
