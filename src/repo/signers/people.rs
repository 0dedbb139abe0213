//! People with special rights, under `trust.approvers` and `trust.breakGlass`.

use sha2::{Digest, Sha256};

use crate::repo::error::{RepoError, Words};

use super::allowed::AllowedKey;
use super::contents;
use super::keys;
use super::source::{SignerSource, Trust};

/// A special right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// May approve.
    Approver,
    /// May skip gates.
    GlassBreaker,
}

/// The people with special rights.
#[derive(Debug, Default)]
pub struct People {
    approvers: Vec<AllowedKey>,
    glass_breakers: Vec<AllowedKey>,
    identity: String,
}

impl Role {
    /// Returns the key in the configuration that lists its people.
    pub fn key(self) -> &'static str {
        match self {
            Role::Approver => "trust.approvers",
            Role::GlassBreaker => "trust.breakGlass",
        }
    }
}

impl People {
    /// Reads the configured keys.
    pub fn of(trust: &Trust) -> Result<People, RepoError> {
        let mut hash = Sha256::new();
        let approvers = read(&trust.approvers, Role::Approver, &mut hash)?;
        let glass_breakers = read(&trust.break_glass, Role::GlassBreaker, &mut hash)?;
        let identity = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(People { approvers, glass_breakers, identity })
    }

    /// Returns a word that differs for different people.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Returns whether nobody has any special right.
    pub fn is_empty(&self) -> bool {
        self.approvers.is_empty() && self.glass_breakers.is_empty()
    }

    /// Returns the keys of the people who have a right.
    pub(super) fn with(&self, role: Role) -> &[AllowedKey] {
        match role {
            Role::Approver => &self.approvers,
            Role::GlassBreaker => &self.glass_breakers,
        }
    }
}

fn read(sources: &[SignerSource], role: Role, hash: &mut Sha256) -> Result<Vec<AllowedKey>, RepoError> {
    let mut people = Vec::new();
    for source in sources {
        let (file, bytes) = contents::read(source, role.key())?;
        hash.update(role.key());
        hash.update(Sha256::digest(&bytes));
        let keys = keys::read_ssh(&bytes).map_err(|reason| RepoError::Signers { file, source: Words(reason) })?;
        people.extend(keys.into_iter().filter(AllowedKey::is_for_commits));
    }
    Ok(people)
}
