//! Encrypts the SOPS files of a branch with new data keys, as one commit. It moves no image, so it needs no plan: each
//! file is verified by opening it again.

use std::collections::BTreeMap;

use getrandom::SysRng;
use rand_core::UnwrapErr;

use crate::clock;
use crate::cycle::error::CycleError;
use crate::cycle::report::FileChange;
use crate::cycle::secrets::verify::Secrets;
use crate::cycle::tip::Tip;
use crate::manifest::file_kind::is_manifest_name;
use crate::manifest::inventory::NamedFileError;
use crate::manifest::paths::PathFilter;
use crate::repo::clone::CommitId;
use crate::repo::tree::Content;
use crate::sops::error::SopsError;
use crate::sops::keyring::Keyring;
use crate::sops::rotate::{self, Rotated};
use crate::sops::rulebook::RuleBook;
use crate::yaml::node::ScanError;

/// A SOPS file with the result of its rotation.
#[derive(Debug)]
pub struct RotatedFile {
    /// The file.
    pub file: String,
    /// Its bytes before.
    pub before: Vec<u8>,
    /// The rotated file, or the error.
    pub outcome: Result<Rotated, SopsError>,
}

impl RotatedFile {
    /// Encrypts a file with a new data key. Returns `None` if it is not a SOPS file.
    pub fn of(file: &str, bytes: &[u8], keyring: &Keyring, rules: &RuleBook) -> Option<RotatedFile> {
        let now = clock::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let outcome = rotate::rotate_by_rules(file, bytes, keyring, rules, &now, &mut UnwrapErr(SysRng))?;
        Some(RotatedFile { file: file.to_owned(), before: bytes.to_vec(), outcome })
    }

    /// Refuses a file that is too large to be read. Returns `None` if its name is not that of a manifest.
    pub fn too_large(file: &str, size: u64) -> Option<RotatedFile> {
        let outcome = Err(SopsError::Unreadable(ScanError::TooLarge { size }.to_string()));
        is_manifest_name(file).then(|| RotatedFile { file: file.to_owned(), before: Vec::new(), outcome })
    }

    /// Returns the file before and after, if it could be encrypted again.
    pub fn change(&self) -> Option<FileChange> {
        let rotated = self.outcome.as_ref().ok()?;
        Some(FileChange { file: self.file.clone(), before: self.before.clone(), after: rotated.bytes.clone() })
    }
}

/// The result of a rotation. If one file cannot be encrypted again, none is.
#[derive(Debug)]
pub struct Rotation {
    /// All selected SOPS files.
    pub files: Vec<RotatedFile>,
    /// The commit that was pushed, if any.
    pub commit: Option<CommitId>,
}

impl Rotation {
    /// Returns whether every file could be encrypted again.
    pub fn is_whole(&self) -> bool {
        self.files.iter().all(|file| file.outcome.is_ok())
    }
}

impl Rotation {
    /// Encrypts the SOPS files of a tip that `paths` selects. Nothing is written.
    pub fn of(tip: &Tip, paths: &PathFilter, secrets: &Secrets) -> Result<Rotation, CycleError> {
        if let Some(file) = paths.missing(&|path| tip.has(path)) {
            return Err(CycleError::NamedFile(NamedFileError::Missing { file: file.to_owned() }));
        }
        let (keyring, listing) = (secrets.keyring()?, tip.listing()?);
        let rules = secrets.rules(tip, &listing, &keyring)?;
        let wanted: Vec<_> = listing.iter().filter(|(file, _)| paths.wants(file)).collect();
        let blobs: Vec<_> = wanted.iter().map(|(_, blob)| **blob).collect();
        let files = tip.read_blobs(&blobs, |index, content| match content {
            Content::Bytes(bytes) => RotatedFile::of(wanted[index].0, bytes, &keyring, &rules),
            Content::TooLarge(size) => RotatedFile::too_large(wanted[index].0, size),
        })?;
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
