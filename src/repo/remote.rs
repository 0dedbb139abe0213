//! A conversation with the remote: its references, its messages, and the error when it fails.

use std::cell::RefCell;
use std::rc::Rc;

use git2::{Direction, Oid, RemoteCallbacks, RemoteConnection, RemoteHead};

use super::config::{Branch, Config};
use super::error::{Outage, RepoError};
use super::transport::operation::Running;
use super::{local, local_push, transport, words};

/// A conversation of this thread with the remote, until the value is dropped.
pub(super) struct Conversation<'c> {
    config: &'c Config,
    running: Running,
    /// The server's messages.
    printed: Rc<RefCell<String>>,
}

/// What libgit2 puts before a message in the protocol.
const REMOTE_ERROR: &str = "remote error: ";

/// How much of the server's messages is kept.
const MOST_WORDS: usize = 4096;

impl<'c> Conversation<'c> {
    /// Starts a conversation. Credentials are read from their files now, so that a rotated one is used.
    pub fn begin(config: &'c Config) -> Result<Conversation<'c>, RepoError> {
        Ok(Conversation { config, running: transport::begin(config)?, printed: Rc::default() })
    }

    /// Returns callbacks for a fetch or a push, which keep the server's messages.
    pub fn callbacks<'a>(&self) -> RemoteCallbacks<'a> {
        let printed = Rc::clone(&self.printed);
        let mut callbacks = RemoteCallbacks::new();
        callbacks.sideband_progress(move |text| {
            let mut printed = printed.borrow_mut();
            if printed.len() < MOST_WORDS {
                printed.push_str(&String::from_utf8_lossy(text));
            }
            true
        });
        callbacks
    }

    /// Connects to the remote.
    pub fn connect<'r, 'a>(
        &self,
        remote: &'r mut git2::Remote<'a>,
    ) -> Result<RemoteConnection<'a, 'r, 'static>, RepoError> {
        self.connect_to(Direction::Fetch, remote)
    }

    fn connect_to<'r, 'a>(
        &self,
        direction: Direction,
        remote: &'r mut git2::Remote<'a>,
    ) -> Result<RemoteConnection<'a, 'r, 'static>, RepoError> {
        remote.connect_auth(direction, Some(self.callbacks()), None).map_err(|error| self.reason(error))
    }

    /// Returns the error of a failed operation: the transport's, or else libgit2's. Some servers put a refusal into the
    /// protocol, where libgit2 finds it (gitprotocol-pack, `error-line`).
    pub fn reason(&self, error: git2::Error) -> RepoError {
        let message = || redacted(self.config, error.message());
        let refused = || self.running.refused(message().strip_prefix(REMOTE_ERROR)?);
        let other = || RepoError::Unreachable { url: self.config.url.clone(), source: Outage::Answer(message()) };
        self.running.take_failure().or_else(refused).unwrap_or_else(other)
    }

    /// Returns the server's messages, line by line.
    pub fn printed(&self) -> Vec<String> {
        words::lines(&self.printed.borrow())
    }
}

/// Connects and returns the branch's tip, without fetching or writing anything.
pub fn probe(config: &Config) -> Result<String, RepoError> {
    if let Some(path) = config.url.local_path() {
        let branches = local::branches(config, path)?;
        return tip_of(config, local::named(&branches)).map(|tip| tip.to_string());
    }
    let conversation = Conversation::begin(config)?;
    let mut remote =
        git2::Remote::create_detached(config.url.expose()).map_err(RepoError::git("preparing the remote"))?;
    let connection = conversation.connect(&mut remote)?;
    let heads = connection.list().map_err(|error| conversation.reason(error))?;
    tip_of(config, named(heads)).map(|tip| tip.to_string())
}

/// Checks that the server accepts a push, without pushing: opens the service that receives pushes, reads its references,
/// and leaves. Rules for branches and hooks apply only to a push that changes something.
pub fn probe_push(config: &Config) -> Result<(), RepoError> {
    if let Some(path) = config.url.local_path() {
        return local_push::probe(config, path);
    }
    let conversation = Conversation::begin(config)?;
    let mut remote =
        git2::Remote::create_detached(config.url.expose()).map_err(RepoError::git("preparing the remote"))?;
    let connection = conversation.connect_to(Direction::Push, &mut remote)?;
    connection.list().map(drop).map_err(|error| conversation.reason(error))
}

/// Returns the branch's tip among all references of the remote.
pub(super) fn tip_of<'h>(
    config: &Config,
    heads: impl Iterator<Item = (&'h str, Oid)> + Clone,
) -> Result<Oid, RepoError> {
    let wanted = config.branch.reference();
    if let Some((_, tip)) = heads.clone().find(|(name, _)| *name == wanted) {
        return Ok(tip);
    }
    let branches = heads.filter_map(|(name, _)| name.strip_prefix("refs/heads/"));
    let existing: Vec<String> = branches.take(5).map(str::to_owned).collect();
    let (url, branch) = (config.url.clone(), config.branch.clone());
    Err(if existing.is_empty() { RepoError::Empty { url } } else { RepoError::BranchMissing { url, branch, existing } })
}

/// Returns a remote's references in the form of [`tip_of`].
pub(super) fn named<'h>(heads: &'h [RemoteHead<'_>]) -> impl Iterator<Item = (&'h str, Oid)> + Clone {
    heads.iter().map(|head| (head.name(), head.oid()))
}

/// Returns a branch's tip among all references, if it exists.
pub(super) fn find(heads: &[RemoteHead<'_>], branch: &Branch) -> Option<Oid> {
    let wanted = branch.reference();
    heads.iter().find(|head| head.name() == wanted).map(RemoteHead::oid)
}

/// Removes the URL's secrets from a message.
pub(super) fn redacted(config: &Config, words: &str) -> String {
    words.replace(config.url.expose(), &config.url.to_string())
}
