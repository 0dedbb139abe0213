//! What is asked of any forge: which pull requests there are, and one to be opened, changed or closed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::config::{Config, Kind};
use super::error::ForgeError;
use super::transport::{Response, Transport};
use super::{gitea, github, gitlab, pulls};

/// More pages than this are not read; each holds 50 pull requests or more.
const PAGES: usize = 40;

/// A pull request from the branch for proposals to the branch that is read, both of the repository itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Where a browser shows it.
    pub url: String,
    /// Its text.
    pub text: String,
    /// What became of it.
    pub state: State,
}

/// What became of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It waits.
    Open,
    /// It was merged.
    Merged,
    /// It was closed without being merged.
    Closed {
        /// When.
        at: Timestamp,
        /// By whom, where the forge tells.
        by: Option<String>,
    },
}

/// What a pull request is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
}

/// One of the pull requests of a page.
#[derive(Debug)]
pub(super) struct ListedPullRequest {
    /// When it was changed last: pages begin with what was changed last.
    pub updated: Timestamp,
    /// What it is, if it is from the branch for proposals to the branch that is read.
    pub own: Option<PullRequest>,
}

/// What was seen of the pull requests; a cache.
#[derive(Debug, Default)]
struct Seen {
    own: BTreeMap<u64, PullRequest>,
    /// Everything that was changed before is in there.
    until: Option<Timestamp>,
}

/// The forge of a repository.
pub struct Forge {
    pub(super) config: Config,
    pub(super) transport: Transport,
    seen: Mutex<Seen>,
}

impl std::fmt::Debug for Forge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forge").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Forge {
    /// A forge; connects to nothing yet.
    pub fn new(config: Config) -> Result<Arc<Forge>, ForgeError> {
        let transport = Transport::new(&config)?;
        Ok(Arc::new(Forge { config, transport, seen: Mutex::default() }))
    }

    /// Host and port.
    pub fn host(&self) -> &str {
        self.config.api.host()
    }

    /// What people call a pull request there.
    pub fn name(&self, number: u64) -> String {
        match self.config.kind {
            Kind::Gitea | Kind::GitHub => format!("pull request #{number}"),
            Kind::GitLab => format!("merge request !{number}"),
        }
    }

    /// All pull requests of ours, by number. Of what was seen before only what has changed since is asked for, so one
    /// request is enough as a rule.
    pub async fn pull_requests(&self) -> Result<Vec<PullRequest>, ForgeError> {
        let until = self.lock().until;
        let mut newest = until;
        let mut found = Vec::new();
        for page in 1..=PAGES {
            let Response { body: listed, has_next } = self.page(page).await?;
            newest = newest.max(listed.iter().map(|listed| listed.updated).max());
            let is_known = until.is_some_and(|until| listed.iter().any(|listed| listed.updated < until));
            found.extend(listed.into_iter().filter_map(|listed| listed.own));
            if is_known || !has_next {
                break;
            }
        }
        let mut seen = self.lock();
        // The newest of a page comes first.
        for pull_request in found.into_iter().rev() {
            seen.own.insert(pull_request.number, pull_request);
        }
        seen.until = newest;
        Ok(seen.own.values().cloned().collect())
    }

    /// Those that were seen before, without asking.
    pub fn known(&self) -> Vec<PullRequest> {
        self.lock().own.values().cloned().collect()
    }

    /// Opens one.
    pub async fn open(&self, draft: &Draft) -> Result<PullRequest, ForgeError> {
        match self.config.kind {
            Kind::Gitea => gitea::open(self, draft).await,
            Kind::GitHub => github::open(self, draft).await,
            Kind::GitLab => gitlab::open(self, draft).await,
        }
    }

    /// Changes what one says.
    pub async fn change(&self, number: u64, draft: &Draft) -> Result<(), ForgeError> {
        match self.config.kind {
            Kind::Gitea | Kind::GitHub => pulls::change(self, number, draft).await,
            Kind::GitLab => gitlab::change(self, number, draft).await,
        }
    }

    /// Closes one, with another text and a comment that says why.
    pub async fn close(&self, number: u64, text: &str, why: &str) -> Result<(), ForgeError> {
        match self.config.kind {
            Kind::Gitea | Kind::GitHub => pulls::close(self, number, text, why).await,
            Kind::GitLab => gitlab::close(self, number, text, why).await,
        }
    }

    async fn page(&self, page: usize) -> Result<Response<Vec<ListedPullRequest>>, ForgeError> {
        match self.config.kind {
            Kind::Gitea => gitea::page(self, page).await,
            Kind::GitHub => github::page(self, page).await,
            Kind::GitLab => gitlab::page(self, page).await,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
