//! Identities: the private keys that decrypt files.

use std::fmt;

use age::{DecryptError, x25519};
use age_core::format::{FileKey, Stanza};

use crate::fault::{Explain, Fault};

use super::recipient::Recipient;
use super::ssh::SshKeyError;
use super::{bech32, hybrid, ssh};

/// A private key. It prints nothing of itself.
#[derive(Clone)]
pub enum Identity {
    /// `AGE-SECRET-KEY-1…`
    X25519(x25519::Identity),
    /// `AGE-SECRET-KEY-PQ-1…`
    Hybrid(hybrid::SecretKey),
    /// An OpenSSH private key.
    Ssh(Box<ssh::SecretKey>),
}

/// The reason why a line or file of identities could not be read. It never contains the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum IdentityError {
    /// A line is not an identity.
    #[error("line {line}: not a valid age identity")]
    Line { line: usize },
    /// An identity is that of a plugin.
    #[error("line {line}: identities of age plugins are not supported")]
    Plugin { line: usize },
    /// The file is encrypted by age with a passphrase.
    #[error("the identities are protected by a passphrase")]
    Passphrase,
    /// An SSH key cannot be used.
    #[error(transparent)]
    Ssh(#[from] SshKeyError),
}

impl Explain for IdentityError {
    fn fault(&self) -> Fault {
        Fault::BadInput
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            IdentityError::Line { .. } => {
                "a key file contains lines that start with AGE-SECRET-KEY-, or one SSH private key"
            }
            IdentityError::Plugin { .. } => "use an identity that needs no plugin",
            IdentityError::Passphrase | IdentityError::Ssh(_) => {
                "use an age identity or an Ed25519 SSH key without a passphrase"
            }
        };
        Some(help.to_owned())
    }
}

impl Identity {
    /// Parses one identity, without surrounding text.
    pub fn parse(text: &str) -> Option<Identity> {
        if !text.starts_with("AGE-SECRET-KEY-") {
            return None;
        }
        if let Ok(key) = text.parse() {
            return Some(Identity::X25519(key));
        }
        let (kind, bytes) = bech32::decode(text)?;
        (kind == "age-secret-key-pq-").then(|| hybrid::SecretKey::from_bytes(bytes.expose()).map(Identity::Hybrid))?
    }

    /// Parses a key file: age identities, one per line, with comments and blank lines; or one SSH private key.
    pub fn parse_file(text: &str) -> Result<Vec<Identity>, IdentityError> {
        let start = text.trim_start();
        if start.starts_with("-----BEGIN AGE ENCRYPTED FILE") || start.starts_with("age-encryption.org/") {
            return Err(IdentityError::Passphrase);
        }
        if start.starts_with("-----BEGIN") {
            return Ok(vec![Identity::Ssh(Box::new(ssh::SecretKey::parse(text)?))]);
        }
        let mut identities = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let content = line.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let line = number + 1;
            let is_of_plugin = content.starts_with("AGE-PLUGIN-");
            let error = if is_of_plugin { IdentityError::Plugin { line } } else { IdentityError::Line { line } };
            identities.push(Identity::parse(content).ok_or(error)?);
        }
        Ok(identities)
    }

    /// Returns the recipient whose files it decrypts.
    pub fn recipient(&self) -> Recipient {
        match self {
            Identity::X25519(key) => Recipient::X25519(key.to_public()),
            Identity::Hybrid(key) => Recipient::Hybrid(key.public()),
            Identity::Ssh(key) => Recipient::Ssh(key.public().clone()),
        }
    }
}

impl age::Identity for Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        match self {
            Identity::X25519(key) => key.unwrap_stanza(stanza),
            Identity::Hybrid(key) => key.unwrap(stanza).map(Ok),
            Identity::Ssh(key) => key.unwrap(stanza).map(Ok),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
