//! The verdicts on the SOPS files of a tip. A file is not verified again while its blob, the rules above it and the
//! identities at hand stay the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use getrandom::SysRng;
use jiff::Timestamp;
use rand_core::UnwrapErr;

use crate::keys::KeySources;
use crate::manifest::closure::Closures;
use crate::manifest::file_kind::is_manifest_name;
use crate::manifest::pods::{self, PodFacts, Subset};
use crate::repo::error::RepoError;
use crate::repo::tree::BlobId;
use crate::sops::age::recipient;
use crate::sops::audit::{FileStatus, FileVerdict};
use crate::sops::inspect::{self, Inspection};
use crate::sops::keyring::Keyring;
use crate::sops::rulebook::RuleBook;
use crate::sops::update_mac;
use crate::sops::verdicts::verdicts;

use crate::cycle::error::CycleError;
use crate::cycle::tip::Tip;
use crate::cycle::tree::walk::Listing;

/// Is told, while files are judged, how many of how many are done. What was judged before does not count.
pub type Progress<'p> = dyn Fn(usize, usize) + Sync + 'p;

/// What happens to a field whose secrets are broken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strictness {
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
    strictness: Strictness,
    pull_secrets: PullSecrets,
    known: Mutex<Known>,
}

/// What is remembered from one cycle to the next.
#[derive(Debug, Default)]
struct Known {
    setting: Setting,
    rules: RuleBook,
    inspections: HashMap<(BlobId, String), Arc<Inspection>>,
    pods: HashMap<PodKey, Arc<PodFacts>>,
}

/// A file, and which part of what it says of pods.
type PodKey = (BlobId, String, Subset);

/// What verdicts depend on besides the file.
#[derive(Debug, Default, PartialEq)]
struct Setting {
    /// Whose identities are at hand.
    recipients: Vec<String>,
    /// The files with the rules.
    rules: Vec<(String, BlobId)>,
}

/// As many verdicts are kept whatever the size of the tree.
const LEAST_KEPT: usize = 1_000;

impl Secrets {
    /// With identities from these sources.
    pub fn new(sources: KeySources, strictness: Strictness, pull_secrets: PullSecrets) -> Secrets {
        Secrets { sources, strictness, pull_secrets, known: Mutex::default() }
    }

    /// The identities that are at hand now.
    pub fn keyring(&self) -> Result<Keyring, CycleError> {
        Ok(self.sources.keyring()?)
    }

    /// Returns the verdicts on all files of a tip.
    pub fn verify(&self, tip: &Tip, progress: &Progress<'_>) -> Result<Vec<FileVerdict>, CycleError> {
        let (keyring, listing) = (self.keyring()?, tip.listing()?);
        let all: Vec<&str> = listing.keys().map(String::as_str).collect();
        Ok(self.known().judge(&View { tip, listing: &listing, keyring: &keyring }, &all, progress)?)
    }

    /// What happens to a field whose secrets are broken.
    pub fn strictness(&self) -> Strictness {
        self.strictness
    }

    /// What is asked of pull secrets.
    pub fn pull_secrets(&self) -> PullSecrets {
        if self.strictness == Strictness::Off { PullSecrets::Off } else { self.pull_secrets }
    }

    /// Returns what is wrong with the secrets that files are deployed with, by file. Without an identity only what can be
    /// seen without one is reported.
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
        let view = View { tip, listing: &listing, keyring: &keyring };
        let closures = closures.around_each(files, listing.keys().map(String::as_str));
        // What all of them are deployed with is read at once.
        let all: BTreeSet<&str> = closures.values().flatten().copied().collect();
        let mut known = self.known();
        known.look_with(&view)?;
        known.inspect(&view, &all.into_iter().collect::<Vec<_>>(), &|_, _| ())?;
        for (file, closure) in closures {
            let closure: Vec<&str> = closure.into_iter().collect();
            let verdicts = known.judge(&view, &closure, &|_, _| ())?;
            let said: Vec<String> = verdicts.iter().filter(|verdict| is_flaw(verdict, &keyring)).map(words).collect();
            if let Some(first) = said.first() {
                let more = if said.len() > 1 { format!("; and {} more", said.len() - 1) } else { String::new() };
                flaws.insert(file.to_owned(), format!("{first}{more}"));
            }
        }
        Ok(flaws)
    }

    /// Returns those of some SOPS files that open and verify, so that they can be edited.
    pub fn openable<'f>(&self, tip: &Tip, files: &BTreeSet<&'f str>) -> Result<BTreeSet<&'f str>, CycleError> {
        if files.is_empty() {
            return Ok(BTreeSet::new());
        }
        let (keyring, listing) = (self.keyring()?, tip.listing()?);
        let view = View { tip, listing: &listing, keyring: &keyring };
        let all: Vec<&str> = files.iter().copied().collect();
        let verdicts = self.known().judge(&view, &all, &|_, _| ())?;
        let opens = |file: &&str| {
            let mut own = verdicts.iter().filter(|verdict| verdict.file == **file).peekable();
            own.peek().is_some()
                && own.all(|verdict| matches!(verdict.status, FileStatus::Ok | FileStatus::WrongRecipients))
        };
        Ok(files.iter().copied().filter(opens).collect())
    }

    /// Gives a SOPS file whose clear values were edited a new message authentication code.
    pub fn update_mac(&self, before: &[u8], after: &[u8]) -> Result<Vec<u8>, String> {
        let keyring = self.sources.keyring().map_err(|error| error.to_string())?;
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        update_mac::update_mac(before, after, &keyring, &now, &mut UnwrapErr(SysRng)).map_err(|error| error.to_string())
    }

    /// Returns what some files of a tip say of pods. Each blob is read once.
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
        let read = tip.read_blobs(&blobs, |index, bytes| Arc::new(pods::read(&unread[index].1, bytes, part)))?;
        known.pods.extend(unread.into_iter().zip(read));
        let found = |file: PodKey| Some((file.1.clone(), Arc::clone(known.pods.get(&file)?)));
        Ok(wanted.into_iter().filter_map(found).collect())
    }

    /// Returns the rules of a tip.
    pub fn rules(&self, tip: &Tip, listing: &Listing, keyring: &Keyring) -> Result<RuleBook, RepoError> {
        let mut known = self.known();
        known.look_with(&View { tip, listing, keyring })?;
        Ok(known.rules.clone())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Files to be verified, and with what.
struct View<'v> {
    tip: &'v Tip,
    listing: &'v Listing,
    keyring: &'v Keyring,
}

impl Known {
    /// The verdicts on some files of a tip and on those that their kustomizations make Secrets of, in the order of their
    /// paths.
    fn judge(
        &mut self,
        view: &View<'_>,
        files: &[&str],
        progress: &Progress<'_>,
    ) -> Result<Vec<FileVerdict>, RepoError> {
        self.look_with(view)?;
        let exists = |path: &str| view.listing.contains_key(path);
        let read_source = |sources: &[(&str, &str)]| {
            let blobs: Vec<BlobId> = sources.iter().filter_map(|(path, _)| view.listing.get(*path).copied()).collect();
            view.tip
                .read_blobs(&blobs, |index, bytes| inspect::inspect_source(sources[index].0, bytes, sources[index].1))
        };
        verdicts(files, exists, |files| self.inspect(view, files, progress), read_source)
    }

    /// Drops what other rules or identities came to.
    fn look_with(&mut self, view: &View<'_>) -> Result<(), RepoError> {
        let rules = view.listing.iter().filter(|(path, _)| RuleBook::is_rules(path));
        let setting = Setting {
            recipients: view.keyring.recipients().map(str::to_owned).collect(),
            rules: rules.map(|(path, blob)| (path.clone(), *blob)).collect(),
        };
        if setting == self.setting {
            return Ok(());
        }
        let blobs: Vec<BlobId> = setting.rules.iter().map(|(_, blob)| *blob).collect();
        let read = view.tip.read_blobs(&blobs, |_, bytes| bytes.to_vec())?;
        self.rules = RuleBook::default();
        setting.rules.iter().zip(read).for_each(|((path, _), bytes)| self.rules.add(path, &bytes));
        self.inspections.clear();
        self.setting = setting;
        Ok(())
    }

    /// The inspections of files.
    fn inspect(
        &mut self,
        view: &View<'_>,
        files: &[&str],
        progress: &Progress<'_>,
    ) -> Result<BTreeMap<String, Arc<Inspection>>, RepoError> {
        let listing = view.listing;
        let wanted: Vec<(BlobId, String)> =
            files.iter().filter_map(|file| Some((*listing.get(*file)?, (*file).to_owned()))).collect();
        if self.inspections.len() > 2 * listing.len() + LEAST_KEPT {
            self.inspections.retain(|(blob, path), _| listing.get(path) == Some(blob));
        }
        let open: Vec<&(BlobId, String)> = wanted.iter().filter(|file| !self.inspections.contains_key(*file)).collect();
        let blobs: Vec<BlobId> = open.iter().map(|(blob, _)| *blob).collect();
        let (rules, done) = (&self.rules, AtomicUsize::new(0));
        let made = view.tip.read_blobs(&blobs, |index, bytes| {
            let inspection = inspect::inspect(&open[index].1, bytes, view.keyring, rules);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, blobs.len());
            Arc::new(inspection)
        })?;
        self.inspections.extend(open.into_iter().cloned().zip(made));
        let found = |file: (BlobId, String)| {
            let inspection = Arc::clone(self.inspections.get(&file)?);
            Some((file.1, inspection))
        };
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
