//! Fetching the remote's branch.

use git2::{FetchOptions, Oid};

use crate::progress;

use super::clone::{BareClone, CommitId, mirror_of, open_bare};
use super::config::{Branch, EVERYTHING};
use super::error::RepoError;
use super::local;
use super::metrics::GitOperation;
use super::remote::{self, Conversation};

impl BareClone {
    /// Returns the tip of the remote's branch after fetching everything needed to read it. An unchanged tip costs no
    /// download. A clone that turns out to be broken is replaced, once.
    #[tracing::instrument(level = "debug", skip_all)]
    pub fn fetch(self) -> Result<(BareClone, CommitId), RepoError> {
        match self.refresh() {
            Ok(tip) => Ok((self, tip)),
            Err(error @ RepoError::Git { .. }) => {
                let fresh = self.renew(error)?;
                let tip = fresh.refresh()?;
                Ok((fresh, tip))
            }
            Err(error) => Err(error),
        }
    }

    /// Fetches in the same way, but a broken clone is an error.
    pub fn refresh(&self) -> Result<CommitId, RepoError> {
        self.config.metrics.measure(GitOperation::Fetch, || {
            if let Some(path) = self.config.url.local_path() {
                return self.look_at(path);
            }
            let is_first = self.repository.find_reference(&self.mirror()).is_err();
            self.bring_over(if is_first { self.config.depth } else { AS_IT_IS }, Known::IsEnough)
        })
    }

    /// Fetches more of the history of the branch: several times as much as there is, up to the configured limit.
    pub fn deepen(&mut self) -> Result<Deepened, RepoError> {
        if self.config.url.local_path().is_some() || !self.repository.is_shallow() {
            return Ok(Deepened::NoMore);
        }
        let counting = || RepoError::git("counting commits");
        let here = self.count().map_err(counting())?;
        let limit = self.config.history_limit;
        if limit != EVERYTHING && here >= limit {
            return Ok(Deepened::AtLimit);
        }
        let depth = (here.max(self.config.depth) * 5).max(1_000);
        let depth = match limit {
            EVERYTHING if depth > LONGEST => ALL,
            EVERYTHING => depth,
            limit => depth.min(limit),
        };
        tracing::info!(here, depth, "more history is needed");
        self.config.metrics.measure(GitOperation::Fetch, || self.bring_over(depth, Known::AskAnyway))?;
        // libgit2 keeps the old boundary in memory.
        self.repository = open_bare(self.repository.path()).map_err(RepoError::git("opening the clone"))?;
        Ok(if self.count().map_err(counting())? > here { Deepened::More } else { Deepened::NoMore })
    }

    /// Counts the commits reachable from the tip.
    fn count(&self) -> Result<u32, git2::Error> {
        let _call = self.long_call();
        let mut walk = self.repository.revwalk()?;
        walk.push_ref(&self.mirror())?;
        let mut count: u32 = 0;
        for id in walk {
            id?;
            count = count.saturating_add(1);
        }
        Ok(count)
    }

    /// Returns the tip of a repository on this machine, whose objects are read in place.
    fn look_at(&self, path: &str) -> Result<CommitId, RepoError> {
        let config = &self.config;
        let branches = local::branches(config, path)?;
        let tip = remote::tip_of(config, local::named(&branches))?;
        let proposed = config.push_branch.as_ref().map(Branch::reference);
        let proposed = branches.iter().find(|(name, _)| Some(name) == proposed.as_ref()).map(|(_, at)| *at);
        for at in std::iter::once(tip).chain(proposed) {
            self.needs_whole(at)?;
        }
        self.note(&config.branch, tip)?;
        if let (Some(branch), Some(at)) = (&config.push_branch, proposed) {
            self.note(branch, at)?;
        }
        self.proposed.set(proposed.map(CommitId));
        Ok(CommitId(tip))
    }

    fn bring_over(&self, depth: u32, known: Known) -> Result<CommitId, RepoError> {
        let config = &self.config;
        let _call = self.long_call();
        let conversation = Conversation::begin(config)?;
        let mut remote =
            self.repository.remote_anonymous(config.url.expose()).map_err(RepoError::git("preparing the remote"))?;
        let mut connection = conversation.connect(&mut remote)?;
        let heads = connection.list().map_err(|error| conversation.reason(error))?;
        let tip = remote::tip_of(config, remote::named(heads))?;
        let proposals = config.push_branch.as_ref().and_then(|branch| Some((branch, remote::find(heads, branch)?)));
        self.proposed.set(proposals.map(|(_, at)| CommitId(at)));
        if known == Known::IsEnough && self.has_whole(tip) && proposals.is_none_or(|(_, at)| self.has_whole(at)) {
            self.note(&config.branch, tip)?;
            return Ok(CommitId(tip));
        }
        let mut options = FetchOptions::new();
        let mut callbacks = conversation.callbacks();
        callbacks.transfer_progress(|transfer| {
            progress::report("objects from git", transfer.received_objects(), transfer.total_objects());
            true
        });
        options.remote_callbacks(callbacks);
        options.download_tags(git2::AutotagOption::None);
        if depth > 0 {
            options.depth(i32::try_from(depth).unwrap_or(i32::MAX));
        }
        let branches = std::iter::once(&config.branch).chain(proposals.map(|(branch, _)| branch));
        let refspecs: Vec<String> =
            branches.map(|branch| format!("+{}:{}", branch.reference(), mirror_of(branch))).collect();
        connection
            .remote()
            .fetch(&refspecs, Some(&mut options), None)
            .map_err(|error| self.fetch_reason(&conversation, error))?;
        drop(options);
        drop(connection);
        let fetched = |branch: &Branch| {
            let id = self.repository.refname_to_id(&mirror_of(branch));
            id.map_err(RepoError::git(format!("reading the fetched tip of {branch}")))
        };
        let tip = fetched(&config.branch)?;
        if let Some((branch, _)) = proposals {
            self.proposed.set(Some(CommitId(fetched(branch)?)));
        }
        self.needs_whole(tip)?;
        Ok(CommitId(tip))
    }

    /// Returns the error of a failed fetch. Errors about writing the clone or about its objects are not the network's, and
    /// cloning again does not help if the clone cannot be written.
    fn fetch_reason(&self, conversation: &Conversation<'_>, error: git2::Error) -> RepoError {
        use git2::ErrorClass::{Indexer, Odb, Os, Reference, Zlib};
        let (folder, words) = (self.repository.path(), error.message());
        if error.class() == Os && CANNOT_WRITE.iter().any(|reason| words.contains(reason)) {
            return RepoError::Folder { folder: folder.to_owned(), source: std::io::Error::other(words.to_owned()) };
        }
        match error.class() {
            _ if words.contains(&*folder.to_string_lossy()) => {
                RepoError::Git { doing: "fetching".to_owned(), source: error }
            }
            Odb | Reference | Indexer | Zlib => RepoError::Git { doing: "fetching".to_owned(), source: error },
            _ => conversation.reason(error),
        }
    }

    fn needs_whole(&self, tip: Oid) -> Result<(), RepoError> {
        if self.has_whole(tip) {
            return Ok(());
        }
        let missing = git2::Error::from_str("objects of the fetched tip are missing");
        Err(RepoError::Git { doing: "fetching".to_owned(), source: missing })
    }

    /// Returns whether the clone has a commit and its root tree.
    fn has_whole(&self, tip: Oid) -> bool {
        let _call = self.short_call();
        self.repository.find_commit(tip).is_ok_and(|commit| commit.tree().is_ok())
    }
}

/// The system's messages when writing fails (strerror: ENOSPC, EDQUOT, EROFS, EACCES).
const CANNOT_WRITE: [&str; 4] =
    ["No space left on device", "Disk quota exceeded", "Read-only file system", "Permission denied"];

/// The result of fetching more history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deepened {
    /// There is more history now.
    More,
    /// The configured limit is reached.
    AtLimit,
    /// The clone has everything that the remote has, which may be shallow itself.
    NoMore,
}

/// Whether to fetch a tip that the clone already has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    IsEnough,
    AskAnyway,
}

/// The depth of a fetch that does not change the depth of the clone.
const AS_IT_IS: u32 = 0;

/// Longer histories are fetched completely if there is no limit.
const LONGEST: u32 = 100_000;

/// The depth that means no limit to git servers (gitprotocol-pack, INFINITE_DEPTH).
const ALL: u32 = 0x7fff_ffff;
