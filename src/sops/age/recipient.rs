//! To whom a file is encrypted.

use rand_core::CryptoRng;

use super::file::{FileKey, Stanza};
use super::{bech32, hybrid, ssh, x25519};

/// A recipient that can be encrypted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// `age1…`
    X25519(x25519::PublicKey),
    /// `age1pq1…`
    Hybrid(hybrid::PublicKey),
    /// `ssh-ed25519 …`
    Ssh(ssh::PublicKey),
}

impl Recipient {
    /// Reads a recipient; `None` for those of plugins, RSA keys and anything else.
    pub fn parse(text: &str) -> Option<Recipient> {
        let text = text.trim();
        if text.starts_with("ssh-") {
            return ssh::PublicKey::parse(text).map(Recipient::Ssh);
        }
        let (kind, bytes) = bech32::decode(text)?;
        let recipient = match kind.as_str() {
            "age" => Recipient::X25519(x25519::PublicKey(bytes.expose().as_slice().try_into().ok()?)),
            "age1pq" => Recipient::Hybrid(hybrid::PublicKey::of_bytes(bytes.expose())?),
            _ => return None,
        };
        let probe = x25519::SecretKey::of_bytes(&[1; 32])?;
        let usable = match &recipient {
            Recipient::X25519(key) => probe.shared(key).is_some(),
            _ => true,
        };
        usable.then_some(recipient)
    }

    /// The recipient as it is written, SSH keys without their comment.
    pub fn written(&self) -> String {
        match self {
            Recipient::X25519(key) => bech32::encode("age", &key.0),
            Recipient::Hybrid(key) => bech32::encode("age1pq", key.bytes()),
            Recipient::Ssh(key) => key.written(),
        }
    }

    /// Wraps a file key.
    pub(super) fn wrap(&self, key: &FileKey, rng: &mut impl CryptoRng) -> Stanza {
        let stanza = match self {
            Recipient::X25519(public) => public.wrap(key, rng),
            Recipient::Hybrid(public) => public.wrap(key, rng),
            Recipient::Ssh(public) => public.wrap(key, rng),
        };
        // `parse` lets no key through that no one can hold.
        stanza.unwrap_or_else(|| Stanza { args: vec!["none".to_owned()], body: Vec::new() })
    }
}

/// Whether a recipient is of a kind whose identities can be used here: not of a plugin, and no RSA key.
pub fn is_known(text: &str) -> bool {
    Recipient::parse(text).is_some()
}

/// What a recipient's text says when it is compared: an SSH key without its comment, anything else without blanks.
pub fn normalized(text: &str) -> String {
    let text = text.trim();
    match text.starts_with("ssh-") {
        true => text.split_ascii_whitespace().take(2).collect::<Vec<_>>().join(" "),
        false => text.to_owned(),
    }
}
