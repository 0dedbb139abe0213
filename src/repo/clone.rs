//! Creating and writing the bare clone. The remote's branches are mirrored as `refs/tagalong/BRANCH`; there is no work
//! tree, no index and no local branch.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use git2::build::TreeUpdateBuilder;
use git2::{Commit, FileMode, Oid, Repository, RepositoryOpenFlags, Signature, Time, Tree};

use crate::clock;

use super::config::{Branch, Config, Person};
use super::error::RepoError;
use super::folder::{Folder, Swept};
use super::signers::accepted::Signers;
use super::signers::people::People;
use super::{local, signing, watchdog};

/// The ID of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommitId(pub(super) Oid);

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CommitId {
    type Err = git2::Error;

    fn from_str(text: &str) -> Result<CommitId, git2::Error> {
        Oid::from_str(text).map(CommitId)
    }
}

/// A bare clone that is ours until this value is dropped.
pub struct BareClone {
    pub(super) config: Config,
    pub(super) repository: Repository,
    /// The last known tip of the remote's branch for proposals.
    pub(super) proposed: Cell<Option<CommitId>>,
    pub(super) signers: Signers,
    pub(super) people: People,
    // Dropped last, so that the lock outlives the handles.
    folder: Folder,
}

impl fmt::Debug for BareClone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BareClone").field("url", &self.config.url).finish_non_exhaustive()
    }
}

impl BareClone {
    /// Locks the clone's folder, cleans up after a killed process, and opens or creates the clone. A clone that cannot be
    /// opened is discarded, because everything in it can be fetched again. So is one with an incomplete object, one that git
    /// did not return from, and one with many small packs, because that is cheaper than repacking.
    pub fn open(config: Config) -> Result<BareClone, RepoError> {
        let (signers, people) = (Signers::of(&config.trust.signers)?, People::of(&config.trust)?);
        let folder = Folder::take(&config)?;
        let Swept { objects, incomplete } = folder.sweep()?;
        let path = folder.clone_path();
        if folder.has_hung() {
            tracing::warn!(folder = %path.display(), "git did not return from the local clone; cloning again");
            folder.discard()?;
        } else if let Some(file) = incomplete {
            tracing::warn!(file = %file.display(), "the local clone has an incomplete object; cloning again");
            folder.discard()?;
        } else if objects > MOST_OBJECT_FILES {
            tracing::info!(folder = %path.display(), objects, "the local clone has many small files; cloning again");
            folder.discard()?;
        } else if config.url.local_path().is_some() && !path.join(local::ALTERNATES).exists() {
            // Earlier versions made a complete copy.
            folder.discard()?;
        }
        let repository = match path.exists().then(|| prepared(&config, &path)) {
            Some(Err(error @ RepoError::Git { .. })) => {
                tracing::warn!(folder = %path.display(), %error, "the local clone is broken; cloning again");
                folder.discard()?;
                new_clone(&config, &path)?
            }
            Some(opened) => opened?,
            None => new_clone(&config, &path)?,
        };
        Ok(BareClone { config, repository, proposed: Cell::default(), signers, people, folder })
    }

    /// Opens an existing clone without its lock, so that nobody waits for whoever reads it. It must only be read. When it is
    /// replaced meanwhile, reading fails.
    pub fn reader(config: Config) -> Result<BareClone, RepoError> {
        let (signers, people) = (Signers::of(&config.trust.signers)?, People::of(&config.trust)?);
        let folder = Folder::unlocked(&config);
        let path = folder.clone_path();
        let repository = open_bare(&path).map_err(RepoError::git(format!("opening {}", path.display())))?;
        Ok(BareClone { config, repository, proposed: Cell::default(), signers, people, folder })
    }

    /// Replaces a broken clone with a new one. Fails if that was done recently and [`BareClone::note_sound`] was not called
    /// since.
    pub fn renew(self, why: RepoError) -> Result<BareClone, RepoError> {
        if self.folder.was_renewed_lately() {
            return Err(why);
        }
        let cause = std::error::Error::source(&why).map(ToString::to_string).unwrap_or_default();
        tracing::warn!(error = %why, %cause, "the local clone is broken; cloning again");
        let BareClone { config, repository, signers, people, folder, .. } = self;
        drop(repository);
        folder.discard()?;
        folder.note_renewal()?;
        let repository = new_clone(&config, &folder.clone_path())?;
        Ok(BareClone { config, repository, proposed: Cell::default(), signers, people, folder })
    }

    /// Records that everything needed could be read from the clone.
    pub fn note_sound(&self) {
        self.folder.forget_renewal();
    }

    pub(super) fn mirror(&self) -> String {
        mirror_of(&self.config.branch)
    }

    pub(super) fn note(&self, branch: &Branch, tip: Oid) -> Result<(), RepoError> {
        let noted = self.repository.reference(&mirror_of(branch), tip, true, "tagalong");
        noted.map(drop).map_err(RepoError::git("noting the tip"))
    }

    /// Writes a commit on top of `parent` with new bytes for existing files. Modes are kept. No reference points to the
    /// commit until it is pushed.
    pub fn commit(
        &self,
        parent: CommitId,
        changes: &BTreeMap<String, Vec<u8>>,
        message: &str,
    ) -> Result<CommitId, RepoError> {
        let doing = || RepoError::git("writing the commit");
        let _call = self.short_call();
        let repository = &self.repository;
        let parent = repository.find_commit(parent.0).map_err(doing())?;
        let base = parent.tree().map_err(doing())?;
        let tree = self.tree_with(&base, changes)?;
        if tree == base.id() {
            return Err(RepoError::NothingChanged);
        }
        self.write(&parent, tree, message)
    }

    /// Writes a tree with new bytes for existing files.
    pub(super) fn tree_with(&self, base: &Tree<'_>, changes: &BTreeMap<String, Vec<u8>>) -> Result<Oid, RepoError> {
        let doing = || RepoError::git("writing the tree");
        let mut update = TreeUpdateBuilder::new();
        for (path, bytes) in changes {
            let entry = base.get_path(Path::new(path)).map_err(RepoError::git(format!("finding {path}")))?;
            let mode = if entry.filemode() == EXECUTABLE { FileMode::BlobExecutable } else { FileMode::Blob };
            update.upsert(path.as_str(), self.repository.blob(bytes).map_err(doing())?, mode);
        }
        update.create_updated(&self.repository, base).map_err(doing())
    }

    /// Writes a commit on top of `parent` that changes no file and only carries its message.
    pub fn remark(&self, parent: CommitId, message: &str) -> Result<CommitId, RepoError> {
        let _call = self.short_call();
        let parent = self.repository.find_commit(parent.0).map_err(RepoError::git("writing the commit"))?;
        self.write(&parent, parent.tree_id(), message)
    }

    fn write(&self, parent: &Commit<'_>, tree: Oid, message: &str) -> Result<CommitId, RepoError> {
        let doing = || RepoError::git("writing the commit");
        let repository = &self.repository;
        let tree = repository.find_tree(tree).map_err(doing())?;
        let author = signature(&self.config.author)?;
        let committer = signature(&self.config.committer)?;
        let id = match &self.config.signing {
            // It would be on the branch, and nobody would believe it.
            None if matches!(self.signers, Signers::Only { .. }) => return Err(RepoError::Unsigned),
            None => repository.commit(None, &author, &committer, message, &tree, &[parent]),
            Some(signing) => {
                let content = repository.commit_create_buffer(&author, &committer, message, &tree, &[parent]);
                let content = content.map_err(doing())?;
                // All of it was text before.
                let content = String::from_utf8_lossy(&content).into_owned();
                let signature = signing::sign(signing, &content)?;
                let at = committer.when().seconds();
                if let Signers::Only { keys, .. } = &self.signers
                    && !keys.signed(&signature, content.as_bytes(), at)
                {
                    return Err(RepoError::OwnSignature { file: signing.key.path().to_owned() });
                }
                repository.commit_signed(&content, &signature, None)
            }
        };
        id.map(CommitId).map_err(doing())
    }

    /// Registers a call of git that reads or writes a few objects.
    /// Returns a function that says whether its first commit is known to be or to contain its second one.
    pub fn ancestry(&self) -> impl Fn(&str, &str) -> bool + Send + Sync + 'static {
        let config = self.config.clone();
        move |later, earlier| is_known_to_hold(&config, later, earlier)
    }

    /// Returns whether only commits with certain signatures count.
    pub fn requires_signatures(&self) -> bool {
        matches!(self.signers, Signers::Only { .. })
    }

    pub(super) fn short_call(&self) -> watchdog::Running {
        watchdog::short(self.repository.path(), self.config.timeout)
    }

    /// Registers a call of git that transfers objects, or walks through the history.
    pub(super) fn long_call(&self) -> watchdog::Running {
        watchdog::long(self.repository.path(), self.config.timeout)
    }

    /// Returns whether a commit is the tip or one of its ancestors.
    pub fn contains(&self, tip: CommitId, commit: CommitId) -> bool {
        let _call = self.long_call();
        tip == commit || self.repository.graph_descendant_of(tip.0, commit.0).unwrap_or(false)
    }
}

/// Returns whether a commit is the earlier one or a descendant of it, as far as the clone of a repository knows. The clone
/// may be in use or missing; what it does not know is `false`.
pub fn is_known_to_hold(config: &Config, later: &str, earlier: &str) -> bool {
    let asked = || {
        let repository = open_bare(&Folder::clone_of(config))?;
        let _call = watchdog::long(repository.path(), config.timeout);
        repository.graph_descendant_of(Oid::from_str(later)?, Oid::from_str(earlier)?)
    };
    later == earlier || asked().unwrap_or(false)
}

/// Returns the reference that mirrors a branch of the remote.
pub(super) fn mirror_of(branch: &Branch) -> String {
    format!("refs/tagalong/{branch}")
}

/// The number of object files after which a clone is replaced. Each fetch adds a pack, and each commit some loose objects.
const MOST_OBJECT_FILES: usize = 4_000;

fn new_clone(config: &Config, path: &Path) -> Result<Repository, RepoError> {
    Repository::init_bare(path).map_err(RepoError::git(format!("creating {}", path.display())))?;
    prepared(config, path)
}

/// Opens an existing clone, with access to the objects of a local repository.
fn prepared(config: &Config, path: &Path) -> Result<Repository, RepoError> {
    if let Some(origin) = config.url.local_path() {
        local::share(config, origin, path)?;
    }
    open_bare(path).map_err(RepoError::git(format!("opening {}", path.display())))
}

/// Opens a bare repository with the boundary of its history if it is shallow. libgit2's `open_bare` ignores the boundary,
/// and then walks into commits that are missing.
pub(super) fn open_bare(path: &Path) -> Result<Repository, git2::Error> {
    Repository::open_ext(path, RepositoryOpenFlags::BARE | RepositoryOpenFlags::NO_SEARCH, [] as [&OsStr; 0])
}

pub(super) const EXECUTABLE: i32 = 0o100_755;

fn signature(person: &Person) -> Result<Signature<'static>, RepoError> {
    let signed = || {
        let offset = Signature::now(&person.name, &person.email)?.when().offset_minutes();
        // The clock that plans are made by, and not another one.
        Signature::new(&person.name, &person.email, &Time::new(clock::now().as_second(), offset))
    };
    signed().map_err(RepoError::git(format!("signing as {}", person.name)))
}
