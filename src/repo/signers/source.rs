//! Entries of `trust.signers`.

use std::path::PathBuf;

use super::keys::Keys;

/// An entry of `trust.signers`.
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
        let entry = entry.trim();
        if entry.is_empty() {
            return Err("an entry must not be empty".to_owned());
        }
        if !entry.contains(char::is_whitespace) {
            return Ok(SignerSource::File(PathBuf::from(entry)));
        }
        Keys::default().add(entry.as_bytes())?;
        Ok(SignerSource::Text(entry.to_owned()))
    }
}
