//! The identities at hand, and the data key that they open.

use std::collections::BTreeSet;

use crate::secret::Secret;

use super::age::armor;
use super::age::file::{self, AgeError};
use super::age::identity::{Identity, IdentityError};
use super::age::recipient;
use super::cipher::DataKey;
use super::error::SopsError;
use super::metadata::{MasterKey, Metadata};
use super::shamir;

/// The identities at hand.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    identities: Vec<Identity>,
    recipients: BTreeSet<String>,
}

impl Keyring {
    /// An empty keyring, which opens nothing.
    pub fn new() -> Keyring {
        Keyring::default()
    }

    /// Adds the identities of a key file: of age, one a line, or an SSH private key.
    pub fn add_file(&mut self, text: &Secret<String>) -> Result<(), IdentityError> {
        for identity in Identity::parse_file(text.expose())? {
            self.recipients.insert(identity.recipient().written());
            self.identities.push(identity);
        }
        Ok(())
    }

    /// Whether there is no identity.
    pub fn is_empty(&self) -> bool {
        self.identities.is_empty()
    }

    /// Whether the identity of a recipient is here.
    pub fn holds(&self, recipient: &str) -> bool {
        self.recipients.contains(&recipient::normalized(recipient))
    }

    /// The recipients whose identities are here.
    pub fn recipients(&self) -> impl Iterator<Item = &str> {
        self.recipients.iter().map(String::as_str)
    }

    /// Opens the data key of a file. Everything that an identity opens must agree.
    pub fn open(&self, metadata: &Metadata) -> Result<DataKey, SopsError> {
        let mut shares = Vec::new();
        for group in &metadata.groups {
            shares.extend(self.open_group(group)?);
        }
        let recipients = || metadata.recipients();
        let broken = || SopsError::DataKey { recipient: recipients().join(", ") };
        if metadata.groups.len() == 1 {
            let share = shares.first().ok_or_else(|| not_opened(metadata))?;
            return DataKey::of_bytes(share.expose()).ok_or_else(broken);
        }
        let needed = metadata.threshold.unwrap_or(metadata.groups.len());
        match shares.len() {
            0 => Err(not_opened(metadata)),
            opened if opened < needed.max(2) => {
                Err(SopsError::TooFewGroups { opened, needed, recipients: recipients() })
            }
            _ => shamir::combine(&shares).and_then(|key| DataKey::of_bytes(key.expose())).ok_or_else(broken),
        }
    }

    /// The data key, or the share of it, that a group holds.
    fn open_group(&self, group: &[MasterKey]) -> Result<Option<Secret<Vec<u8>>>, SopsError> {
        let mut found: Option<Secret<Vec<u8>>> = None;
        for key in group {
            let MasterKey::Age { recipient, enc } = key else { continue };
            let broken = || SopsError::DataKey { recipient: recipient.clone() };
            let opened = match armor::decode(enc).map(|bytes| file::decrypt(&bytes, &self.identities)) {
                Some(Ok(share)) => share,
                // What is for others is not ours to judge; what is for us must open.
                Some(Err(AgeError::NoMatch)) | None if !self.holds(recipient) => continue,
                Some(Err(AgeError::Form)) if !self.holds(recipient) => continue,
                _ => return Err(broken()),
            };
            match &found {
                Some(first) if *first != opened => return Err(broken()),
                _ => found = Some(opened),
            }
        }
        Ok(found)
    }
}

/// Why nothing was opened: no identity fits, or none can.
fn not_opened(metadata: &Metadata) -> SopsError {
    let here = metadata.keys().any(|key| match key {
        MasterKey::Age { recipient, .. } => recipient::is_known(recipient),
        MasterKey::Foreign { .. } => false,
    });
    let keys = metadata.recipients();
    if here { SopsError::NoIdentity { recipients: keys } } else { SopsError::Foreign { keys } }
}
