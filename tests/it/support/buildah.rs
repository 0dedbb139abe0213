//! Images built and pushed by buildah, without a daemon and without privileges.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::registry::Registry;

/// buildah with its storage in a folder of the test's own.
pub struct Buildah {
    pub folder: tempfile::TempDir,
}

impl Buildah {
    /// Starts with an empty storage.
    pub fn new() -> Buildah {
        Buildah { folder: tempfile::tempdir().expect("a folder") }
    }

    /// Runs buildah and returns its output.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let (storage, run_root) = (at("storage"), at("run"));
        let output = Command::new("buildah")
            .args(["--storage-driver", "vfs", "--root", &storage, "--runroot", &run_root])
            .args(arguments)
            .output()
            .expect("buildah starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "buildah {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Makes an image with one file, built at a second of the epoch.
    pub fn image(&self, name: &str, architecture: &str, format: &str, second: i64) {
        let file = self.folder.path().join("file");
        fs::write(&file, format!("{name} for {architecture}\n")).expect("written");
        let container = self.run(&["from", "scratch"]);
        self.run(&["copy", &container, path(&file), "/file"]);
        self.run(&["config", "--os", "linux", "--arch", architecture, &container]);
        let second = second.to_string();
        self.run(&["commit", "--quiet", "--rm", "--format", format, "--timestamp", &second, &container, name]);
    }

    /// Pushes an image, with more arguments for `buildah push`.
    pub fn push(&self, name: &str, registry: &Registry, repository: &str, tag: &str, arguments: &[&str]) {
        let to = format!("docker://{}/{repository}:{tag}", registry.host());
        self.run(&[&["push", "--quiet", "--tls-verify=false"], arguments, &[name, &to]].concat());
    }

    /// Pushes a list of images, each for a platform of its own.
    pub fn push_list(&self, names: &[&str], registry: &Registry, repository: &str, tag: &str, format: &str) {
        let list = format!("localhost/list-{tag}");
        self.run(&["manifest", "create", &list]);
        for name in names {
            self.run(&["manifest", "add", &list, &format!("containers-storage:localhost/{name}")]);
        }
        let to = format!("docker://{}/{repository}:{tag}", registry.host());
        self.run(&["manifest", "push", "--quiet", "--all", "--tls-verify=false", "--format", format, &list, &to]);
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
