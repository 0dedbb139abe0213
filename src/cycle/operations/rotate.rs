//! Encrypt the SOPS files of a branch with new data keys, as one commit. It moves no image, so it needs no plan: each file
//! is proved by opening it again.

use std::collections::BTreeMap;

use getrandom::SysRng;
use jiff::Timestamp;
use rand_core::UnwrapErr;

use crate::cycle::error::CycleError;
use crate::cycle::report::FileChange;
use crate::cycle::secrets::verify::Secrets;
use crate::cycle::tip::Tip;
use crate::manifest::inventory::NamedFileError;
use crate::manifest::paths::PathFilter;
use crate::repo::clone::CommitId;
use crate::sops::error::SopsError;
use crate::sops::keyring::Keyring;
use crate::sops::rotate::{self, Rotated};
use crate::sops::rulebook::RuleBook;

/// A SOPS file, and what became of it.
#[derive(Debug)]
pub struct RotatedFile {
    /// The file.
    pub file: String,
    /// Its bytes before.
    pub before: Vec<u8>,
    /// What it is encrypted to now, or why it is not.
    pub outcome: Result<Rotated, SopsError>,
}

impl RotatedFile {
    /// Encrypts a file anew; `None` when it is no SOPS file.
    pub fn of(file: &str, bytes: &[u8], keyring: &Keyring, rules: &RuleBook) -> Option<RotatedFile> {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let outcome = rotate::rotate_by_rules(file, bytes, keyring, rules, &now, &mut UnwrapErr(SysRng))?;
        Some(RotatedFile { file: file.to_owned(), before: bytes.to_vec(), outcome })
    }

    /// The file as it was and as it is, if it could be encrypted anew.
    pub fn change(&self) -> Option<FileChange> {
        let rotated = self.outcome.as_ref().ok()?;
        Some(FileChange { file: self.file.clone(), before: self.before.clone(), after: rotated.bytes.clone() })
    }
}

/// What a rotation did. Where one file could not be encrypted anew, none was.
#[derive(Debug)]
pub struct Rotation {
    /// All SOPS files that were meant.
    pub files: Vec<RotatedFile>,
    /// The commit that was pushed, if any.
    pub commit: Option<CommitId>,
}

impl Rotation {
    /// Whether every file could be encrypted anew.
    pub fn is_whole(&self) -> bool {
        self.files.iter().all(|file| file.outcome.is_ok())
    }
}

impl Rotation {
    /// Encrypts the SOPS files of a tip again, those that `paths` wants. Nothing is written.
    pub fn of(tip: &Tip, paths: &PathFilter, secrets: &Secrets) -> Result<Rotation, CycleError> {
        if let Some(file) = paths.missing(&|path| tip.has(path)) {
            return Err(CycleError::NamedFile(NamedFileError::Missing { file: file.to_owned() }));
        }
        let (keyring, listing) = (secrets.keyring()?, tip.listing()?);
        let rules = secrets.rules(tip, &listing, &keyring)?;
        let wanted: Vec<_> = listing.iter().filter(|(file, _)| paths.wants(file)).collect();
        let blobs: Vec<_> = wanted.iter().map(|(_, blob)| **blob).collect();
        let files = tip.read_blobs(&blobs, |index, bytes| RotatedFile::of(wanted[index].0, bytes, &keyring, &rules))?;
        Ok(Rotation { files: files.into_iter().flatten().collect(), commit: None })
    }

    /// Writes the commit on top of its tip.
    pub fn write(&self, tip: &Tip) -> Result<CommitId, CycleError> {
        let changes = self.files.iter().filter_map(RotatedFile::change);
        let files: BTreeMap<String, Vec<u8>> = changes.map(|change| (change.file, change.after)).collect();
        Ok(tip.clone.commit(tip.commit, &files, &message(&files))?)
    }
}

fn message(files: &BTreeMap<String, Vec<u8>>) -> String {
    let subject = match files.first_key_value() {
        Some((file, _)) if files.len() == 1 => format!("secrets: new data key for {file}"),
        _ => format!("secrets: new data keys for {} files", files.len()),
    };
    let list: String = files.keys().map(|file| format!("- {file}\n")).collect();
    format!("{subject}\n\n{list}")
}
