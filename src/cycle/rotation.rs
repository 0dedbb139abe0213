//! New data keys for the SOPS files of a branch, as one commit. It moves no image, so it needs no plan: each file is
//! proved by opening it again.

use std::collections::BTreeMap;
use std::time::Instant;

use getrandom::SysRng;
use jiff::Timestamp;
use rand_core::UnwrapErr;
use tokio::task::block_in_place;

use crate::manifest::inventory::NamedFileError;
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::push::{Lease, Push};
use crate::sops::error::SopsError;
use crate::sops::keyring::Keyring;
use crate::sops::rotate::{self, Rotated};
use crate::sops::rulebook::RuleBook;

use super::engine::Engine;
use super::error::CycleError;
use super::push;
use super::report::FileChange;
use super::task::Mode;

/// What one SOPS file came to.
#[derive(Debug)]
pub struct Turn {
    /// The file.
    pub file: String,
    /// Its bytes before.
    pub before: Vec<u8>,
    /// What it is encrypted to now, or why it is not.
    pub outcome: Result<Rotated, SopsError>,
}

impl Turn {
    /// Encrypts a file anew; `None` when it is no SOPS file.
    pub fn of(file: &str, bytes: &[u8], keyring: &Keyring, rules: &RuleBook) -> Option<Turn> {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let outcome = rotate::rotate_by_rules(file, bytes, keyring, rules, &now, &mut UnwrapErr(SysRng))?;
        Some(Turn { file: file.to_owned(), before: bytes.to_vec(), outcome })
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
    pub turns: Vec<Turn>,
    /// The commit that was pushed, if any.
    pub commit: Option<CommitId>,
}

impl Rotation {
    /// Whether every file could be encrypted anew.
    pub fn is_whole(&self) -> bool {
        self.turns.iter().all(|turn| turn.outcome.is_ok())
    }
}

impl Engine {
    /// Gives the SOPS files of the branch new data keys, and pushes that as one commit. After a lost race they are made
    /// anew from the new tip.
    pub async fn rotate_secrets(&self, mode: Mode) -> Result<Rotation, CycleError> {
        let mut clone = block_in_place(|| BareClone::open(self.repo.clone()))?;
        for attempt in 1..=self.attempts {
            let begun = Instant::now();
            let tip;
            (clone, tip) = block_in_place(|| clone.fetch())?;
            let mut rotation = Rotation { turns: block_in_place(|| self.turns(&clone, tip))?, commit: None };
            if mode == Mode::DryRun || rotation.turns.is_empty() || !rotation.is_whole() {
                return Ok(rotation);
            }
            let changes: Vec<FileChange> = rotation.turns.iter().filter_map(Turn::change).collect();
            let files: BTreeMap<String, Vec<u8>> = changes.into_iter().map(|c| (c.file, c.after)).collect();
            let commit = block_in_place(|| clone.commit(tip, &files, &message(&files)))?;
            let lease = Lease { branch: &self.repo.branch, expected: Some(tip) };
            match block_in_place(|| push::confirmed(&clone, commit, lease))? {
                Push::Done => {
                    rotation.commit = Some(commit);
                    return Ok(rotation);
                }
                Push::LostRace { words } => {
                    tracing::info!(attempt, %words, "someone else was first; rotating again on the new tip");
                    push::pause(attempt, self.attempts, begun).await;
                }
            }
        }
        Err(CycleError::Exhausted { branch: self.repo.branch.clone(), attempts: self.attempts })
    }

    fn turns(&self, clone: &BareClone, tip: CommitId) -> Result<Vec<Turn>, CycleError> {
        if let Some(file) = self.paths.missing(&|path| clone.has(tip, path)) {
            return Err(CycleError::NamedFile(NamedFileError::Missing { file: file.to_owned() }));
        }
        let keyring = self.secrets.keyring()?;
        let listing = self.secrets.listing(clone, tip)?;
        let rules = self.secrets.rules(clone, &listing, &keyring)?;
        let wanted: Vec<_> = listing.iter().filter(|(file, _)| self.paths.wants(file)).collect();
        let blobs: Vec<_> = wanted.iter().map(|(_, blob)| **blob).collect();
        let turns = clone.read_blobs(&blobs, |index, bytes| Turn::of(wanted[index].0, bytes, &keyring, &rules))?;
        Ok(turns.into_iter().flatten().collect())
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
