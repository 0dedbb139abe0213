//! The keys of all entries of `trust.signers`.

use sha2::{Digest, Sha256};

use crate::repo::error::{RepoError, Words};

use super::contents;
use super::keys::Keys;
use super::source::SignerSource;

/// The keys whose commits count.
#[derive(Debug)]
pub enum Signers {
    /// All commits count.
    Anyone,
    /// Only commits signed by these keys count.
    Only {
        /// The keys.
        keys: Keys,
        /// A word that differs for different sets of keys.
        identity: String,
    },
}

impl Signers {
    /// Reads the configured keys.
    pub fn of(sources: &[SignerSource]) -> Result<Signers, RepoError> {
        if sources.is_empty() {
            return Ok(Signers::Anyone);
        }
        let (mut keys, mut hash) = (Keys::default(), Sha256::new());
        for source in sources {
            let (file, bytes) = contents::read(source, "trust.signers")?;
            hash.update(Sha256::digest(&bytes));
            keys.add(&bytes).map_err(|reason| RepoError::Signers { file, source: Words(reason) })?;
        }
        let identity = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(Signers::Only { keys, identity })
    }

    /// Returns a word that differs for different sets of keys.
    pub fn identity(&self) -> &str {
        match self {
            Signers::Anyone => "anyone",
            Signers::Only { identity, .. } => identity,
        }
    }
}
