//! Default locations of files and folders, from the environment.

use std::path::{Path, PathBuf};

use crate::repo::config::Ssh;

use super::overrides::Overrides;
use super::reader::Environment;

/// Returns the folder of clones and caches, if there is any place for it.
pub fn cache_dir(overrides: &Overrides, environment: Environment<'_>, home: Option<&Path>) -> Option<PathBuf> {
    let from_environment = || {
        let xdg = environment("XDG_CACHE_HOME").filter(|dir| dir.starts_with('/')).map(PathBuf::from);
        xdg.or_else(|| home.map(|home| home.join(".cache"))).map(|base| base.join("tagalong"))
    };
    overrides.cache_dir.clone().or_else(from_environment)
}

/// Fills in the user's known_hosts file where none is configured.
pub fn with_known_hosts(mut ssh: Ssh, home: Option<&Path>) -> Ssh {
    if ssh.known_hosts_file.as_os_str().is_empty() {
        ssh.known_hosts_file = home.unwrap_or(Path::new("")).join(".ssh/known_hosts");
    }
    ssh
}

/// Returns the file with registry credentials: REGISTRY_AUTH_FILE, else Docker's own file if it exists.
pub fn docker_config(environment: Environment<'_>, home: Option<&Path>) -> Option<PathBuf> {
    if let Some(file) = environment("REGISTRY_AUTH_FILE") {
        return Some(PathBuf::from(file));
    }
    let folder = environment("DOCKER_CONFIG").map(PathBuf::from).or_else(|| home.map(|home| home.join(".docker")));
    folder.map(|folder| folder.join("config.json")).filter(|file| file.exists())
}
