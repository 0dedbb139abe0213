//! The errors of the repository side.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::fault::{Explain, Fault};
use crate::identity::issuer_error::IssuerError;
use crate::secret::SafeUrl;
use crate::yaml::node::MAX_BYTES;

use super::access::Access;
use super::config::Branch;
use super::known_hosts::Fingerprint;

/// An error of the repository side.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum RepoError {
    /// The git server could not be reached, or the connection broke.
    #[error("cannot reach {url}")]
    Unreachable {
        url: SafeUrl,
        #[source]
        source: Outage,
    },
    /// The server's certificate is not trusted.
    #[error("{url} has a certificate that is not trusted")]
    Certificate {
        url: SafeUrl,
        #[source]
        source: Words,
    },
    /// The server redirects to a URL that must not be followed.
    #[error("{url} redirects to {to}, {why}")]
    Redirected { url: SafeUrl, to: String, why: &'static str },
    /// The server reports that the repository does not exist, or that we may not see it.
    #[error("no such repository: {url}: {words}")]
    NotFound { url: SafeUrl, words: String },
    /// The credentials are valid, but do not include a right.
    #[error("{url} refused the credentials for {access}: {words}")]
    NoAccess { url: SafeUrl, access: Access, words: String },
    /// The server requires credentials, and there are none.
    #[error("{url} requires credentials for {access}, and none are configured: {words}")]
    NoCredentials { url: SafeUrl, access: Access, words: String },
    /// The repository accepts pushes from nobody.
    #[error("{url} accepts no pushes: {words}")]
    Closed { url: SafeUrl, words: String },
    /// The server refused our credentials.
    #[error("{url} refused the credentials: {with}")]
    Denied { url: SafeUrl, with: String },
    /// No access token was issued for us.
    #[error(transparent)]
    Identity(#[from] IssuerError),
    /// The server refused an access token.
    #[error("{url} refused the credentials: {with}")]
    DeniedIdentity { url: SafeUrl, with: String },
    /// Credentials would be sent unencrypted.
    #[error("{url} is plain http: the credentials would travel in clear text")]
    ClearText { url: SafeUrl },
    /// The host's key is not known.
    #[error("the host key of {host} is not known: {fingerprint}")]
    UnknownHost { host: String, file: PathBuf, line: String, fingerprint: Fingerprint },
    /// The host's key differs from the known one.
    #[error("the host key of {host} is NOT the one in {}: someone may be listening in", file.display())]
    HostKeyChanged { host: String, file: PathBuf },
    /// The host's key is revoked.
    #[error("the host key of {host} is revoked in {}", file.display())]
    HostKeyRevoked { host: String, file: PathBuf },
    /// There is no repository at a local path.
    #[error("there is no git repository at {url}")]
    Missing { url: SafeUrl },
    /// The repository has no commit.
    #[error("{url} is empty: it has no branch at all")]
    Empty { url: SafeUrl },
    /// The branch does not exist.
    #[error("{url} has no branch {branch}")]
    BranchMissing { url: SafeUrl, branch: Branch, existing: Vec<String> },
    /// A file with credentials or known hosts cannot be read.
    #[error("cannot read {}", file.display())]
    Unreadable {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A file with certificate authorities cannot be used.
    #[error("{} contains no certificate authorities", file.display())]
    Authorities {
        file: PathBuf,
        #[source]
        source: Words,
    },
    /// A private key cannot be used.
    #[error("cannot use the key {}", file.display())]
    Key {
        file: PathBuf,
        #[source]
        source: Words,
    },
    /// A file of `trust.signers` cannot be used.
    #[error("cannot use the signers in {}", file.display())]
    Signers {
        file: PathBuf,
        #[source]
        source: Words,
    },
    /// Only signed commits count, and ours would not be signed.
    #[error("commits made with this configuration would not count: trust.signers is set, and git.signing is not")]
    Unsigned,
    /// Only commits by certain keys count, and our key is not among them.
    #[error("commits signed with {} would not count: none of trust.signers accepts them", file.display())]
    OwnSignature { file: PathBuf },
    /// Nobody has the right that a request needs.
    #[error("nobody has the right to do this: {keys} is not set")]
    NobodyListed { keys: String },
    /// A request has to be signed, and we have no key.
    #[error("this has to be signed, and git.signing is not set")]
    NoSigningKey,
    /// Our key does not have the right that a request needs.
    #[error("commits signed with {} have no effect here: {keys} does not list its key, or not for now", file.display())]
    NotListed { file: PathBuf, keys: String, listed: String },
    /// The server refused the push, with a message of its own.
    #[error("{url} refused the push to {branch}: {words}")]
    Refused { url: SafeUrl, branch: Branch, words: String },
    /// The server does not accept push options.
    #[error("{url} does not accept push options")]
    NoPushOptions { url: SafeUrl },
    /// The folder of the clone cannot be used.
    #[error("cannot use {}", folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A repository on this machine cannot be pushed to.
    #[error("a push could not be written to {}", folder.display())]
    NotWritable {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Connections cannot be set up on this machine.
    #[error("cannot set up connections to git servers")]
    Setup {
        #[source]
        source: io::Error,
    },
    /// A file of the repository is larger than what is read.
    #[error("{file} is too large: {size} bytes; files of up to {} MiB are read", MAX_BYTES >> 20)]
    TooLarge { file: String, size: u64 },
    /// A folder of the repository is nested deeper than folders are read.
    #[error("{folder} is nested too deeply: up to {most} levels of folders are read")]
    TooDeep { folder: String, most: usize },
    /// The tree has more files and folders than are read.
    #[error("the repository has too many files: up to {most} files and folders are read")]
    TooManyFiles { most: usize },
    /// Git does not return from a call on this machine.
    #[error("git hangs in the clone {}", folder.display())]
    Hangs { folder: PathBuf },
    /// Git failed on this machine.
    #[error("{doing} failed")]
    Git {
        doing: String,
        #[source]
        source: git2::Error,
    },
    /// A commit would change nothing, which is a bug.
    #[error("the commit would change nothing")]
    NothingChanged,
}

/// Why a server could not be reached, or the connection ended.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum Outage {
    /// Connecting failed.
    #[error("{0}")]
    NoConnection(String),
    /// The connection ended too early.
    #[error("the connection broke: {0}")]
    Cut(String),
    /// The server was silent for too long.
    #[error("no response within {limit:?}")]
    Silent { limit: Duration },
    /// The operation took too long.
    #[error("not finished after {limit:?}")]
    TooLong { limit: Duration },
    /// The server responded with an error, or with something other than git's protocol.
    #[error("{0}")]
    Answer(String),
}

/// A message from elsewhere, without credentials.
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
            RepoError::Identity(error) => error.fault(),
            RepoError::Denied { .. }
            | RepoError::DeniedIdentity { .. }
            | RepoError::NoAccess { .. }
            | RepoError::NoCredentials { .. }
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
            | RepoError::Key { .. }
            | RepoError::TooLarge { .. }
            | RepoError::TooDeep { .. }
            | RepoError::TooManyFiles { .. }
            | RepoError::Signers { .. }
            | RepoError::Unsigned
            | RepoError::NobodyListed { .. }
            | RepoError::NoSigningKey
            | RepoError::NotListed { .. }
            | RepoError::OwnSignature { .. } => Fault::BadInput,
            RepoError::Refused { .. } | RepoError::Closed { .. } => Fault::Refused,
            RepoError::Folder { .. }
            | RepoError::NotWritable { .. }
            | RepoError::Setup { .. }
            | RepoError::Git { .. }
            | RepoError::Hangs { .. } => Fault::Local,
            RepoError::NothingChanged => Fault::Bug,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            RepoError::Identity(error) => return error.help(),
            RepoError::DeniedIdentity { .. } => {
                "check that git.url is at the server that knows the identity, and that the identity may use the repository"
                    .to_owned()
            }
            RepoError::Unreachable { .. } => "check the URL, the network, and whether the git server is running".to_owned(),
            RepoError::Denied { url, .. } if url.scheme() == "ssh" => {
                "add the public half of the key to the repository as a deploy key with write access".to_owned()
            }
            RepoError::Denied { .. } => {
                "check git.https.tokenFile; the token needs write access to the repository".to_owned()
            }
            RepoError::NoAccess { url, access, .. } => right(url, *access).to_owned(),
            RepoError::NoCredentials { .. } => {
                "set git.https.tokenFile to a file with a token that may push to the repository".to_owned()
            }
            RepoError::Closed { .. } => "make the repository writable on the server, or set git.url to another".to_owned(),
            RepoError::NotFound { .. } => {
                "check git.url; many servers report the same if the key or token has no access to the repository".to_owned()
            }
            RepoError::Certificate { .. } => "if it was signed by a private authority, set git.https.caFile".to_owned(),
            RepoError::Redirected { .. } => {
                "if the repository is there, set git.url to it".to_owned()
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
                format!("if the server was reinstalled, replace its line in {}", file.display())
            }
            RepoError::HostKeyRevoked { .. } => "ask the server's owner for its new key".to_owned(),
            RepoError::Setup { .. } => return None,
            RepoError::Missing { .. } => "check git.url or --git-url; relative paths are not supported".to_owned(),
            RepoError::Empty { .. } => "push a first commit to it".to_owned(),
            RepoError::BranchMissing { existing, .. } => {
                format!("set git.branch or --branch; the repository has {}", existing.join(", "))
            }
            RepoError::Unreadable { .. } => "check the path and its permissions".to_owned(),
            RepoError::Authorities { .. } => "check git.https.caFile; it must contain PEM certificates".to_owned(),
            RepoError::Key { .. } => {
                "check the file and its passphraseFile; ssh-keygen -p turns any SSH key into OpenSSH's own format"
                    .to_owned()
            }
            RepoError::Signers { .. } => {
                "write lines of allowed_signers as in ssh-keygen(1), or an OpenPGP public key as `gpg --export` prints it"
                    .to_owned()
            }
            RepoError::Unsigned => {
                "set git.signing to a key, and add its public half to trust.signers in every configuration".to_owned()
            }
            RepoError::OwnSignature { .. } => {
                "add the public half of the key to trust.signers in every configuration, and check its options and expiry"
                    .to_owned()
            }
            RepoError::NobodyListed { .. } => {
                "list the keys of those who may, as lines of allowed_signers, in the agent's own file and in this one"
                    .to_owned()
            }
            RepoError::NoSigningKey => "set git.signing.sshKeyFile, or pass --signing-key-file".to_owned(),
            RepoError::NotListed { keys, listed, .. } => format!("{keys} lists {listed}"),
            RepoError::Refused { .. } => "give the bot's key or token the right to push to this branch".to_owned(),
            RepoError::NoPushOptions { .. } => {
                "remove git.pushOptions, or allow them on the server: git config receive.advertisePushOptions true"
                    .to_owned()
            }
            RepoError::Folder { .. } => "choose a writable folder with --cache-dir".to_owned(),
            RepoError::NotWritable { .. } => {
                "give the user that tagalong runs as write access to the repository".to_owned()
            }
            RepoError::TooLarge { .. } => "remove the file, or split it".to_owned(),
            RepoError::TooDeep { .. } => "move the folder further up, or remove it".to_owned(),
            RepoError::TooManyFiles { .. } => {
                "check the newest commits for a tree that contains itself many times over".to_owned()
            }
            RepoError::Hangs { .. } => {
                "the clone is replaced at the next start; if git hangs again, check the disk and run `git fsck` on the \
                 repository"
                    .to_owned()
            }
            RepoError::Git { .. } => {
                "if this persists, run `git fsck` on the repository; the folder of the clone can be deleted without loss"
                    .to_owned()
            }
            RepoError::NothingChanged => return None,
        })
    }
}

/// Returns how to grant a right.
fn right(url: &SafeUrl, access: Access) -> &'static str {
    match (access, url.scheme()) {
        (Access::Read, "ssh") => "add the key to the repository as a deploy key, or give its user access",
        (Access::Read, _) => "give the token and its user access to the repository",
        (Access::Write, "ssh") => {
            "add the deploy key with write access (Gitea, Forgejo: Enable Write Access; GitHub: Allow write access; \
             GitLab: Grant write permissions to this key), or give the key's user the right to push"
        }
        (Access::Write, _) => {
            "give the token write access (Gitea, Forgejo: write:repository; GitHub: Contents: Read and write, or the \
             scope repo; GitLab: write_repository), and its user the right to push"
        }
    }
}
