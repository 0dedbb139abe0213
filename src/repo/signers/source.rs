//! Entries of the section `trust`.

use std::path::PathBuf;

use super::keys::{self, Keys};

/// The section `trust`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// The keys whose commits count; without any, all commits count.
    pub signers: Vec<SignerSource>,
    /// The SSH keys of those who may approve.
    pub approvers: Vec<SignerSource>,
    /// The SSH keys of those who may skip gates.
    pub break_glass: Vec<SignerSource>,
}

/// An entry of a list of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignerSource {
    /// Lines of allowed_signers, or an armored OpenPGP certificate.
    Text(String),
    /// A file with either, or with OpenPGP certificates in binary form; read again in each cycle.
    File(PathBuf),
}

impl SignerSource {
    /// Reads an entry: a single word is the path of a file, anything else is the text itself.
    ///
    /// # Errors
    /// A text that contains no valid key.
    pub fn read(entry: &str) -> Result<SignerSource, String> {
        SignerSource::of(entry, |text| Keys::default().add(text.as_bytes()))
    }

    /// The same for lists of SSH keys alone.
    pub fn read_ssh(entry: &str) -> Result<SignerSource, String> {
        SignerSource::of(entry, |text| keys::read_ssh(text.as_bytes()).map(drop))
    }

    fn of(entry: &str, check: impl Fn(&str) -> Result<(), String>) -> Result<SignerSource, String> {
        let entry = entry.trim();
        if entry.is_empty() {
            return Err("an entry must not be empty".to_owned());
        }
        if !entry.contains(char::is_whitespace) {
            return Ok(SignerSource::File(PathBuf::from(entry)));
        }
        check(entry)?;
        Ok(SignerSource::Text(entry.to_owned()))
    }
}
