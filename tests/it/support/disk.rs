//! A small file system in memory, for users who may mount one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// It is mounted until this value is dropped.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one with a size such as `512k` on a folder; `None` if the user may not.
    pub fn mount(folder: &Path, size: &str) -> Option<SmallDisk> {
        fs::create_dir_all(folder).expect("a folder");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder).stderr(Stdio::null());
        let is_mounted = command.status().is_ok_and(|status| status.success());
        is_mounted.then(|| SmallDisk { folder: folder.to_owned() })
    }

    /// Fills the remaining space.
    #[allow(dead_code, reason = "the soak tests use it")]
    pub fn fill(&self) {
        let mut file = fs::File::create(self.filler()).expect("a file");
        let block = vec![0; 1 << 16];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
    }

    /// Frees the space again.
    #[allow(dead_code, reason = "the soak tests use it")]
    pub fn make_room(&self) {
        let _ = fs::remove_file(self.filler());
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.folder).status();
    }
}
