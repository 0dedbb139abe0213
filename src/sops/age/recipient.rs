//! Recipients: the public keys that files are encrypted to.

use std::collections::HashSet;

use age::{EncryptError, x25519};
use age_core::format::{FileKey, Stanza};

use super::{bech32, curve, hybrid, ssh};

/// A recipient that can be encrypted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// `age1…`
    X25519(x25519::Recipient),
    /// `age1pq1…`
    Hybrid(hybrid::PublicKey),
    /// `ssh-ed25519 …`
    Ssh(ssh::PublicKey),
}

impl Recipient {
    /// Parses a recipient; `None` for those of plugins, RSA keys and anything else, and for keys without a possible
    /// private key.
    pub fn parse(text: &str) -> Option<Recipient> {
        let text = text.trim();
        if text.starts_with("ssh-") {
            return ssh::PublicKey::parse(text).map(Recipient::Ssh);
        }
        let (kind, bytes) = bech32::decode(text)?;
        match kind.as_str() {
            "age" => {
                let is_usable = curve::PublicKey(bytes.expose().as_slice().try_into().ok()?).is_usable();
                let recipient = text.parse().ok().filter(|_| is_usable);
                recipient.map(Recipient::X25519)
            }
            "age1pq" => hybrid::PublicKey::from_bytes(bytes.expose()).map(Recipient::Hybrid),
            _ => None,
        }
    }

    /// Returns the text of the recipient, SSH keys without their comment.
    pub fn written(&self) -> String {
        match self {
            Recipient::X25519(key) => key.to_string(),
            Recipient::Hybrid(key) => key.written(),
            Recipient::Ssh(key) => key.written(),
        }
    }
}

impl age::Recipient for Recipient {
    fn wrap_file_key(&self, key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let stanza = match self {
            Recipient::X25519(public) => return public.wrap_file_key(key),
            Recipient::Hybrid(public) => public.wrap(key),
            Recipient::Ssh(public) => public.wrap(key),
        };
        let refused = || EncryptError::Io(std::io::Error::other("there is no private key for this recipient"));
        // The label keeps weaker recipients from being mixed with post-quantum ones in a file.
        let labels = match self {
            Recipient::Hybrid(_) => HashSet::from(["postquantum".to_owned()]),
            _ => HashSet::new(),
        };
        Ok((vec![stanza.ok_or_else(refused)?], labels))
    }
}

/// Returns whether a recipient is of a supported kind: not of a plugin, and not an RSA key.
pub fn is_known(text: &str) -> bool {
    Recipient::parse(text).is_some()
}

/// Returns a recipient's text for comparison: an SSH key without its comment, anything else without surrounding blanks.
pub fn normalized(text: &str) -> String {
    let text = text.trim();
    if text.starts_with("ssh-") {
        text.split_ascii_whitespace().take(2).collect::<Vec<_>>().join(" ")
    } else {
        text.to_owned()
    }
}
