//! The settings of the repository side.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::identity::issuer::Issuer;
use crate::secret::SafeUrl;

use super::access::Access;
use super::known_hosts::Fingerprint;
use super::metrics::GitMetrics;
use super::signers::source::Trust;

/// The default number of commits in a first clone.
pub const USUAL_DEPTH: u32 = 200;

/// The default number of commits of history that are read at most.
pub const USUAL_HISTORY_LIMIT: u32 = 10_000;

/// The depth, and the limit, that means all of history.
pub const EVERYTHING: u32 = 0;

/// Settings of the git side.
#[derive(Debug, Clone)]
pub struct Config {
    /// The URL of the infrastructure repository.
    pub url: SafeUrl,
    /// The branch that is read and written.
    pub branch: Branch,
    /// The branch that proposals are pushed to, if changes are not pushed to `branch` directly.
    pub push_branch: Option<Branch>,
    /// Push options that are sent with every push (git-push, `--push-option`).
    pub push_options: Vec<String>,
    /// The folder for clones, with one folder per URL.
    pub cache_dir: PathBuf,
    /// The number of commits in a first clone; [`EVERYTHING`] for all.
    pub depth: u32,
    /// The number of commits of history that are read, and fetched for it, at most; [`EVERYTHING`] for no limit.
    pub history_limit: u32,
    /// How long to wait for a connection, and for each response on it.
    pub timeout: Duration,
    /// How to connect over ssh.
    pub ssh: Ssh,
    /// How to connect over https.
    pub https: Https,
    /// The author of the commits.
    pub author: Person,
    /// The committer.
    pub committer: Person,
    /// How commits are signed, if they are.
    pub signing: Option<Signing>,
    /// The keys whose commits count, and those with special rights.
    pub trust: Trust,
    /// The metrics that fetches and pushes count into.
    pub metrics: GitMetrics,
}

/// How to connect over ssh.
#[derive(Debug, Clone, Default)]
pub struct Ssh {
    /// The private key; `None` for the ssh agent.
    pub key_file: Option<PathBuf>,
    /// The file that holds the passphrase of the key.
    pub passphrase_file: Option<PathBuf>,
    /// The known hosts.
    pub known_hosts_file: PathBuf,
    /// Fingerprints of further trusted host keys.
    pub host_fingerprints: Vec<Fingerprint>,
}

/// How to connect over https.
#[derive(Debug, Clone, Default)]
pub struct Https {
    /// The user name; forges take any with a token.
    pub username: Option<String>,
    /// The file that holds the password or token; read again at each connection.
    pub token_file: Option<PathBuf>,
    /// An identity in place of a token in a file.
    pub identity: Option<Identity>,
    /// A PEM file with certificate authorities to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
}

/// An identity for which access tokens are issued.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Whoever issues them.
    pub issuer: Issuer,
    /// What they are needed for. Repositories that are only read may be public.
    pub access: Access,
}

/// How commits are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// The key; read again at each commit.
    pub key: SigningKeyFile,
    /// The file that holds its passphrase.
    pub passphrase_file: Option<PathBuf>,
}

/// The private key that signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SigningKeyFile {
    /// An OpenSSH private key.
    Ssh(PathBuf),
    /// An OpenPGP private key, armored or not.
    OpenPgp(PathBuf),
}

impl SigningKeyFile {
    /// Returns the file.
    pub fn path(&self) -> &Path {
        match self {
            SigningKeyFile::Ssh(file) | SigningKeyFile::OpenPgp(file) => file,
        }
    }
}

/// Name and address in a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The mail address.
    pub email: String,
}

/// The name of a branch, without `refs/heads/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch(String);

/// A text that is not the name of a branch (git-check-ref-format).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a valid branch name")]
pub struct BranchError(String);

impl Branch {
    /// The name as people write it: `main`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full name of the ref: `refs/heads/main`.
    pub fn reference(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

impl FromStr for Branch {
    type Err = BranchError;

    fn from_str(text: &str) -> Result<Self, BranchError> {
        if !text.starts_with('-') && git2::Reference::is_valid_name(&format!("refs/heads/{text}")) {
            Ok(Branch(text.to_owned()))
        } else {
            Err(BranchError(text.to_owned()))
        }
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
