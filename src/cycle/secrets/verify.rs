//! The verdicts on the SOPS files of a tip. A file is not verified again while its blob, the rules that apply to it and
//! the available identities stay the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use getrandom::SysRng;
use parking_lot::{Mutex, MutexGuard};
use rand_core::UnwrapErr;

use crate::clock;
use crate::keys::KeySources;
use crate::manifest::closure::Closures;
use crate::manifest::file_kind::is_manifest_name;
use crate::manifest::pods::{self, PodFacts, Subset};
use crate::path::Links;
use crate::repo::error::RepoError;
use crate::repo::tree::{BlobId, Content};
use crate::sops::age::recipient;
use crate::sops::audit::{FileStatus, FileVerdict};
use crate::sops::exposure::reference::Reference;
use crate::sops::inspect::{self, Inspection};
use crate::sops::keyring::Keyring;
use crate::sops::rulebook::RuleBook;
use crate::sops::update_mac;
use crate::sops::verdicts::{Inspector, Tree, verdicts};

use crate::cycle::error::CycleError;
use crate::cycle::tip::Tip;
use crate::cycle::tree::walk::Listing;

/// A callback that receives the number of verified files and of all files to verify. Files with known verdicts do not
/// count.
pub type Progress<'p> = dyn Fn(usize, usize) + Sync + 'p;

/// The treatment of fields whose secrets are broken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strictness {
    /// They stay.
    #[default]
    Block,
    /// They move, and the problem is reported.
    Warn,
    /// They move, and nothing is verified.
    Off,
}

/// The requirement for the pull secrets of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullSecrets {
    /// They have an entry for its registry.
    #[default]
    Check,
    /// The registry accepts this entry.
    Probe,
    /// None.
    Off,
}

/// Verifies the secrets of tips.
#[derive(Debug, Default)]
pub struct Secrets {
    sources: KeySources,
    strictness: Strictness,
    pull_secrets: PullSecrets,
    known: Mutex<Known>,
}

/// The results that are kept from one cycle to the next.
#[derive(Debug, Default)]
struct Known {
    settings: Settings,
    rules: RuleBook,
    inspections: HashMap<(BlobId, String), Arc<Inspection>>,
    /// The inspections of files by their uses.
    references: HashMap<(BlobId, Reference), Arc<Inspection>>,
    pods: HashMap<PodKey, Arc<PodFacts>>,
}

/// A file, and the subset of its facts about pods.
type PodKey = (BlobId, String, Subset);

/// The inputs of verdicts apart from the file.
#[derive(Debug, Default, PartialEq)]
struct Settings {
    /// The recipients of the available identities.
    recipients: Vec<String>,
    /// The files with the rules.
    rules: Vec<(String, BlobId)>,
}

/// The number of verdicts that are kept regardless of the size of the tree.
const LEAST_KEPT: usize = 1_000;

impl Secrets {
    /// Makes a verifier that takes identities from these sources.
    pub fn new(sources: KeySources, strictness: Strictness, pull_secrets: PullSecrets) -> Secrets {
        Secrets { sources, strictness, pull_secrets, known: Mutex::default() }
    }

    /// Returns the identities that are available now.
    pub fn keyring(&self) -> Result<Keyring, CycleError> {
        Ok(self.sources.keyring()?)
    }

    /// Returns the verdicts on all files of a tip.
    pub fn verify(&self, tip: &Tip, progress: &Progress<'_>) -> Result<Vec<FileVerdict>, CycleError> {
        let (keyring, listing) = (self.keyring()?, tip.listing()?);
        let all: Vec<&str> = listing.keys().map(String::as_str).collect();
        let links = tip.links()?;
        let snapshot = Snapshot { tip, listing: &listing, links: &links, keyring: &keyring };
        Ok(self.known().judge(&snapshot, &all, progress)?)
    }

    /// Returns the treatment of fields whose secrets are broken.
    pub fn strictness(&self) -> Strictness {
        self.strictness
    }

    /// Returns the requirement for pull secrets.
    pub fn pull_secrets(&self) -> PullSecrets {
        if self.strictness == Strictness::Off { PullSecrets::Off } else { self.pull_secrets }
    }

    /// Returns the problems with the secrets that files are deployed with, by file. Without an identity, only problems
    /// that show without one are reported.
    #[tracing::instrument(level = "debug", name = "secrets", skip_all, fields(files = files.len()))]
    pub fn flaws(
        &self,
        tip: &Tip,
        closures: &Closures,
        files: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, String>, CycleError> {
        let mut flaws = BTreeMap::new();
        if self.strictness == Strictness::Off || files.is_empty() {
            return Ok(flaws);
        }
        let (keyring, listing) = (self.keyring()?, tip.listing()?);
        let links = tip.links()?;
        let snapshot = Snapshot { tip, listing: &listing, links: &links, keyring: &keyring };
        let closures = closures.around_each(files, listing.keys().map(String::as_str));
        // All files that are deployed with any of them are inspected at once.
        let all: BTreeSet<&str> = closures.values().flatten().copied().collect();
        let mut known = self.known();
        known.use_settings(&snapshot)?;
        known.inspect(&snapshot, &all.into_iter().collect::<Vec<_>>(), &|_, _| ())?;
        for (file, closure) in closures {
            let closure: Vec<&str> = closure.into_iter().collect();
            let verdicts = known.judge(&snapshot, &closure, &|_, _| ())?;
            let texts: Vec<String> = verdicts.iter().filter(|verdict| is_flaw(verdict, &keyring)).map(text).collect();
            if let Some(first) = texts.first() {
                let more = if texts.len() > 1 { format!("; and {} more", texts.len() - 1) } else { String::new() };
                flaws.insert(file.to_owned(), format!("{first}{more}"));
            }
        }
        Ok(flaws)
    }

    /// Returns those SOPS files that decrypt and verify, so that they can be edited.
    pub fn openable<'f>(&self, tip: &Tip, files: &BTreeSet<&'f str>) -> Result<BTreeSet<&'f str>, CycleError> {
        if files.is_empty() {
            return Ok(BTreeSet::new());
        }
        let (keyring, listing) = (self.keyring()?, tip.listing()?);
        let links = tip.links()?;
        let snapshot = Snapshot { tip, listing: &listing, links: &links, keyring: &keyring };
        let all: Vec<&str> = files.iter().copied().collect();
        let verdicts = self.known().judge(&snapshot, &all, &|_, _| ())?;
        let opens = |file: &&str| {
            let mut own = verdicts.iter().filter(|verdict| verdict.file == **file).peekable();
            own.peek().is_some()
                && own.all(|verdict| matches!(verdict.status, FileStatus::Ok | FileStatus::WrongRecipients))
        };
        Ok(files.iter().copied().filter(opens).collect())
    }

    /// Updates the message authentication code of a SOPS file whose plaintext values were edited.
    pub fn update_mac(&self, before: &[u8], after: &[u8]) -> Result<Vec<u8>, String> {
        let keyring = self.sources.keyring().map_err(|error| error.to_string())?;
        let now = clock::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        update_mac::update_mac(before, after, &keyring, &now, &mut UnwrapErr(SysRng)).map_err(|error| error.to_string())
    }

    /// Returns the facts about pods in files of a tip. Each blob is read once.
    pub fn pods<'f>(
        &self,
        tip: &Tip,
        listing: &Listing,
        files: impl Iterator<Item = &'f str>,
        part: Subset,
    ) -> Result<BTreeMap<String, Arc<PodFacts>>, RepoError> {
        let mut known = self.known();
        if known.pods.len() > 2 * listing.len() + LEAST_KEPT {
            known.pods.retain(|(blob, path, _), _| listing.get(path) == Some(blob));
        }
        let manifests = files.filter(|file| is_manifest_name(file));
        let wanted: Vec<PodKey> =
            manifests.filter_map(|file| Some((*listing.get(file)?, file.to_owned(), part))).collect();
        let unread: Vec<_> = wanted.iter().filter(|file| !known.pods.contains_key(*file)).cloned().collect();
        let blobs: Vec<BlobId> = unread.iter().map(|(blob, ..)| *blob).collect();
        let read = tip.read_blobs(&blobs, |index, content| match content {
            Content::Bytes(bytes) => Arc::new(pods::read(&unread[index].1, bytes, part)),
            Content::TooLarge(_) => Arc::default(),
        })?;
        known.pods.extend(unread.into_iter().zip(read));
        let found = |file: PodKey| Some((file.1.clone(), Arc::clone(known.pods.get(&file)?)));
        Ok(wanted.into_iter().filter_map(found).collect())
    }

    /// Returns the rules of a tip's `.sops.yaml` files.
    pub fn rules(&self, tip: &Tip, listing: &Listing, keyring: &Keyring) -> Result<RuleBook, RepoError> {
        let mut known = self.known();
        known.use_settings(&Snapshot { tip, listing, links: &Links::default(), keyring })?;
        Ok(known.rules.clone())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }
}

/// The files of a tip, and the identities to verify them with.
struct Snapshot<'v> {
    tip: &'v Tip,
    listing: &'v Listing,
    links: &'v Links,
    keyring: &'v Keyring,
}

impl Known {
    /// Returns the verdicts on files of a tip, and on those that their kustomizations generate Secrets from, in the
    /// order of their paths.
    fn judge(
        &mut self,
        snapshot: &Snapshot<'_>,
        files: &[&str],
        progress: &Progress<'_>,
    ) -> Result<Vec<FileVerdict>, RepoError> {
        self.use_settings(snapshot)?;
        let exists = |path: &str| snapshot.listing.contains_key(path);
        let tree = Tree { exists: &exists, links: snapshot.links };
        verdicts(files, tree, &mut TipInspector { known: self, snapshot, progress })
    }

    /// Drops the results for other rules or identities.
    fn use_settings(&mut self, snapshot: &Snapshot<'_>) -> Result<(), RepoError> {
        let rules = snapshot.listing.iter().filter(|(path, _)| RuleBook::is_rules(path));
        let settings = Settings {
            recipients: snapshot.keyring.recipients().map(str::to_owned).collect(),
            rules: rules.map(|(path, blob)| (path.clone(), *blob)).collect(),
        };
        if settings == self.settings {
            return Ok(());
        }
        let blobs: Vec<BlobId> = settings.rules.iter().map(|(_, blob)| *blob).collect();
        let read = snapshot.tip.read_blobs(&blobs, |_, content| match content {
            Content::Bytes(bytes) => Ok(bytes.to_vec()),
            Content::TooLarge(size) => Err(size),
        })?;
        self.rules = RuleBook::default();
        for ((path, _), read) in settings.rules.iter().zip(read) {
            match read {
                Ok(bytes) => self.rules.add(path, &bytes),
                Err(size) => self.rules.add_too_large(path, size),
            }
        }
        self.inspections.clear();
        self.settings = settings;
        Ok(())
    }

    /// Returns the inspections of files.
    fn inspect(
        &mut self,
        snapshot: &Snapshot<'_>,
        files: &[&str],
        progress: &Progress<'_>,
    ) -> Result<BTreeMap<String, Arc<Inspection>>, RepoError> {
        let listing = snapshot.listing;
        let wanted: Vec<(BlobId, String)> =
            files.iter().filter_map(|file| Some((*listing.get(*file)?, (*file).to_owned()))).collect();
        if self.inspections.len() > 2 * listing.len() + LEAST_KEPT {
            self.inspections.retain(|(blob, path), _| listing.get(path) == Some(blob));
        }
        let unread: Vec<&(BlobId, String)> =
            wanted.iter().filter(|file| !self.inspections.contains_key(*file)).collect();
        let blobs: Vec<BlobId> = unread.iter().map(|(blob, _)| *blob).collect();
        let (rules, done) = (&self.rules, AtomicUsize::new(0));
        let made = snapshot.tip.read_blobs(&blobs, |index, content| {
            let path = &unread[index].1;
            let inspection = match content {
                Content::Bytes(bytes) => inspect::inspect(path, bytes, snapshot.keyring, rules),
                Content::TooLarge(size) => inspect::inspect_large(path, size),
            };
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, blobs.len());
            Arc::new(inspection)
        })?;
        self.inspections.extend(unread.into_iter().cloned().zip(made));
        let found = |file: (BlobId, String)| {
            let inspection = Arc::clone(self.inspections.get(&file)?);
            Some((file.1, inspection))
        };
        Ok(wanted.into_iter().filter_map(found).collect())
    }

    /// Returns the inspections of files by their uses.
    fn inspect_references(
        &mut self,
        snapshot: &Snapshot<'_>,
        references: &[Reference],
    ) -> Result<Vec<Arc<Inspection>>, RepoError> {
        let listing = snapshot.listing;
        let blob = |reference: &Reference| listing.get(&reference.path).copied();
        if self.references.len() > 2 * listing.len() + LEAST_KEPT {
            self.references.retain(|(known, reference), _| blob(reference) == Some(*known));
        }
        let wanted: Vec<(BlobId, Reference)> =
            references.iter().filter_map(|reference| Some((blob(reference)?, reference.clone()))).collect();
        let unread: Vec<&(BlobId, Reference)> =
            wanted.iter().filter(|reference| !self.references.contains_key(*reference)).collect();
        let blobs: Vec<BlobId> = unread.iter().map(|(blob, _)| *blob).collect();
        let made = snapshot.tip.read_blobs(&blobs, |index, content| match content {
            Content::Bytes(bytes) => Arc::new(inspect::inspect_reference(&unread[index].1, bytes)),
            Content::TooLarge(size) => Arc::new(inspect::inspect_large_reference(&unread[index].1, size)),
        })?;
        self.references.extend(unread.into_iter().cloned().zip(made));
        Ok(wanted.iter().filter_map(|reference| self.references.get(reference).cloned()).collect())
    }
}

/// Inspects the files of a tip, unless they are known.
struct TipInspector<'i> {
    known: &'i mut Known,
    snapshot: &'i Snapshot<'i>,
    progress: &'i Progress<'i>,
}

impl Inspector for TipInspector<'_> {
    type Error = RepoError;

    fn files(&mut self, files: &[&str]) -> Result<BTreeMap<String, Arc<Inspection>>, RepoError> {
        self.known.inspect(self.snapshot, files, self.progress)
    }

    fn references(&mut self, references: &[Reference]) -> Result<Vec<Arc<Inspection>>, RepoError> {
        self.known.inspect_references(self.snapshot, references)
    }
}

/// Returns whether a verdict keeps updates back. A file that can only be decrypted by a key service does not, nor,
/// without any identity, one that requires an identity.
fn is_flaw(verdict: &FileVerdict, keyring: &Keyring) -> bool {
    match verdict.status {
        FileStatus::Ok => false,
        FileStatus::NoKey => !keyring.is_empty() && verdict.recipients.iter().any(|name| recipient::is_known(name)),
        FileStatus::Failed | FileStatus::Plaintext | FileStatus::WrongRecipients | FileStatus::Unverified => true,
    }
}

fn text(verdict: &FileVerdict) -> String {
    format!("{}, document {}: {}", verdict.file, verdict.document, verdict.reason.as_deref().unwrap_or_default())
}
