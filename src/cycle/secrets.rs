//! The SOPS files of a tip, judged. What was judged once is not judged again while its blob, the rules above it and the
//! identities at hand stay the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use getrandom::SysRng;
use jiff::Timestamp;
use rand_core::UnwrapErr;

use crate::keys::KeySources;
use crate::manifest::closure::Closures;
use crate::manifest::file_kind::is_manifest_name;
use crate::manifest::inventory::Inventory;
use crate::manifest::pods::{self, PodFacts, Subset};
use crate::plan::decide::Openable;
use crate::plan::gate::SecretFlaws;
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;
use crate::repo::tree::{BlobId, TreeId};
use crate::sops::age::recipient;
use crate::sops::audit::{FileStatus, FileVerdict};
use crate::sops::inspect::{self, Inspection};
use crate::sops::keyring::Keyring;
use crate::sops::rulebook::RuleBook;
use crate::sops::update_mac;

use super::error::CycleError;

/// Is told, while files are judged, how many of how many are done. What was judged before does not count.
pub type Progress<'p> = dyn Fn(usize, usize) + Sync + 'p;

/// What happens to a field whose secrets are broken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gate {
    /// It stays.
    #[default]
    Block,
    /// It moves, and what is wrong is said.
    Warn,
    /// It moves, and nothing is looked at.
    Off,
}

/// What is asked of the pull secrets that would pull an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullSecrets {
    /// That they hold an entry for its registry.
    #[default]
    Check,
    /// That this entry is good for pulling it.
    Probe,
    /// Nothing.
    Off,
}

/// Judges the secrets of tips.
#[derive(Debug, Default)]
pub struct Secrets {
    sources: KeySources,
    gate: Gate,
    pull_secrets: PullSecrets,
    known: Mutex<Known>,
}

/// What is remembered from one pass to the next.
#[derive(Debug, Default)]
struct Known {
    view: View,
    rules: RuleBook,
    listing: Option<(TreeId, Arc<Listing>)>,
    inspections: HashMap<(BlobId, String), Arc<Inspection>>,
    pods: HashMap<PodKey, Arc<PodFacts>>,
}

/// A file, and which part of what it says of pods.
type PodKey = (BlobId, String, Subset);

/// What verdicts depend on besides the file.
#[derive(Debug, Default, PartialEq)]
struct View {
    /// Whose identities are at hand.
    recipients: Vec<String>,
    /// The files with the rules.
    rules: Vec<(String, BlobId)>,
}

/// As many verdicts are kept whatever the size of the tree.
const LEAST_KEPT: usize = 1_000;

/// The files of a tip that can be judged.
pub type Listing = BTreeMap<String, BlobId>;

impl Secrets {
    /// With identities from these sources.
    pub fn new(sources: KeySources, gate: Gate, pull_secrets: PullSecrets) -> Secrets {
        Secrets { sources, gate, pull_secrets, known: Mutex::default() }
    }

    /// The identities that are at hand now.
    pub fn keyring(&self) -> Result<Keyring, CycleError> {
        Ok(self.sources.keyring()?)
    }

    /// All that is to be said about the files of a tip.
    pub fn verify(
        &self,
        clone: &BareClone,
        tip: CommitId,
        progress: &Progress<'_>,
    ) -> Result<Vec<FileVerdict>, CycleError> {
        let keyring = self.keyring()?;
        let listing = self.listing(clone, tip)?;
        let all: Vec<&str> = listing.keys().map(String::as_str).collect();
        Ok(self.judge(clone, &listing, &keyring, &all, progress)?)
    }

    /// What happens to a field whose secrets are broken.
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// What is asked of pull secrets.
    pub fn pull_secrets(&self) -> PullSecrets {
        if self.gate == Gate::Off { PullSecrets::Off } else { self.pull_secrets }
    }

    /// What is wrong with the secrets that these files are deployed with. Without an identity it is only said what can
    /// be seen without one.
    #[tracing::instrument(level = "debug", name = "secrets", skip_all, fields(files = files.len()))]
    pub fn flaws(
        &self,
        clone: &BareClone,
        tip: CommitId,
        closures: &Closures,
        files: &BTreeSet<&str>,
    ) -> Result<SecretFlaws, CycleError> {
        let mut flaws = SecretFlaws::default();
        if self.gate == Gate::Off || files.is_empty() {
            return Ok(flaws);
        }
        let keyring = self.keyring()?;
        let listing = self.listing(clone, tip)?;
        let closures = closures.around_each(files, listing.keys().map(String::as_str));
        // What all of them are deployed with is read at once.
        let all: BTreeSet<&str> = closures.values().flatten().copied().collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.look_with(clone, &listing, &keyring)?;
        known.inspect(clone, &listing, &keyring, &all.into_iter().collect::<Vec<_>>(), &|_, _| ())?;
        for (file, closure) in closures {
            let closure: Vec<&str> = closure.into_iter().collect();
            let verdicts = known.judge(clone, &listing, &keyring, &closure, &|_, _| ())?;
            let said: Vec<String> = verdicts.iter().filter(|verdict| is_flaw(verdict, &keyring)).map(words).collect();
            if let Some(first) = said.first() {
                let more = if said.len() > 1 { format!("; and {} more", said.len() - 1) } else { String::new() };
                flaws.add(file, format!("{first}{more}"));
            }
        }
        Ok(flaws)
    }

    /// The sealed files with image fields that open and verify, so that their fields can move.
    pub fn openable(&self, clone: &BareClone, tip: CommitId, inventory: &Inventory) -> Result<Openable, CycleError> {
        let sealed = inventory.fields.iter().filter(|located| located.encrypted).map(|located| located.file.as_str());
        let sealed: Vec<&str> = sealed.collect::<BTreeSet<&str>>().into_iter().collect();
        if sealed.is_empty() {
            return Ok(Openable::new());
        }
        let keyring = self.keyring()?;
        let listing = self.listing(clone, tip)?;
        let verdicts = self.judge(clone, &listing, &keyring, &sealed, &|_, _| ())?;
        let opens = |file: &&str| {
            let mut own = verdicts.iter().filter(|verdict| verdict.file == **file).peekable();
            own.peek().is_some()
                && own.all(|verdict| matches!(verdict.status, FileStatus::Ok | FileStatus::WrongRecipients))
        };
        Ok(sealed.into_iter().filter(opens).map(str::to_owned).collect())
    }

    /// Gives a SOPS file whose clear values were edited a new message authentication code.
    pub fn reseal(&self, before: &[u8], after: &[u8]) -> Result<Vec<u8>, String> {
        let keyring = self.sources.keyring().map_err(|error| error.to_string())?;
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        update_mac::update_mac(before, after, &keyring, &now, &mut UnwrapErr(SysRng)).map_err(|error| error.to_string())
    }

    /// What some files of a tip say of pods. Each blob is read once.
    pub(super) fn pods<'f>(
        &self,
        clone: &BareClone,
        listing: &Listing,
        files: impl Iterator<Item = &'f str>,
        part: Subset,
    ) -> Result<BTreeMap<String, Arc<PodFacts>>, RepoError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.pods.len() > 2 * listing.len() + LEAST_KEPT {
            known.pods.retain(|(blob, path, _), _| listing.get(path) == Some(blob));
        }
        let manifests = files.filter(|file| is_manifest_name(file));
        let wanted: Vec<PodKey> =
            manifests.filter_map(|file| Some((*listing.get(file)?, file.to_owned(), part))).collect();
        let unread: Vec<_> = wanted.iter().filter(|file| !known.pods.contains_key(*file)).cloned().collect();
        let blobs: Vec<BlobId> = unread.iter().map(|(blob, ..)| *blob).collect();
        let read = clone.read_blobs(&blobs, |index, bytes| Arc::new(pods::read(&unread[index].1, bytes, part)))?;
        known.pods.extend(unread.into_iter().zip(read));
        let found = |file: PodKey| Some((file.1.clone(), Arc::clone(known.pods.get(&file)?)));
        Ok(wanted.into_iter().filter_map(found).collect())
    }

    /// The rules of a tip.
    pub(super) fn rules(&self, clone: &BareClone, listing: &Listing, keyring: &Keyring) -> Result<RuleBook, RepoError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.look_with(clone, listing, keyring)?;
        Ok(known.rules.clone())
    }

    /// All files of a tip; walked through once for each tree.
    pub(super) fn listing(&self, clone: &BareClone, tip: CommitId) -> Result<Arc<Listing>, RepoError> {
        let root = clone.root(tip)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, listing)) = known.listing.as_ref().filter(|(of, _)| *of == root) {
            return Ok(Arc::clone(listing));
        }
        let listing = Arc::new(clone.files(tip)?.into_iter().collect::<Listing>());
        known.listing = Some((root, Arc::clone(&listing)));
        Ok(listing)
    }

    /// The verdicts on some files of a tip and on those that their kustomizations make Secrets of, in the order of their
    /// paths.
    pub fn judge(
        &self,
        clone: &BareClone,
        listing: &Listing,
        keyring: &Keyring,
        files: &[&str],
        progress: &Progress<'_>,
    ) -> Result<Vec<FileVerdict>, RepoError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.look_with(clone, listing, keyring)?;
        known.judge(clone, listing, keyring, files, progress)
    }
}

impl Known {
    fn judge(
        &mut self,
        clone: &BareClone,
        listing: &Listing,
        keyring: &Keyring,
        files: &[&str],
        progress: &Progress<'_>,
    ) -> Result<Vec<FileVerdict>, RepoError> {
        let found = self.inspect(clone, listing, keyring, files, progress)?;
        let mut sources: BTreeMap<&str, &str> = BTreeMap::new();
        for (file, inspection) in &found {
            for source in inspection.sources.iter().filter(|source| listing.contains_key(source.as_str())) {
                sources.entry(source).or_insert(file);
            }
        }
        let unseen: Vec<&str> = sources.keys().copied().filter(|source| !found.contains_key(source)).collect();
        let more = self.inspect(clone, listing, keyring, &unseen, progress)?;
        let mut verdicts: Vec<FileVerdict> =
            found.values().chain(more.values()).flat_map(|inspection| inspection.verdicts.clone()).collect();
        let named: Vec<(&str, &str)> = sources.into_iter().collect();
        let blobs: Vec<BlobId> = named.iter().filter_map(|(source, _)| listing.get(*source).copied()).collect();
        let in_clear =
            clone.read_blobs(&blobs, |index, bytes| inspect::inspect_source(named[index].0, bytes, named[index].1))?;
        for verdict in in_clear.into_iter().flatten() {
            // One word about a file is enough, and the first is the more exact one.
            if !verdicts.iter().any(|other| other.file == verdict.file) {
                verdicts.push(verdict);
            }
        }
        verdicts.sort_by(|a, b| (&a.file, a.document).cmp(&(&b.file, b.document)));
        Ok(verdicts)
    }

    /// Drops what other rules or identities came to.
    fn look_with(&mut self, clone: &BareClone, listing: &Listing, keyring: &Keyring) -> Result<(), RepoError> {
        let rules = listing.iter().filter(|(path, _)| RuleBook::is_rules(path));
        let view = View {
            recipients: keyring.recipients().map(str::to_owned).collect(),
            rules: rules.map(|(path, blob)| (path.clone(), *blob)).collect(),
        };
        if view == self.view {
            return Ok(());
        }
        let blobs: Vec<BlobId> = view.rules.iter().map(|(_, blob)| *blob).collect();
        let read = clone.read_blobs(&blobs, |_, bytes| bytes.to_vec())?;
        self.rules = RuleBook::default();
        view.rules.iter().zip(read).for_each(|((path, _), bytes)| self.rules.add(path, &bytes));
        self.inspections.clear();
        self.view = view;
        Ok(())
    }

    /// What each of the files came to.
    fn inspect<'f>(
        &mut self,
        clone: &BareClone,
        listing: &Listing,
        keyring: &Keyring,
        files: &[&'f str],
        progress: &Progress<'_>,
    ) -> Result<BTreeMap<&'f str, Arc<Inspection>>, RepoError> {
        let wanted: Vec<(&str, BlobId)> = files.iter().filter_map(|file| Some((*file, *listing.get(*file)?))).collect();
        if self.inspections.len() > 2 * listing.len() + LEAST_KEPT {
            self.inspections.retain(|(blob, path), _| listing.get(path) == Some(blob));
        }
        let is_known = |(path, blob): &&(&str, BlobId)| self.inspections.contains_key(&(*blob, (*path).to_owned()));
        let open: Vec<(&str, BlobId)> = wanted.iter().filter(|file| !is_known(file)).copied().collect();
        let blobs: Vec<BlobId> = open.iter().map(|(_, blob)| *blob).collect();
        let rules = &self.rules;
        let done = AtomicUsize::new(0);
        let made = clone.read_blobs(&blobs, |index, bytes| {
            let inspection = inspect::inspect(open[index].0, bytes, keyring, rules);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, blobs.len());
            inspection
        })?;
        for ((path, blob), inspection) in open.into_iter().zip(made) {
            self.inspections.insert((blob, path.to_owned()), Arc::new(inspection));
        }
        let found =
            |(path, blob): (&'f str, BlobId)| Some((path, Arc::clone(self.inspections.get(&(blob, path.to_owned()))?)));
        Ok(wanted.into_iter().filter_map(found).collect())
    }
}

/// Whether a verdict keeps fields back. What no identity could open, because its keys are held by services, is not held
/// against anyone; nor, without any identity, what would need one.
fn is_flaw(verdict: &FileVerdict, keyring: &Keyring) -> bool {
    match verdict.status {
        FileStatus::Ok => false,
        FileStatus::NoKey => !keyring.is_empty() && verdict.recipients.iter().any(|name| recipient::is_known(name)),
        FileStatus::Failed | FileStatus::Plaintext | FileStatus::WrongRecipients => true,
    }
}

fn words(verdict: &FileVerdict) -> String {
    format!("{}, document {}: {}", verdict.file, verdict.document, verdict.reason.as_deref().unwrap_or_default())
}
