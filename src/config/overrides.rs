//! The flags that override the configuration file.

use std::path::PathBuf;

/// The flags that override the configuration file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// `--git-url`.
    pub git_url: Option<String>,
    /// `--branch`.
    pub branch: Option<String>,
    /// `--cache-dir`.
    pub cache_dir: Option<PathBuf>,
    /// `--path`.
    pub paths: Vec<String>,
    /// `--age-key-file`.
    pub age_key_files: Vec<PathBuf>,
    /// `--ssh-key-file`.
    pub ssh_key_file: Option<PathBuf>,
    /// `--known-hosts-file`.
    pub known_hosts_file: Option<PathBuf>,
    /// `--git-token-file`.
    pub git_token_file: Option<PathBuf>,
    /// `--git-username`.
    pub git_username: Option<String>,
    /// `--signing-key-file`.
    pub signing_key_file: Option<PathBuf>,
    /// `--registry-auth-file`.
    pub registry_auth_file: Option<PathBuf>,
}
