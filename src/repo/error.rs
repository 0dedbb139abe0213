//! What goes wrong on the repository side.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::fault::{Explain, Fault};
use crate::secret::SafeUrl;

use super::config::Branch;
use super::known_hosts::Fingerprint;

/// What goes wrong on the repository side.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// The git server could not be reached, or the connection broke.
    #[error("cannot reach {url}")]
    Unreachable {
        /// The repository.
        url: SafeUrl,
        /// Why.
        #[source]
        source: Outage,
    },
    /// The server's certificate is not one to trust.
    #[error("{url} has a certificate that is not trusted")]
    Certificate {
        /// The repository.
        url: SafeUrl,
        /// Why.
        #[source]
        source: Words,
    },
    /// The server redirects to where nobody allowed to go.
    #[error("{url} redirects to {to}, {why}")]
    Redirected {
        /// The repository.
        url: SafeUrl,
        /// Where to, without credentials and query.
        to: String,
        /// Why it is not followed.
        why: &'static str,
    },
    /// The server says that there is no such repository, or none that we may see.
    #[error("{url} was not found: {words}")]
    NotFound {
        /// The repository.
        url: SafeUrl,
        /// The server's words.
        words: String,
    },
    /// The server knows who we are and gives us no access.
    #[error("{url} gives no access: {words}")]
    NoAccess {
        /// The repository.
        url: SafeUrl,
        /// The server's words.
        words: String,
    },
    /// The server refused our credentials.
    #[error("{url} refused the credentials: {with}")]
    Denied {
        /// The repository.
        url: SafeUrl,
        /// What was offered.
        with: String,
    },
    /// Credentials would travel in clear text.
    #[error("{url} is plain http: the credentials would travel in clear text")]
    ClearText {
        /// The repository.
        url: SafeUrl,
    },
    /// No one has vouched for the host's key.
    #[error("the host key of {host} is not known: {fingerprint}")]
    UnknownHost {
        /// The host, as known_hosts writes it.
        host: String,
        /// The file that was looked in.
        file: PathBuf,
        /// The line to add once the key has been checked.
        line: String,
        /// The key's fingerprint.
        fingerprint: Fingerprint,
    },
    /// The host's key is another than the one on file.
    #[error("the host key of {host} is NOT the one in {}: someone may be listening in", file.display())]
    HostKeyChanged {
        /// The host, as known_hosts writes it.
        host: String,
        /// The file.
        file: PathBuf,
    },
    /// The host's key is one that the file revokes.
    #[error("the host key of {host} is revoked in {}", file.display())]
    HostKeyRevoked {
        /// The host, as known_hosts writes it.
        host: String,
        /// The file.
        file: PathBuf,
    },
    /// There is no repository at a path of this machine.
    #[error("there is no git repository at {url}")]
    Missing {
        /// The path.
        url: SafeUrl,
    },
    /// The repository has no commit.
    #[error("{url} is empty: it has no branch at all")]
    Empty {
        /// The repository.
        url: SafeUrl,
    },
    /// The branch is not there.
    #[error("{url} has no branch {branch}")]
    BranchMissing {
        /// The repository.
        url: SafeUrl,
        /// The branch.
        branch: Branch,
        /// Some that it has.
        existing: Vec<String>,
    },
    /// A file with credentials or known hosts cannot be read.
    #[error("cannot read {}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file with certificate authorities cannot be used.
    #[error("{} holds no certificate authorities", file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: Words,
    },
    /// A private key cannot be used.
    #[error("cannot use the key {}", file.display())]
    Key {
        /// The file of the key.
        file: PathBuf,
        /// Why.
        #[source]
        source: Words,
    },
    /// The server said no to the push, in its own words.
    #[error("{url} refused the push to {branch}: {words}")]
    Refused {
        /// The repository.
        url: SafeUrl,
        /// The branch.
        branch: Branch,
        /// The server's words.
        words: String,
    },
    /// The server takes no push options.
    #[error("{url} does not take push options")]
    NoPushOptions {
        /// The repository.
        url: SafeUrl,
    },
    /// The folder of the clone cannot be used.
    #[error("cannot use {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Connections cannot be set up on this machine.
    #[error("cannot set up connections to git servers")]
    Setup {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Git failed on this machine.
    #[error("{doing} failed")]
    Git {
        /// What was being done.
        doing: String,
        /// Why.
        #[source]
        source: git2::Error,
    },
    /// A commit that would change nothing was asked for: a bug.
    #[error("the commit would change nothing")]
    NothingChanged,
}

/// Why a server could not be reached, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum Outage {
    /// There is no connection.
    #[error("{0}")]
    NoConnection(String),
    /// The connection ended before the work was done.
    #[error("the connection broke: {0}")]
    Cut(String),
    /// The server said nothing for too long.
    #[error("no answer within {limit:?}")]
    Silent {
        /// How long that was.
        limit: Duration,
    },
    /// The work as a whole took too long.
    #[error("not done after {limit:?}")]
    TooLong {
        /// How long that was.
        limit: Duration,
    },
    /// The server answered with an error of its own, or with something that is not git.
    #[error("{0}")]
    Answer(String),
}

/// Someone else's words, with credentials taken out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Words(pub String);

impl RepoError {
    pub(super) fn git(doing: impl Into<String>) -> impl FnOnce(git2::Error) -> RepoError {
        let doing = doing.into();
        move |source| RepoError::Git { doing, source }
    }
}

impl Explain for RepoError {
    fn fault(&self) -> Fault {
        match self {
            RepoError::Unreachable { .. } => Fault::Transient,
            RepoError::Denied { .. }
            | RepoError::NoAccess { .. }
            | RepoError::NotFound { .. }
            | RepoError::Certificate { .. }
            | RepoError::UnknownHost { .. }
            | RepoError::HostKeyChanged { .. }
            | RepoError::HostKeyRevoked { .. } => Fault::Denied,
            RepoError::Redirected { .. }
            | RepoError::ClearText { .. }
            | RepoError::Missing { .. }
            | RepoError::Empty { .. }
            | RepoError::BranchMissing { .. }
            | RepoError::NoPushOptions { .. }
            | RepoError::Unreadable { .. }
            | RepoError::Authorities { .. }
            | RepoError::Key { .. } => Fault::BadInput,
            RepoError::Refused { .. } => Fault::Refused,
            RepoError::Folder { .. } | RepoError::Setup { .. } | RepoError::Git { .. } => Fault::Local,
            RepoError::NothingChanged => Fault::Bug,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            RepoError::Unreachable { .. } => "check the URL, the network and that the git server runs".to_owned(),
            RepoError::Denied { url, .. } if url.scheme() == "ssh" => {
                "add the public half of the key to the repository as a deploy key with write access".to_owned()
            }
            RepoError::Denied { .. } => {
                "check git.https.tokenFile; the token needs write access to the repository".to_owned()
            }
            RepoError::NoAccess { .. } => "give the bot's key or token access to the repository".to_owned(),
            RepoError::NotFound { .. } => {
                "check git.url; many servers say the same of a repository that the key or token has no access to".to_owned()
            }
            RepoError::Certificate { .. } => "if a private authority signed it, name that in git.https.caFile".to_owned(),
            RepoError::Redirected { .. } => {
                "if that is where the repository is, set git.url to it".to_owned()
            }
            RepoError::ClearText { .. } => "use https:// or ssh://".to_owned(),
            RepoError::UnknownHost { file, line, .. } => {
                format!(
                    "check the key with the server's owner, then put its fingerprint under git.ssh.hostFingerprints or \
                     add this line to {}: {line}",
                    file.display()
                )
            }
            RepoError::HostKeyChanged { file, .. } => {
                format!("if the server was set up anew, replace its line in {}", file.display())
            }
            RepoError::HostKeyRevoked { .. } => "ask the server's owner for its new key; nothing was sent".to_owned(),
            RepoError::Setup { .. } => return None,
            RepoError::Missing { .. } => "check git.url or --git-url; a relative path is not understood".to_owned(),
            RepoError::Empty { .. } => "push a first commit to it".to_owned(),
            RepoError::BranchMissing { existing, .. } => {
                format!("set git.branch or --branch; the repository has {}", existing.join(", "))
            }
            RepoError::Unreadable { .. } => "check the path and who may read it".to_owned(),
            RepoError::Authorities { .. } => "check git.https.caFile; certificates in PEM are needed".to_owned(),
            RepoError::Key { .. } => {
                "check the file and its passphraseFile; ssh-keygen -p turns any SSH key into OpenSSH's own format"
                    .to_owned()
            }
            RepoError::Refused { .. } => "give the bot's key or token the right to push to this branch".to_owned(),
            RepoError::NoPushOptions { .. } => {
                "leave git.pushOptions out, or allow them on the server: git config receive.advertisePushOptions true"
                    .to_owned()
            }
            RepoError::Folder { .. } => "choose a folder that can be written with --cache-dir".to_owned(),
            RepoError::Git { .. } => {
                "if this stays, run `git fsck` on the repository; the folder of the clone can be deleted, nothing is lost by it"
                    .to_owned()
            }
            RepoError::NothingChanged => return None,
        })
    }
}
