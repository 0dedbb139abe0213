//! Everything built from one configuration, and its replacement while the agent runs.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cluster;
use crate::cluster::rollout::Ancestry;
use crate::fault::Explain;
use crate::notify::config::Channel;
use crate::repo::config::Branch;
use crate::secret::SafeUrl;

use super::config::Config;
use super::link::CommitLink;
use super::worker::CycleRunner;

/// Everything built from one configuration.
pub struct Runtime {
    /// Runs the cycles.
    pub runner: Arc<dyn CycleRunner>,
    /// The agent's own settings.
    pub config: Config,
    /// The repository.
    pub repository: SafeUrl,
    /// Its branch.
    pub branch: Branch,
    /// The notification channels.
    pub notify: Vec<Channel>,
    /// Settings for leader election and Flux.
    pub cluster: cluster::config::Config,
    /// Knows which commits of the repository hold which.
    pub ancestry: Arc<Ancestry>,
}

impl Runtime {
    /// Returns the address of commits at the forge, if there is one.
    pub fn commit_link(&self) -> Option<CommitLink> {
        self.config.commit_link.clone().or_else(|| CommitLink::of(&self.repository))
    }
}

/// Why a configuration cannot be loaded.
pub type LoadError = Box<dyn Explain + Send + Sync>;

/// Loads the configuration.
pub type Load = dyn Fn() -> Result<Runtime, LoadError> + Send + Sync;

/// Loads the configuration, and detects changes of its file.
pub struct ConfigLoader {
    load: Box<Load>,
    file: Option<PathBuf>,
    seen: Option<Vec<u8>>,
}

impl ConfigLoader {
    /// A loader that calls `load`, which reads `file` if there is one. The current content of the file counts as known, so
    /// this has to be called before the first load.
    pub fn new(file: Option<PathBuf>, load: Box<Load>) -> ConfigLoader {
        let mut source = ConfigLoader { load, file, seen: None };
        source.seen = source.bytes();
        source
    }

    /// Loads the configuration again.
    pub fn read(&mut self) -> Result<Runtime, LoadError> {
        // The file is read first, so that a write in the meantime shows as a change.
        self.seen = self.bytes();
        (self.load)()
    }

    /// Whether the content of the file has changed since it was loaded. Only its bytes are compared, because Kubernetes
    /// swaps a symbolic link above it. A file that is missing for now has not changed.
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
    fn a_swapped_link_above_the_file_is_a_change_and_a_missing_file_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        // As Kubernetes mounts a ConfigMap: the file is a link into `..data`, which is a link to the newest folder.
        for (name, text) in [("..one", "a"), ("..two", "b")] {
            std::fs::create_dir(at(name)).expect("made");
            std::fs::write(at(name).join("tagalong.yaml"), text).expect("written");
        }
        symlink("..one", at("..data")).expect("linked");
        symlink("..data/tagalong.yaml", at("tagalong.yaml")).expect("linked");
        let load = || panic!("not expected to be called");
        let source = ConfigLoader::new(Some(at("tagalong.yaml")), Box::new(load));
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
