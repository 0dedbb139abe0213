//! A client for any forge: pull requests with their reviews, and the statuses of commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use parking_lot::Mutex;

use super::commit_status::{CommitStatus, NewStatus};
use super::config::{Config, Kind};
use super::error::ForgeError;
use super::pull_request::{Draft, ListedPullRequest, Merge, MergeResult, PullRequest, State};
use super::review::Review;
use super::rights::{self, Right};
use super::transport::{Response, Transport};
use super::{azure, bitbucket, datacenter, gitea, github, gitlab, lookup, merge, pulls, reviews, statuses};

/// The most pages that are read; each holds 50 pull requests or more.
const PAGES: usize = 40;

/// The time for all requests of an operation, as a multiple of the timeout of a request.
const WHOLE: u32 = 5;
/// The size of the texts on all pages, in bytes.
const TEXTS: usize = 32 << 20;

/// The newest pull requests that are read one by one where lists leave something out, and how many at a time.
const DETAILS: usize = 200;
const AT_A_TIME: usize = 4;

/// A cache of the pull requests that were listed before.
#[derive(Debug, Default)]
struct Seen {
    own: BTreeMap<u64, PullRequest>,
    /// All updates before this time are included.
    until: Option<Timestamp>,
}

/// A client for the forge of a repository.
pub struct Forge {
    transport: Transport,
    seen: Mutex<Seen>,
}

impl std::fmt::Debug for Forge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forge").field("config", self.config()).finish_non_exhaustive()
    }
}

impl Forge {
    /// Creates a client. Does not connect yet.
    pub fn new(config: Config) -> Result<Arc<Forge>, ForgeError> {
        let transport = Transport::new(config)?;
        Ok(Arc::new(Forge { transport, seen: Mutex::default() }))
    }

    /// Returns a client for the pull requests from another branch, with the same connections.
    pub fn for_branch(&self, head: &str) -> Arc<Forge> {
        let config = Config { head: head.to_owned(), ..self.config().clone() };
        Arc::new(Forge { transport: self.transport.with_config(config), seen: Mutex::default() })
    }

    fn config(&self) -> &Config {
        &self.transport.config
    }

    /// Host and port.
    pub fn host(&self) -> &str {
        self.config().api.host()
    }

    /// The name of a pull request, in the forge's own terms.
    pub fn name(&self, number: u64) -> String {
        match self.config().kind {
            Kind::Gitea | Kind::GitHub | Kind::Bitbucket | Kind::BitbucketDataCenter => {
                format!("pull request #{number}")
            }
            Kind::GitLab => format!("merge request !{number}"),
            Kind::AzureDevOps => format!("pull request !{number}"),
        }
    }

    /// The longest text that a pull request may have, in bytes.
    pub fn longest_text(&self) -> usize {
        match self.config().kind {
            // GitHub accepts 65,536 characters; on Azure DevOps, a long text becomes a comment, which may have 150,000.
            Kind::Gitea | Kind::GitHub | Kind::GitLab | Kind::AzureDevOps => 60_000,
            // Bitbucket Data Center accepts 32,768. The limit of Bitbucket Cloud is not documented.
            Kind::Bitbucket | Kind::BitbucketDataCenter => 30_000,
        }
    }

    /// All pull requests from the proposal branch, by number. Only those updated since the last call are requested, so
    /// one request is usually enough.
    pub async fn pull_requests(&self) -> Result<Vec<PullRequest>, ForgeError> {
        self.within_time(self.pull_requests_now()).await
    }

    /// Limits the time of everything that one operation takes, however often the forge responds.
    async fn within_time<T>(&self, work: impl Future<Output = Result<T, ForgeError>>) -> Result<T, ForgeError> {
        let after = self.config().timeout * WHOLE;
        let overdue = || ForgeError::TimedOut { host: self.host().to_owned(), after };
        tokio::time::timeout(after, work).await.unwrap_or_else(|_| Err(overdue()))
    }

    async fn pull_requests_now(&self) -> Result<Vec<PullRequest>, ForgeError> {
        let until = self.seen.lock().until;
        let mut newest = until;
        let (mut found, mut from) = (Vec::new(), 0);
        for _ in 0..PAGES {
            let (listed, next) = self.page(from).await?;
            newest = newest.max(listed.iter().map(|listed| listed.updated).max());
            let is_known = until.is_some_and(|until| listed.iter().any(|listed| listed.updated < until));
            found.extend(listed.into_iter().filter_map(|listed| listed.own));
            let texts: usize = found.iter().map(|pull_request: &PullRequest| pull_request.text.len()).sum();
            if texts > TEXTS {
                let (host, what) = (self.host().to_owned(), "the list of pull requests".to_owned());
                let reason = format!("their texts have more than {TEXTS} bytes");
                return Err(ForgeError::InvalidResponse { host, what, reason });
            }
            match next {
                Some(next) if !is_known => from = next,
                _ => break,
            }
        }
        let found = self.complete(found).await?;
        let mut seen = self.seen.lock();
        // A page begins with the newest.
        for mut pull_request in found.into_iter().rev() {
            if let Some(known) = seen.own.get(&pull_request.number) {
                keep_closer(known, &mut pull_request);
            }
            seen.own.insert(pull_request.number, pull_request);
        }
        seen.until = newest;
        Ok(seen.own.values().cloned().collect())
    }

    /// Adds what lists leave out of pull requests, unless it is known and final.
    async fn complete(&self, listed: Vec<PullRequest>) -> Result<Vec<PullRequest>, ForgeError> {
        let kind = self.config().kind;
        if !matches!(kind, Kind::Bitbucket | Kind::AzureDevOps) {
            return Ok(listed);
        }
        let completed = listed.into_iter().enumerate().map(|(index, listed)| async move {
            let known = self.seen.lock().own.get(&listed.number).cloned();
            match known {
                Some(known) if is_final(kind, &known.state, &listed.state) => Ok(known),
                _ if index >= DETAILS => Ok(listed),
                _ => lookup::read(&self.transport, listed.number).await.map(|(read, _)| read),
            }
        });
        stream::iter(completed).buffered(AT_A_TIME).try_collect().await
    }

    /// The pull requests that were listed before. Sends no request.
    pub fn known(&self) -> Vec<PullRequest> {
        self.seen.lock().own.values().cloned().collect()
    }

    /// Returns who closed a pull request at a time, if the forge reports that. On GitLab, Bitbucket Cloud and Azure DevOps,
    /// it is known once the pull requests are listed.
    pub async fn closed_by(&self, number: u64, at: Timestamp) -> Result<Option<String>, ForgeError> {
        let closer = match self.config().kind {
            Kind::Gitea => self.within_time(gitea::closed_by(&self.transport, number, at)).await?,
            Kind::GitHub => self.within_time(github::closed_by(&self.transport, number)).await?,
            Kind::BitbucketDataCenter => {
                self.within_time(datacenter::pulls::closed_by(&self.transport, number)).await?
            }
            Kind::GitLab | Kind::Bitbucket | Kind::AzureDevOps => None,
        };
        if let Some(State::Closed { by, .. }) = self.seen.lock().own.get_mut(&number).map(|known| &mut known.state) {
            by.clone_from(&closer);
        }
        Ok(closer)
    }

    /// Opens a pull request.
    pub async fn open(&self, draft: &Draft) -> Result<PullRequest, ForgeError> {
        match self.config().kind {
            Kind::Gitea => self.within_time(gitea::open(&self.transport, draft)).await,
            Kind::GitHub => self.within_time(github::open(&self.transport, draft)).await,
            Kind::GitLab => self.within_time(gitlab::open(&self.transport, draft)).await,
            Kind::Bitbucket => self.within_time(bitbucket::pulls::open(&self.transport, draft)).await,
            Kind::BitbucketDataCenter => self.within_time(datacenter::pulls::open(&self.transport, draft)).await,
            Kind::AzureDevOps => self.within_time(azure::pulls::open(&self.transport, draft)).await,
        }
    }

    /// Updates the title and description of a pull request.
    pub async fn update(&self, number: u64, draft: &Draft) -> Result<(), ForgeError> {
        match self.config().kind {
            Kind::Gitea | Kind::GitHub => pulls::update(&self.transport, number, draft).await,
            Kind::GitLab => gitlab::update(&self.transport, number, draft).await,
            Kind::Bitbucket => bitbucket::pulls::update(&self.transport, number, draft).await,
            Kind::BitbucketDataCenter => datacenter::pulls::update(&self.transport, number, draft).await,
            Kind::AzureDevOps => azure::pulls::update(&self.transport, number, draft).await,
        }
    }

    /// Closes a pull request, with a new description and a comment that gives the reason.
    pub async fn close(&self, number: u64, text: &str, why: &str) -> Result<(), ForgeError> {
        match self.config().kind {
            Kind::Gitea | Kind::GitHub => pulls::close(&self.transport, number, text, why).await,
            Kind::GitLab => gitlab::close(&self.transport, number, text, why).await,
            Kind::Bitbucket => bitbucket::pulls::close(&self.transport, number, text, why).await,
            Kind::BitbucketDataCenter => datacenter::pulls::close(&self.transport, number, text, why).await,
            Kind::AzureDevOps => azure::pulls::close(&self.transport, number, text, why).await,
        }
    }

    /// Reads a pull request, and how it was merged, if it was.
    pub async fn pull_request(&self, number: u64) -> Result<(PullRequest, Option<Merge>), ForgeError> {
        self.within_time(lookup::read(&self.transport, number)).await
    }

    /// Returns the latest review by each person, weighed for the pull request's current head.
    pub async fn reviews(&self, pull_request: &PullRequest) -> Result<Vec<Review>, ForgeError> {
        self.within_time(reviews::read(&self.transport, pull_request)).await
    }

    /// Merges a pull request if `head` is still its head. The title and text of `message` become those of the merge commit.
    /// The commits stay as they are, and with them signatures and trailers, unless a project on GitLab squashes them.
    pub async fn merge(&self, number: u64, head: &str, message: &Draft) -> Result<MergeResult, ForgeError> {
        self.within_time(merge::merge(&self.transport, number, head, message)).await
    }

    /// Returns the newest statuses of a commit with these contexts, check runs included; at most one for each context.
    pub async fn statuses(&self, commit: &str, contexts: &BTreeSet<String>) -> Result<Vec<CommitStatus>, ForgeError> {
        self.within_time(statuses::read(&self.transport, commit, contexts)).await
    }

    /// Sets a status of a commit.
    pub async fn set_status(&self, commit: &str, status: &NewStatus) -> Result<(), ForgeError> {
        statuses::set(&self.transport, commit, status).await
    }

    /// Checks that the token may open, label and close pull requests, without changing anything.
    pub async fn try_pull_requests(&self) -> Result<(), ForgeError> {
        self.within_time(rights::try_pull_requests(&self.transport)).await
    }

    /// Checks that the token may set statuses of commits, without changing anything.
    pub async fn try_statuses(&self) -> Result<(), ForgeError> {
        self.within_time(rights::try_right(&self.transport, Right::SetStatuses)).await
    }

    /// Returns a page of the list, and where the next one starts: the first one starts at 0. Some products count pages,
    /// others what is on them.
    async fn page(&self, from: usize) -> Result<(Vec<ListedPullRequest>, Option<usize>), ForgeError> {
        let (transport, page) = (&self.transport, from + 1);
        let next = |has_next: bool| has_next.then_some(page);
        let counted = |response: Response<Vec<ListedPullRequest>>| (response.body, next(response.has_next));
        match self.config().kind {
            Kind::Gitea => gitea::page(transport, page).await.map(counted),
            Kind::GitHub => github::page(transport, page).await.map(counted),
            Kind::GitLab => gitlab::page(transport, page).await.map(counted),
            Kind::Bitbucket => {
                bitbucket::pulls::page(transport, page).await.map(|(listed, has_next)| (listed, next(has_next)))
            }
            Kind::BitbucketDataCenter => datacenter::pulls::page(transport, from).await,
            Kind::AzureDevOps => azure::pulls::page(transport, from).await,
        }
    }
}

/// Returns whether nothing more can be learned of a pull request: it is closed, and was not opened since. On Bitbucket
/// Cloud, that is impossible, and lists do not tell when it was closed.
fn is_final(kind: Kind, known: &State, listed: &State) -> bool {
    match (known, listed) {
        (State::Merged { .. }, State::Merged { .. }) => true,
        (State::Closed { at: before, .. }, State::Closed { at, .. }) => before == at || kind == Kind::Bitbucket,
        _ => false,
    }
}

/// Keeps the name of who closed a pull request, which lists do not repeat.
fn keep_closer(known: &PullRequest, listed: &mut PullRequest) {
    if let (State::Closed { at: before, by: Some(who) }, State::Closed { at, by: by @ None }) =
        (&known.state, &mut listed.state)
        && before == at
    {
        *by = Some(who.clone());
    }
}
