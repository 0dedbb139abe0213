//! The available identities, which decrypt data keys.

use std::collections::BTreeSet;

use crate::secret::Secret;

use super::age::file::{self, AgeError};
use super::age::identity::{Identity, IdentityError};
use super::age::recipient;
use super::cipher::DataKey;
use super::error::SopsError;
use super::metadata::{MasterKey, Metadata};
use super::shamir;

/// The available identities.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    identities: Vec<Identity>,
    recipients: BTreeSet<String>,
}

impl Keyring {
    /// Makes an empty keyring, which decrypts nothing.
    pub fn new() -> Keyring {
        Keyring::default()
    }

    /// Adds the identities of a key file: age identities, one per line, or an SSH private key.
    pub fn add_file(&mut self, text: &Secret<String>) -> Result<(), IdentityError> {
        for identity in Identity::parse_file(text.expose())? {
            self.recipients.insert(identity.recipient().written());
            self.identities.push(identity);
        }
        Ok(())
    }

    /// Returns whether there are no identities.
    pub fn is_empty(&self) -> bool {
        self.identities.is_empty()
    }

    /// Returns whether the identity of a recipient is available.
    pub fn holds(&self, recipient: &str) -> bool {
        self.recipients.contains(&recipient::normalized(recipient))
    }

    /// Returns the recipients whose identities are available.
    pub fn recipients(&self) -> impl Iterator<Item = &str> {
        self.recipients.iter().map(String::as_str)
    }

    /// Decrypts the data key of a file. All entries that an identity decrypts must agree.
    pub fn open(&self, metadata: &Metadata) -> Result<DataKey, SopsError> {
        let mut shares = Vec::new();
        for group in &metadata.groups {
            shares.extend(self.open_group(group)?);
        }
        let recipients = || metadata.recipients();
        let broken = || SopsError::DataKey { recipient: recipients().join(", ") };
        if metadata.groups.len() == 1 {
            let share = shares.first().ok_or_else(|| self.not_decrypted(metadata))?;
            return DataKey::from_bytes(share.expose()).ok_or_else(broken);
        }
        let needed = metadata.threshold.unwrap_or(metadata.groups.len());
        match shares.len() {
            0 => Err(self.not_decrypted(metadata)),
            opened if opened < needed.max(2) => {
                Err(SopsError::TooFewGroups { opened, needed, recipients: recipients() })
            }
            _ => shamir::combine(&shares).and_then(|key| DataKey::from_bytes(key.expose())).ok_or_else(broken),
        }
    }

    /// Decrypts the data key, or the share of it, in a group.
    fn open_group(&self, group: &[MasterKey]) -> Result<Option<Secret<Vec<u8>>>, SopsError> {
        let mut found: Option<Secret<Vec<u8>>> = None;
        for key in group {
            let MasterKey::Age { recipient, enc } = key else { continue };
            let broken = || SopsError::DataKey { recipient: recipient.clone() };
            let opened = match file::decrypt(enc.as_bytes(), &self.identities) {
                Ok(share) => share,
                // Entries for others are ignored; those for available identities must decrypt.
                Err(AgeError::NoMatch | AgeError::Form) if !self.holds(recipient) => continue,
                _ => return Err(broken()),
            };
            match &found {
                Some(first) if *first != opened => return Err(broken()),
                _ => found = Some(opened),
            }
        }
        Ok(found)
    }

    /// Returns the reason why nothing was decrypted: no identity fits, or no kind of key is supported.
    fn not_decrypted(&self, metadata: &Metadata) -> SopsError {
        let here = metadata.keys().any(|key| match key {
            MasterKey::Age { recipient, .. } => recipient::is_known(recipient),
            MasterKey::Foreign { .. } => false,
        });
        let recipients = metadata.recipients();
        let available = || self.recipients().map(str::to_owned).collect();
        if here {
            SopsError::NoIdentity { recipients, available: available() }
        } else {
            SopsError::Foreign { keys: recipients }
        }
    }
}

#[cfg(test)]
mod tests {
    use getrandom::SysRng;
    use rand_core::UnwrapErr;

    use super::*;
    use crate::sops::age::bech32;
    use crate::sops::encrypt::{Recipe, encrypt};
    use crate::sops::envelope;
    use crate::sops::format::Format;
    use crate::sops::recipients::Recipients;
    use crate::sops::selection::Selection;

    fn keyring(kind: &str, seed: u8) -> Keyring {
        let mut keyring = Keyring::new();
        let identity = bech32::encode(kind, &[seed; 32]).expect("a key").to_ascii_uppercase();
        keyring.add_file(&Secret::new(format!("# a comment\n\n{identity}\n"))).expect("an identity");
        keyring
    }

    fn metadata(groups: Vec<Vec<String>>) -> Metadata {
        let recipe = Recipe {
            recipients: Recipients { groups, threshold: None },
            selection: Selection::default(),
            mac_only_encrypted: false,
        };
        let time = "2026-11-21T08:00:00Z";
        let file = encrypt(b"a: 1\n", Format::Yaml, &recipe, time, &mut UnwrapErr(SysRng)).expect("encrypted");
        envelope::read(&file, Format::Yaml).expect("a SOPS file").metadata
    }

    #[test]
    fn identities_of_every_kind_open_their_files() {
        for kind in ["age-secret-key-", "age-secret-key-pq-"] {
            let (mine, other) = (keyring(kind, 1), keyring(kind, 2));
            let recipient = mine.recipients().next().expect("a recipient").to_owned();
            let metadata = metadata(vec![vec![recipient.clone()]]);
            assert!(mine.open(&metadata).is_ok() && mine.holds(&recipient));
            let available = other.recipients().map(str::to_owned).collect();
            assert_eq!(other.open(&metadata), Err(SopsError::NoIdentity { recipients: vec![recipient], available }));
        }
    }

    #[test]
    fn all_that_opens_must_agree() {
        let recipients: Vec<String> = [1, 2]
            .iter()
            .flat_map(|seed| keyring("age-secret-key-", *seed).recipients().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let mut both = keyring("age-secret-key-", 1);
        both.add_file(&Secret::new(bech32::encode("age-secret-key-", &[2; 32]).expect("a key").to_ascii_uppercase()))
            .expect("added");
        let mut metadata_of_one = metadata(vec![vec![recipients[0].clone()]]);
        let another = metadata(vec![vec![recipients[1].clone()]]);
        metadata_of_one.groups[0].extend(another.groups[0].clone());
        assert_eq!(both.open(&metadata_of_one), Err(SopsError::DataKey { recipient: recipients[1].clone() }));
    }

    #[test]
    fn keys_of_services_are_not_supported() {
        let mut metadata = metadata(vec![keyring("age-secret-key-", 1).recipients().map(str::to_owned).collect()]);
        metadata.groups = vec![vec![MasterKey::Foreign { service: "pgp".to_owned(), name: "FBC7".to_owned() }]];
        let error = keyring("age-secret-key-", 1).open(&metadata).expect_err("not asked");
        assert_eq!(error.to_string(), "it is encrypted only to pgp FBC7, which is not supported");
    }
}
