//! A folder of files as the kubelet mounts a Secret: each file is a link into `..data`, which is a link to the newest
//! version and is replaced atomically (`AtomicWriter` of Kubernetes).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A mounted Secret.
pub struct Mount {
    folder: PathBuf,
    versions: usize,
}

impl Mount {
    /// Mounts files with these names and contents.
    pub fn new(folder: &Path, files: &[(&str, &str)]) -> Mount {
        fs::create_dir_all(folder).expect("a folder");
        let mut mount = Mount { folder: folder.to_owned(), versions: 0 };
        mount.swap(files);
        for (name, _) in files {
            symlink(format!("..data/{name}"), folder.join(name)).expect("a link");
        }
        mount
    }

    /// Replaces all files at once.
    pub fn swap(&mut self, files: &[(&str, &str)]) {
        self.versions += 1;
        let version = format!("..version_{}", self.versions);
        fs::create_dir(self.folder.join(&version)).expect("a folder");
        for (name, content) in files {
            fs::write(self.folder.join(&version).join(name), content).expect("written");
        }
        symlink(&version, self.folder.join("..data_tmp")).expect("a link");
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).expect("swapped");
        if let Some(old) = self.versions.checked_sub(1).filter(|old| *old > 0) {
            fs::remove_dir_all(self.folder.join(format!("..version_{old}"))).expect("removed");
        }
    }

    /// The path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
