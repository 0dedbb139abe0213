//! The bare clone: fetch, read, write. The remote's branch is mirrored as `refs/tagalong/BRANCH`; there is no work
//! tree, no index and no local branch.

use std::collections::BTreeMap;
use std::fmt;

use git2::build::TreeUpdateBuilder;
use git2::{Direction, FetchOptions, FileMode, Oid, Repository, Signature};

use super::config::{Config, Person};
use super::error::RepoError;
use super::folder::Folder;
use super::remote::{self, SharedTrail};

/// The id of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommitId(pub(super) Oid);

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A bare clone that is ours until this value is dropped.
pub struct BareClone {
    pub(super) config: Config,
    pub(super) repository: Repository,
    // Dropped last: the lock outlives the handles.
    folder: Folder,
}

impl fmt::Debug for BareClone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BareClone").field("url", &self.config.url).finish_non_exhaustive()
    }
}

impl BareClone {
    /// Takes the clone's folder, clears what a killed process left in it, and opens or creates the clone. A clone that
    /// cannot be opened is discarded: everything in it can be fetched again. So is one that has grown many small packs,
    /// for that is cheaper than packing them.
    pub fn open(config: Config) -> Result<BareClone, RepoError> {
        let folder = Folder::take(&config)?;
        let objects = folder.sweep()?;
        let path = folder.clone_path();
        if objects > MOST_OBJECT_FILES {
            tracing::info!(folder = %path.display(), objects, "the local clone has grown cluttered; it is made anew");
            folder.discard()?;
        }
        let repository = match path.exists().then(|| Repository::open_bare(&path)) {
            Some(Ok(repository)) => repository,
            Some(Err(error)) => {
                tracing::warn!(folder = %path.display(), %error, "the local clone is broken; it is made anew");
                folder.discard()?;
                new_clone(&folder)?
            }
            None => new_clone(&folder)?,
        };
        Ok(BareClone { config, repository, folder })
    }

    /// The tip of the remote's branch, with everything needed to read it brought over. An unchanged tip costs one
    /// connection and no download. A clone that turns out broken on the way is made anew, once.
    pub fn fetch(self) -> Result<(BareClone, CommitId), RepoError> {
        match self.try_fetch() {
            Ok(tip) => Ok((self, tip)),
            Err(error @ RepoError::Git { .. }) => {
                let fresh = self.renew(&error)?;
                let tip = fresh.try_fetch()?;
                Ok((fresh, tip))
            }
            Err(error) => Err(error),
        }
    }

    /// Throws a broken clone away and begins a new one in its place.
    pub fn renew(self, why: &RepoError) -> Result<BareClone, RepoError> {
        tracing::warn!(error = %why, "the local clone is broken; it is made anew");
        let BareClone { config, repository, folder } = self;
        drop(repository);
        folder.discard()?;
        let repository = new_clone(&folder)?;
        Ok(BareClone { config, repository, folder })
    }

    fn try_fetch(&self) -> Result<CommitId, RepoError> {
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
        if self.has_whole(tip) {
            self.note_tip(tip)?;
            return Ok(CommitId(tip));
        }
        let mut options = FetchOptions::new();
        options.remote_callbacks(remote::callbacks(config, &trail)?);
        options.proxy_options(remote::proxy()).follow_redirects(remote::REDIRECTS);
        options.download_tags(git2::AutotagOption::None);
        let is_first = self.repository.find_reference(&self.mirror()).is_err();
        let can_be_shallow = config.url.local_path().is_none();
        if is_first && can_be_shallow && config.depth > 0 {
            options.depth(i32::try_from(config.depth).unwrap_or(i32::MAX));
        }
        let refspec = format!("+{}:{}", config.branch.reference(), self.mirror());
        connection
            .remote()
            .fetch(&[refspec], Some(&mut options), None)
            .map_err(|error| self.fetch_reason(&trail, error))?;
        drop(options);
        drop(connection);
        let tip = self.repository.refname_to_id(&self.mirror()).map_err(RepoError::git("reading the fetched tip"))?;
        if !self.has_whole(tip) {
            let missing = git2::Error::from_str("objects of the fetched tip are missing");
            return Err(RepoError::Git { doing: "fetching".to_owned(), source: missing });
        }
        Ok(CommitId(tip))
    }

    /// Failures of the object store are the clone's own, not the network's.
    fn fetch_reason(&self, trail: &SharedTrail, error: git2::Error) -> RepoError {
        use git2::ErrorClass::{Indexer, Odb, Reference, Zlib};
        match error.class() {
            Odb | Reference | Indexer | Zlib => RepoError::Git { doing: "fetching".to_owned(), source: error },
            _ => remote::reason(&self.config, trail, error),
        }
    }

    /// Whether a commit and its root tree are here.
    fn has_whole(&self, tip: Oid) -> bool {
        self.repository.find_commit(tip).is_ok_and(|commit| commit.tree().is_ok())
    }

    pub(super) fn mirror(&self) -> String {
        format!("refs/tagalong/{}", self.config.branch)
    }

    pub(super) fn note_tip(&self, tip: Oid) -> Result<(), RepoError> {
        let noted = self.repository.reference(&self.mirror(), tip, true, "tagalong");
        noted.map(drop).map_err(RepoError::git("noting the tip"))
    }

    /// Writes a commit on top of `parent` in which the given files, all of them there already, have new bytes. Modes
    /// are kept. Nothing points to the commit until it is pushed.
    pub fn commit(
        &self,
        parent: CommitId,
        changes: &BTreeMap<String, Vec<u8>>,
        message: &str,
    ) -> Result<CommitId, RepoError> {
        let doing = || RepoError::git("writing the commit");
        let repository = &self.repository;
        let parent = repository.find_commit(parent.0).map_err(doing())?;
        let base = parent.tree().map_err(doing())?;
        let mut update = TreeUpdateBuilder::new();
        for (path, bytes) in changes {
            let entry = base.get_path(std::path::Path::new(path)).map_err(RepoError::git(format!("finding {path}")))?;
            let mode = if entry.filemode() == EXECUTABLE { FileMode::BlobExecutable } else { FileMode::Blob };
            update.upsert(path.as_str(), repository.blob(bytes).map_err(doing())?, mode);
        }
        let tree = update.create_updated(repository, &base).map_err(doing())?;
        if tree == base.id() {
            return Err(RepoError::NothingChanged);
        }
        let tree = repository.find_tree(tree).map_err(doing())?;
        let author = signature(&self.config.author)?;
        let committer = signature(&self.config.committer)?;
        let id = repository.commit(None, &author, &committer, message, &tree, &[&parent]).map_err(doing())?;
        Ok(CommitId(id))
    }

    /// Whether a commit is the other or one of its forebears.
    pub fn contains(&self, tip: CommitId, commit: CommitId) -> bool {
        tip == commit || self.repository.graph_descendant_of(tip.0, commit.0).unwrap_or(false)
    }
}

/// Each fetch adds a pack and each commit of ours a few loose objects.
const MOST_OBJECT_FILES: usize = 4_000;

fn new_clone(folder: &Folder) -> Result<Repository, RepoError> {
    let path = folder.clone_path();
    Repository::init_bare(&path).map_err(RepoError::git(format!("creating {}", path.display())))
}

pub(super) const EXECUTABLE: i32 = 0o100_755;

fn signature(person: &Person) -> Result<Signature<'static>, RepoError> {
    Signature::now(&person.name, &person.email).map_err(RepoError::git(format!("signing as {}", person.name)))
}
