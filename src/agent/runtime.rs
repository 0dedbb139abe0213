//! What a configuration comes to, and a new one in its place while the agent runs.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cluster;
use crate::cluster::pending_rollouts::Ancestry;
use crate::fault::Explain;
use crate::notify::config::Channel;
use crate::repo::config::Branch;
use crate::secret::SafeUrl;

use super::config::Config;
use super::link::CommitLink;
use super::worker::CycleRunner;

/// What a configuration comes to.
pub struct Runtime {
    /// What runs the cycles.
    pub runner: Arc<dyn CycleRunner>,
    /// The agent's own settings.
    pub config: Config,
    /// The repository.
    pub repository: SafeUrl,
    /// Its branch.
    pub branch: Branch,
    /// Where news goes.
    pub notify: Vec<Channel>,
    /// What the cluster is asked.
    pub cluster: cluster::config::Config,
    /// Knows which commits of the repository hold which.
    pub ancestry: Arc<Ancestry>,
}

impl Runtime {
    /// Where commits can be looked at.
    pub fn commit_link(&self) -> Option<CommitLink> {
        self.config.commit_link.clone().or_else(|| CommitLink::of(&self.repository))
    }
}

/// Why a configuration is not taken.
pub type LoadError = Box<dyn Explain + Send + Sync>;

/// Reads the configuration.
pub type Load = dyn Fn() -> Result<Runtime, LoadError> + Send + Sync;

/// Where the configuration comes from.
pub struct ConfigSource {
    load: Box<Load>,
    file: Option<PathBuf>,
    seen: Option<Vec<u8>>,
}

impl ConfigSource {
    /// The configuration that `load` reads, from `file` if there is one. What the file says now counts as known, so this
    /// comes before it is read for the first time.
    pub fn new(file: Option<PathBuf>, load: Box<Load>) -> ConfigSource {
        let mut source = ConfigSource { load, file, seen: None };
        source.seen = source.bytes();
        source
    }

    /// Reads it again.
    pub fn read(&mut self) -> Result<Runtime, LoadError> {
        // Looked at first: what is written meanwhile shows as a change.
        self.seen = self.bytes();
        (self.load)()
    }

    /// Whether the file has come to say something else than when it was read. Its bytes are compared and nothing else,
    /// because Kubernetes swaps a symbolic link above it. A file that is gone for now has not changed.
    pub fn has_changed(&self) -> bool {
        self.bytes().is_some_and(|bytes| self.seen.as_ref() != Some(&bytes))
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        std::fs::read(self.file.as_ref()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_swapped_link_above_the_file_is_a_change_and_a_missing_file_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        // As Kubernetes mounts a ConfigMap: the file is a link into `..data`, which is a link to the newest folder.
        for (name, text) in [("..one", "a"), ("..two", "b")] {
            std::fs::create_dir(at(name)).expect("made");
            std::fs::write(at(name).join("tagalong.yaml"), text).expect("written");
        }
        symlink("..one", at("..data")).expect("linked");
        symlink("..data/tagalong.yaml", at("tagalong.yaml")).expect("linked");
        let load = || panic!("nobody asked for it");
        let source = ConfigSource::new(Some(at("tagalong.yaml")), Box::new(load));
        assert!(!source.has_changed());
        std::fs::write(at("..one/tagalong.yaml"), "a").expect("touched");
        assert!(!source.has_changed());
        symlink("..two", at("..tmp")).expect("linked");
        std::fs::rename(at("..tmp"), at("..data")).expect("swapped");
        assert!(source.has_changed());
        std::fs::remove_file(at("..data")).expect("removed");
        assert!(!source.has_changed());
    }
}
