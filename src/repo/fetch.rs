//! Bringing over what the remote's branch has.

use git2::{Direction, FetchOptions, Oid, Repository};

use super::clone::{BareClone, CommitId, mirror_of};
use super::config::Branch;
use super::error::RepoError;
use super::remote::{self, SharedTrail};

impl BareClone {
    /// The tip of the remote's branch, with everything needed to read it brought over. An unchanged tip costs one
    /// connection and no download. A clone that turns out broken on the way is made anew, once.
    #[tracing::instrument(level = "debug", skip_all)]
    pub fn fetch(self) -> Result<(BareClone, CommitId), RepoError> {
        match self.refresh() {
            Ok(tip) => Ok((self, tip)),
            Err(error @ RepoError::Git { .. }) => {
                let fresh = self.renew(&error)?;
                let tip = fresh.refresh()?;
                Ok((fresh, tip))
            }
            Err(error) => Err(error),
        }
    }

    /// The same, but a broken clone is an error.
    pub fn refresh(&self) -> Result<CommitId, RepoError> {
        let is_first = self.repository.find_reference(&self.mirror()).is_err();
        self.bring_over(if is_first { self.config.depth } else { AS_IT_IS }, Known::IsEnough)
    }

    /// Brings over more of the history that ends at the branch's tip: several times of what is here, and at last all of
    /// it. Gives whether there was more to be had.
    pub fn deepen(&mut self) -> Result<bool, RepoError> {
        if !self.repository.is_shallow() {
            return Ok(false);
        }
        let here = self.count().map_err(RepoError::git("counting commits"))?;
        let depth = (here.max(self.config.depth) * 5).max(1_000);
        let depth = if depth > LONGEST { ALL } else { depth };
        tracing::info!(here, depth, "more history is needed");
        self.bring_over(depth, Known::AskAnyway)?;
        // The library remembers commits that were cut off as having no parents.
        self.repository = Repository::open_bare(self.repository.path()).map_err(RepoError::git("opening the clone"))?;
        Ok(true)
    }

    /// The commits that can be reached from the tip.
    fn count(&self) -> Result<u32, git2::Error> {
        let mut walk = self.repository.revwalk()?;
        walk.push_ref(&self.mirror())?;
        Ok(walk.count().try_into().unwrap_or(LONGEST))
    }

    fn bring_over(&self, depth: u32, known: Known) -> Result<CommitId, RepoError> {
        let config = &self.config;
        let trail = SharedTrail::default();
        let mut remote =
            self.repository.remote_anonymous(config.url.expose()).map_err(RepoError::git("preparing the remote"))?;
        let callbacks = remote::callbacks(config, &trail)?;
        let mut connection = remote
            .connect_auth(Direction::Fetch, Some(callbacks), Some(remote::proxy()))
            .map_err(|error| remote::reason(config, &trail, error))?;
        let heads = connection.list().map_err(|error| remote::reason(config, &trail, error))?;
        let tip = remote::tip_of(config, heads)?;
        let proposals = config.push_branch.as_ref().and_then(|branch| Some((branch, remote::find(heads, branch)?)));
        self.proposed.set(proposals.map(|(_, at)| CommitId(at)));
        if known == Known::IsEnough && self.has_whole(tip) && proposals.is_none_or(|(_, at)| self.has_whole(at)) {
            self.note(&config.branch, tip)?;
            return Ok(CommitId(tip));
        }
        let mut options = FetchOptions::new();
        options.remote_callbacks(remote::callbacks(config, &trail)?);
        options.proxy_options(remote::proxy()).follow_redirects(remote::REDIRECTS);
        options.download_tags(git2::AutotagOption::None);
        let can_be_shallow = config.url.local_path().is_none();
        if can_be_shallow && depth > 0 {
            options.depth(i32::try_from(depth).unwrap_or(i32::MAX));
        }
        let branches = std::iter::once(&config.branch).chain(proposals.map(|(branch, _)| branch));
        let refspecs: Vec<String> =
            branches.map(|branch| format!("+{}:{}", branch.reference(), mirror_of(branch))).collect();
        connection
            .remote()
            .fetch(&refspecs, Some(&mut options), None)
            .map_err(|error| self.fetch_reason(&trail, error))?;
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
        if !self.has_whole(tip) {
            let missing = git2::Error::from_str("objects of the fetched tip are missing");
            return Err(RepoError::Git { doing: "fetching".to_owned(), source: missing });
        }
        Ok(CommitId(tip))
    }

    /// Failures to write the clone and failures of its object store are not the network's. A clone that cannot be
    /// written would not be helped by making it anew.
    fn fetch_reason(&self, trail: &SharedTrail, error: git2::Error) -> RepoError {
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
            _ => remote::reason(&self.config, trail, error),
        }
    }

    /// Whether a commit and its root tree are here.
    fn has_whole(&self, tip: Oid) -> bool {
        self.repository.find_commit(tip).is_ok_and(|commit| commit.tree().is_ok())
    }
}

/// What the system says when it does not let us write (strerror: ENOSPC, EDQUOT, EROFS, EACCES).
const CANNOT_WRITE: [&str; 4] =
    ["No space left on device", "Disk quota exceeded", "Read-only file system", "Permission denied"];

/// Whether a tip that is here has to be asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    IsEnough,
    AskAnyway,
}

/// The depth of a fetch that changes nothing about it.
const AS_IT_IS: u32 = 0;

/// Longer histories are brought over as a whole.
const LONGEST: u32 = 100_000;

/// The depth that git servers understand as no limit (gitprotocol-pack, INFINITE_DEPTH).
const ALL: u32 = 0x7fff_ffff;
