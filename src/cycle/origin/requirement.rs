//! Reads the files that a policy names: keys and trusted roots. They are read whenever an image is verified, so that new
//! ones count without a restart.

use std::error::Error;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::fault::{Explain, Fault};
use crate::policy::origin::{OriginRule, SignerNames};
use crate::registry::known_origins::RequirementHash;
use crate::sigstore::key::{KeyError, PublicKey};
use crate::sigstore::requirement::{PredicateType, Requirement, Signer};
use crate::sigstore::trusted_root::{RootError, TrustedRoot};

/// The largest file that is read, in bytes. A trusted root has some tens of kilobytes.
const LARGEST: u64 = 4 << 20;

/// A file that a policy names cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum RequirementError {
    /// It cannot be read.
    #[error("cannot read {}", file.display())]
    Unreadable { file: PathBuf, source: std::io::Error },
    /// It is a folder or a device.
    #[error("{} is not a file", file.display())]
    NotAFile { file: PathBuf },
    /// It is too large, or no text.
    #[error("{} is not a text of at most 4 MiB", file.display())]
    NotAText { file: PathBuf },
    /// It is not a key.
    #[error("cannot use {}", file.display())]
    Key { file: PathBuf, source: KeyError },
    /// It is not a trusted root, or has expired.
    #[error("cannot use {}", file.display())]
    Root { file: PathBuf, source: RootError },
}

impl RequirementError {
    /// Returns the message with its cause.
    pub fn detail(&self) -> String {
        let cause = self.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{self}{cause}")
    }
}

impl Explain for RequirementError {
    fn fault(&self) -> Fault {
        Fault::BadInput
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            RequirementError::Unreadable { .. }
            | RequirementError::NotAFile { .. }
            | RequirementError::NotAText { .. } => {
                "check the path and its permissions; until then the policy moves nothing".to_owned()
            }
            RequirementError::Key { .. } => "use the public key that `cosign public-key` prints".to_owned(),
            RequirementError::Root { .. } => "use a current trusted_root.json".to_owned(),
        })
    }
}

/// A requirement with the contents of its files.
pub struct ReadRequirement {
    /// What is required.
    pub requirement: Requirement,
    /// The trusted root.
    pub root: Option<TrustedRoot>,
    /// The kinds of attestations that are required.
    pub predicates: Vec<PredicateType>,
}

impl ReadRequirement {
    /// Reads the files of a rule.
    ///
    /// # Errors
    /// A file cannot be read, is not what it should be, or is a trusted root that has expired.
    pub fn of(rule: &OriginRule, now: Timestamp) -> Result<ReadRequirement, RequirementError> {
        let root = rule.trusted_root.as_deref().map(|file| trusted_root(file, now)).transpose()?;
        let mut attestations = Vec::new();
        for required in &rule.attestations {
            let mut attestation = required.rule.clone();
            attestation.signers = signers(&required.signers)?;
            attestations.push(attestation);
        }
        let predicates = attestations.iter().map(|attestation| attestation.predicate.clone()).collect();
        let requirement = Requirement {
            signers: signers(&rule.signers)?,
            transparency: rule.transparency,
            need: rule.need,
            attestations,
        };
        Ok(ReadRequirement { requirement, root, predicates })
    }

    /// Returns the hash of it and of everything else that a verification depends on. A new version of tagalong verifies
    /// again, because it may know better.
    pub fn hash(&self, others: impl Hash) -> RequirementHash {
        let mut hasher = HashingHasher(Sha256::new());
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        self.requirement.hash(&mut hasher);
        self.root.as_ref().map(TrustedRoot::digest).hash(&mut hasher);
        others.hash(&mut hasher);
        hasher.0.finalize().into()
    }
}

/// Feeds what is hashed to SHA-256: the hash is kept on disk and must not be forged.
struct HashingHasher(Sha256);

impl Hasher for HashingHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let hash: RequirementHash = self.0.clone().finalize().into();
        hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

fn signers(names: &SignerNames) -> Result<Vec<Signer>, RequirementError> {
    let mut signers = Vec::with_capacity(names.count());
    for file in &names.keys {
        let key =
            PublicKey::parse(&text(file)?).map_err(|source| RequirementError::Key { file: file.clone(), source })?;
        signers.push(Signer::Key { file: file.display().to_string(), key });
    }
    signers.extend(
        names
            .keyless
            .iter()
            .map(|identity| Signer::Keyless { issuer: identity.issuer.clone(), subject: identity.subject.clone() }),
    );
    Ok(signers)
}

fn trusted_root(file: &Path, now: Timestamp) -> Result<TrustedRoot, RequirementError> {
    let invalid = |source| RequirementError::Root { file: file.to_owned(), source };
    let root = TrustedRoot::parse(&text(file)?).map_err(invalid)?;
    root.check_current(now).map_err(invalid)?;
    Ok(root)
}

/// Reads a file. Only plain files of a limited size are opened: a pipe or a device would never end.
fn text(file: &Path) -> Result<String, RequirementError> {
    let unreadable = |source| RequirementError::Unreadable { file: file.to_owned(), source };
    if !std::fs::metadata(file).map_err(unreadable)?.is_file() {
        return Err(RequirementError::NotAFile { file: file.to_owned() });
    }
    let mut bytes = Vec::new();
    File::open(file).and_then(|open| open.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    let text = String::from_utf8(bytes).ok().filter(|text| text.len() as u64 <= LARGEST);
    text.ok_or_else(|| RequirementError::NotAText { file: file.to_owned() })
}

#[cfg(test)]
mod tests {
    use crate::sigstore::requirement::Transparency;

    use super::*;

    const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAoyBnkiwbhoyTGhjDGbU71Pwigau\nVgkC97XbFBbMdg3oAqbYykSQJNmNgjYnwIF6O+Mhb3v1XnqUkuSodQ8eKA==\n-----END PUBLIC KEY-----\n";

    fn rule(keys: Vec<PathBuf>) -> OriginRule {
        let signers = SignerNames { keys, ..SignerNames::default() };
        let transparency = Transparency::Ignore;
        OriginRule { signers, trusted_root: None, transparency, need: 1, attestations: Vec::new() }
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let failure = |rule: &OriginRule| match ReadRequirement::of(rule, Timestamp::UNIX_EPOCH) {
            Ok(_) => panic!("it was accepted"),
            Err(error) => error.detail(),
        };
        let missing = folder.path().join("missing.pub");
        assert!(
            failure(&rule(vec![missing.clone()])).starts_with(&format!("cannot read {}: No such", missing.display()))
        );
        assert!(failure(&rule(vec![folder.path().to_owned()])).ends_with("is not a file"));
        assert!(failure(&rule(vec!["/dev/zero".into()])).ends_with("/dev/zero is not a file"));
        let large = folder.path().join("large");
        File::create(&large).and_then(|file| file.set_len(LARGEST + 1)).expect("a file");
        assert!(failure(&rule(vec![large])).ends_with("is not a text of at most 4 MiB"));
        let root = folder.path().join("root.json");
        std::fs::write(&root, "{}").expect("written");
        let message = failure(&OriginRule { trusted_root: Some(root.clone()), ..rule(Vec::new()) });
        assert!(message.starts_with(&format!("cannot use {}: ", root.display())), "{message}");
    }

    #[test]
    fn the_hash_covers_contents_and_all_that_is_verified() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("cosign.pub");
        std::fs::write(&key, KEY).expect("written");
        let read = |rule: &OriginRule| match ReadRequirement::of(rule, Timestamp::UNIX_EPOCH) {
            Ok(read) => read,
            Err(error) => panic!("{error}"),
        };
        let one = read(&rule(vec![key.clone()]));
        assert_eq!(one.hash("a"), read(&rule(vec![key.clone()])).hash("a"));
        assert_ne!(one.hash("a"), one.hash("b"));
        let two = OriginRule { need: 2, ..rule(vec![key]) };
        assert_ne!(one.hash("a"), read(&two).hash("a"));
    }
}
