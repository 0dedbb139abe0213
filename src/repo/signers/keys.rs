//! The keys in a text: SSH keys as lines of allowed_signers, or OpenPGP certificates.

use super::allowed::{self, AllowedKey};
use super::openpgp::{self, OpenPgpKey};

/// The start of an armored OpenPGP certificate.
const CERTIFICATE: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// The start of an SSH signature.
const SSH_SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----";

/// Keys that may sign.
#[derive(Debug, Default)]
pub struct Keys {
    ssh: Vec<AllowedKey>,
    openpgp: Vec<OpenPgpKey>,
}

/// Reads lines of allowed_signers, where OpenPGP keys have no place.
///
/// # Errors
/// The mistakes in them.
pub fn read_ssh(bytes: &[u8]) -> Result<Vec<AllowedKey>, String> {
    match std::str::from_utf8(bytes).map(str::trim_start) {
        Ok(text) if !text.starts_with("-----BEGIN PGP") => allowed::read(text),
        _ => Err("only SSH keys, as lines of allowed_signers, can be used here".to_owned()),
    }
}

impl Keys {
    /// Adds the keys in a text.
    ///
    /// # Errors
    /// The mistakes in it.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), String> {
        match std::str::from_utf8(bytes).map(str::trim_start) {
            Ok(text) if !text.starts_with("-----BEGIN PGP") => self.ssh.extend(allowed::read(text)?),
            Ok(text) if !text.starts_with(CERTIFICATE) => return Err("it is not an OpenPGP public key".to_owned()),
            _ => self.openpgp.extend(openpgp::read(bytes)?),
        }
        Ok(())
    }

    /// Returns the number of keys.
    pub fn count(&self) -> usize {
        self.ssh.len() + self.openpgp.len()
    }

    /// Returns whether one of the keys made an armored signature of some content. SSH keys may be limited in time; `at` is
    /// the time of the commit in seconds, as for git.
    pub fn signed(&self, signature: &str, content: &[u8], at: i64) -> bool {
        if signature.trim_start().starts_with(SSH_SIGNATURE) {
            allowed::is_signed_by(&self.ssh, signature, content, at)
        } else {
            openpgp::is_signed_by(&self.openpgp, signature, content)
        }
    }
}
