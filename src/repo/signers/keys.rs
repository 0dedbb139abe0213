//! The keys in a text: SSH keys as lines of allowed_signers, or OpenPGP certificates.

use super::allowed::{self, AllowedKey};
use super::openpgp::{self, OpenPgpKey};
use super::verdict::Verdict;

/// The start of an armored OpenPGP certificate.
const CERTIFICATE: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// The start of an SSH signature.
const SSH_SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----";

/// The start of an X.509 signature, as gpgsm and gitsign make them.
const X509_SIGNATURE: &str = "-----BEGIN SIGNED MESSAGE-----";

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

/// Returns the verdict of SSH keys alone on an armored signature.
pub fn ssh_verdict(keys: &[AllowedKey], signature: &str, content: &[u8], at: i64) -> Verdict {
    if signature.trim_start().starts_with(SSH_SIGNATURE) {
        allowed::verdict(keys, signature, content, at)
    } else {
        Verdict::refused("it is not an SSH signature")
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

    /// Returns the number of keys that may sign commits.
    pub fn count(&self) -> usize {
        self.ssh.iter().filter(|key| key.is_for_commits()).count() + self.openpgp.len()
    }

    /// Returns the verdict of the keys on an armored signature of some content. SSH keys may be limited in time; `at` is
    /// the time of the commit in seconds, as for git.
    pub fn verdict(&self, signature: &str, content: &[u8], at: i64) -> Verdict {
        let start = signature.trim_start();
        if start.starts_with(SSH_SIGNATURE) {
            allowed::verdict(&self.ssh, signature, content, at)
        } else if start.starts_with(X509_SIGNATURE) {
            Verdict::refused("X.509 signatures are not supported")
        } else {
            openpgp::verdict(&self.openpgp, signature, content)
        }
    }

    /// Returns whether one of the keys made an armored signature of some content.
    pub fn signed(&self, signature: &str, content: &[u8], at: i64) -> bool {
        self.verdict(signature, content, at).is_accepted()
    }
}
