//! A registry, a git server and an infrastructure repository together.

use std::path::{Path, PathBuf};

use super::git::{Origin, Sshd};
use super::registry::{Kind, Registry};
use super::tagalong::{Run, run};

/// The setup for most tests: real servers on loopback, all gone at the end.
pub struct Stage {
    pub folder: tempfile::TempDir,
    pub registry: Registry,
    pub sshd: Sshd,
    pub origin: Origin,
}

impl Stage {
    /// Starts the servers; in the files, `HOST` is replaced by the registry.
    pub fn new(files: &[(&str, &str)]) -> Stage {
        Stage::with_registry(Kind::Plain, files)
    }

    /// The same with another kind of registry.
    pub fn with_registry(kind: Kind, files: &[(&str, &str)]) -> Stage {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = Registry::start(&folder.path().join("registry"), kind);
        let sshd = Sshd::start(&folder.path().join("sshd"));
        let host = registry.host();
        let files: Vec<(&str, String)> =
            files.iter().map(|(name, text)| (*name, text.replace("HOST", &host))).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let origin = Origin::create(&folder.path().join("infra.git"), &files);
        Stage { folder, registry, sshd, origin }
    }

    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    /// A configuration that follows SHA tags of all images below `org/`.
    pub fn config(&self) -> PathBuf {
        let text = format!(
            "{}registries:\n- {{ host: \"{host}\", plainHttp: true }}\npolicies:\n- images: [\"{host}/org/*\"]\n  tags: {{ sha: {{ order: built }} }}\nagent: {{ interval: 200ms, listen: \"127.0.0.1:0\" }}\n",
            self.sshd.config(&self.origin),
            host = self.registry.host()
        );
        let file = self.folder.path().join("tagalong.yaml");
        // Written only once, because concurrent processes read it.
        if file.exists() {
            return file;
        }
        std::fs::write(&file, text).expect("written");
        file
    }

    /// Writes the configuration with more lines in its `git` section to a file of its own.
    pub fn config_with(&self, name: &str, git: &str) -> PathBuf {
        let text = std::fs::read_to_string(self.config()).expect("there");
        let lines: String = git.lines().map(|line| format!("  {line}\n")).collect();
        let file = self.folder.path().join(name);
        std::fs::write(&file, text.replacen("git:\n", &format!("git:\n{lines}"), 1)).expect("written");
        file
    }

    /// Runs the program with the configuration.
    pub fn tagalong(&self, arguments: &[&str]) -> Run {
        let config = self.config().display().to_string();
        let mut all = arguments.to_vec();
        all.extend(["--config", &config]);
        run(self.home(), &all)
    }

    /// The full name of an image of the registry.
    pub fn image(&self, name: &str) -> String {
        format!("{}/org/{name}", self.registry.host())
    }
}
