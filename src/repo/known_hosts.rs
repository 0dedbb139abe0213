//! Which host keys are trusted: the known_hosts format of sshd(8), section "SSH_KNOWN_HOSTS FILE FORMAT".
//!
//! Names, `[host]:port`, `*` and `?` patterns, negation, hashed names and `@revoked` are read; certificate authorities
//! (`@cert-authority`) are not, because libssh2 cannot negotiate host certificates.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What a known_hosts file says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The key is on file for the host.
    Trusted,
    /// The host is on file with another key of the same kind, or the key is revoked.
    Changed,
    /// The host is not on file with a key of this kind.
    Unknown,
}

/// The hash of a host key, as ssh-keygen and forges print it: `SHA256:` and base64 without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// A text that is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fingerprint; write it as ssh-keygen -lf prints it: SHA256: and 43 characters")]
pub struct FingerprintError(String);

impl Fingerprint {
    /// That of a key's public blob.
    pub fn of(key: &[u8]) -> Fingerprint {
        Fingerprint(Sha256::digest(key).into())
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let hash = text.trim().strip_prefix("SHA256:").map(|rest| rest.trim_end_matches('='));
        let bytes = hash.and_then(|hash| STANDARD_NO_PAD.decode(hash).ok());
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Fingerprint).ok_or_else(|| FingerprintError(text.to_owned()))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", STANDARD_NO_PAD.encode(self.0))
    }
}

/// How known_hosts names a host: `[host]:port` unless the port is 22.
pub fn host_name(authority: &str) -> String {
    match authority.rsplit_once(':') {
        Some((host, "22")) => host.to_owned(),
        Some((host, port)) if !host.ends_with(':') && port.bytes().all(|b| b.is_ascii_digit()) => {
            format!("[{}]:{port}", host.trim_start_matches('[').trim_end_matches(']'))
        }
        _ => authority.to_owned(),
    }
}

/// Looks a key up: `kind` is its algorithm (`ssh-ed25519`), `key` its public blob.
pub fn look_up(text: &str, host: &str, kind: &str, key: &[u8]) -> Verdict {
    let mut verdict = Verdict::Unknown;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (marker, rest) = match line.split_once(char::is_whitespace) {
            Some((marker, rest)) if marker.starts_with('@') => (marker, rest.trim_start()),
            _ => ("", line),
        };
        let mut parts = rest.split_whitespace();
        let (Some(names), Some(kind_on_file), Some(blob)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        if marker == "@cert-authority" || !names_match(names, host) || kind_on_file != kind {
            continue;
        }
        let same = STANDARD.decode(blob).is_ok_and(|on_file| on_file == key);
        match (marker, same) {
            ("@revoked", true) => return Verdict::Changed,
            ("@revoked", false) => {}
            (_, true) => verdict = Verdict::Trusted,
            (_, false) if verdict == Verdict::Unknown => verdict = Verdict::Changed,
            (_, false) => {}
        }
    }
    verdict
}

/// The line that trusts a key.
pub fn line(host: &str, kind: &str, key: &[u8]) -> String {
    format!("{host} {kind} {}", STANDARD.encode(key))
}

fn names_match(names: &str, host: &str) -> bool {
    if let Some(hashed) = names.strip_prefix("|1|") {
        return hash_matches(hashed, host).unwrap_or(false);
    }
    let mut found = false;
    for name in names.split(',') {
        match name.strip_prefix('!') {
            Some(not) if pattern_matches(not, host) => return false,
            Some(_) => {}
            None => found |= pattern_matches(name, host),
        }
    }
    found
}

/// `salt|hash`, both base64; the hash is HMAC-SHA1 of the name under the salt.
fn hash_matches(hashed: &str, host: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let mut mac = Hmac::<Sha1>::new_from_slice(&STANDARD.decode(salt).ok()?).ok()?;
    mac.update(host.as_bytes());
    Some(mac.verify_slice(&STANDARD.decode(hash).ok()?).is_ok())
}

fn pattern_matches(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.to_ascii_lowercase(), host.to_ascii_lowercase());
    match pattern.split_once(['*', '?']) {
        None => pattern == host,
        Some((literal, rest)) => {
            let Some(tail) = host.strip_prefix(literal) else { return false };
            let many = pattern.as_bytes()[literal.len()] == b'*';
            let longest = if many { tail.len() } else { 1.min(tail.len()) };
            let shortest = usize::from(!many);
            (shortest..=longest).any(|skip| tail.get(skip..).is_some_and(|tail| pattern_matches(rest, tail)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_with_their_port() {
        assert_eq!(host_name("example.com"), "example.com");
        assert_eq!(host_name("example.com:22"), "example.com");
        assert_eq!(host_name("127.0.0.1:2222"), "[127.0.0.1]:2222");
        assert_eq!(host_name("[::1]:2222"), "[::1]:2222");
    }

    #[test]
    fn keys_are_looked_up_by_host_and_kind() {
        let key = STANDARD.encode("key");
        let file = format!("# mine\nexample.com,10.0.0.? ssh-ed25519 {key} comment\n!a.org,*.org ssh-rsa {key}\n");
        let verdict = |host, kind, key: &str| look_up(&file, host, kind, key.as_bytes());
        assert_eq!(verdict("example.com", "ssh-ed25519", "key"), Verdict::Trusted);
        assert_eq!(verdict("10.0.0.7", "ssh-ed25519", "key"), Verdict::Trusted);
        assert_eq!(verdict("example.com", "ssh-ed25519", "other"), Verdict::Changed);
        assert_eq!(verdict("example.com", "ssh-rsa", "key"), Verdict::Unknown);
        assert_eq!(verdict("[example.com]:2222", "ssh-ed25519", "key"), Verdict::Unknown);
        assert_eq!(verdict("b.org", "ssh-rsa", "key"), Verdict::Trusted);
        assert_eq!(verdict("a.org", "ssh-rsa", "key"), Verdict::Unknown);
        let revoked = format!("@revoked * ssh-rsa {key}\nb.org ssh-rsa {key}\n@cert-authority * ssh-rsa {key}\n");
        assert_eq!(look_up(&revoked, "b.org", "ssh-rsa", b"key"), Verdict::Changed);
        assert_eq!(look_up(&format!("@cert-authority * ssh-rsa {key}"), "b.org", "ssh-rsa", b"key"), Verdict::Unknown);
    }

    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        // github.com's ed25519 key, with the fingerprint that GitHub publishes.
        let key = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
        let of_key = Fingerprint::of(&STANDARD.decode(key).expect("base64"));
        assert_eq!(of_key.to_string(), "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
        assert_eq!(of_key.to_string().parse(), Ok(of_key));
        for text in ["", "SHA256:", "+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU", "MD5:16:27:ac", "SHA256:AAAA"] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }

    #[test]
    fn hashed_names_are_found() {
        let salt = STANDARD.encode("0123456789abcdefghij");
        let mut mac = Hmac::<Sha1>::new_from_slice(b"0123456789abcdefghij").expect("any length");
        mac.update(b"[127.0.0.1]:2222");
        let hash = STANDARD.encode(mac.finalize().into_bytes());
        let file = format!("|1|{salt}|{hash} ssh-ed25519 {}\n", STANDARD.encode("key"));
        assert_eq!(look_up(&file, "[127.0.0.1]:2222", "ssh-ed25519", b"key"), Verdict::Trusted);
        assert_eq!(look_up(&file, "127.0.0.1", "ssh-ed25519", b"key"), Verdict::Unknown);
    }
}
