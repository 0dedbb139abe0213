//! Which host keys are trusted: the known_hosts format of sshd(8), section "SSH_KNOWN_HOSTS FILE FORMAT".
//!
//! Names, `[host]:port`, `*` and `?` patterns, negation, hashed names, `@revoked` and `@cert-authority` are read.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The result of looking up a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The key is known for the host.
    Trusted,
    /// The key is revoked.
    Revoked,
    /// Another key of the same type is known for the host.
    Changed,
    /// No key of this type is known for the host.
    Unknown,
}

/// The hash of a host key, as ssh-keygen and forges print it: `SHA256:` and base64 without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// A text that is not a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a fingerprint; write it like ssh-keygen -lf does: SHA256: and 43 characters")]
pub struct FingerprintError(String);

impl Fingerprint {
    /// Returns the fingerprint of a key's public blob.
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

/// Returns the name of a host in known_hosts: `[host]:port` unless the port is 22. An IPv6 address has brackets only with
/// a port.
pub fn host_name(authority: &str) -> String {
    let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_owned();
    match authority.rsplit_once(':') {
        Some((host, "22" | "")) if !host.ends_with(':') => bare(host),
        Some((host, port)) if !host.ends_with(':') && port.bytes().all(|b| b.is_ascii_digit()) => {
            format!("[{}]:{port}", bare(host))
        }
        _ => bare(authority),
    }
}

/// What a known_hosts file says about a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownHost {
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    marker: Marker,
    kind: String,
    key: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    CertAuthority,
}

impl KnownHost {
    /// Reads the lines about a host, by its name from [`host_name`].
    pub fn read(text: &str, host: &str) -> KnownHost {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        KnownHost { lines: lines.filter_map(|line| Line::read(line, host)).collect() }
    }

    /// Looks up a key: `kind` is its algorithm (`ssh-ed25519`), `key` its public blob.
    pub fn verdict(&self, kind: &str, key: &[u8]) -> Verdict {
        if self.revokes(key) {
            return Verdict::Revoked;
        }
        let mut of_kind = self.lines.iter().filter(|line| line.marker == Marker::None && line.kind == kind);
        match of_kind.clone().next() {
            None => Verdict::Unknown,
            Some(_) if of_kind.any(|line| line.key == key) => Verdict::Trusted,
            Some(_) => Verdict::Changed,
        }
    }

    /// Returns whether a key of the host or of an authority is revoked.
    pub fn revokes(&self, key: &[u8]) -> bool {
        self.lines.iter().any(|line| line.marker == Marker::Revoked && line.key == key)
    }

    /// Returns the algorithms of the known keys, in the order of the file.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(|line| line.marker == Marker::None).map(|line| line.kind.as_str())
    }

    /// Returns the public blobs of the authorities for the host.
    pub fn authorities(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().filter(|line| line.marker == Marker::CertAuthority).map(|line| line.key.as_slice())
    }
}

impl Line {
    fn read(line: &str, host: &str) -> Option<Line> {
        let (marker, rest) = match line.split_once(char::is_whitespace) {
            Some(("@revoked", rest)) => (Marker::Revoked, rest),
            Some(("@cert-authority", rest)) => (Marker::CertAuthority, rest),
            // A line with an unknown marker is not trusted.
            Some((marker, _)) if marker.starts_with('@') => return None,
            _ => (Marker::None, line),
        };
        let mut parts = rest.split_whitespace();
        let (names, kind, blob) = (parts.next()?, parts.next()?, parts.next()?);
        // For authorities, ssh also looks up the host without its port. What is revoked is revoked at every port.
        let is_named =
            names_match(names, host) || marker != Marker::None && names_match(names, name_without_port(host));
        let key = STANDARD.decode(blob).ok().filter(|_| is_named)?;
        Some(Line { marker, kind: kind.to_owned(), key })
    }
}

/// Returns the host in a name from [`host_name`].
pub fn name_without_port(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:")).map_or(host, |(name, _)| name)
}

/// Returns whether a certificate's principals, which may be patterns, include the host.
pub fn is_principal(principals: &[String], host: &str) -> bool {
    principals.iter().any(|principal| pattern_matches(principal, name_without_port(host)))
}

/// Returns the line that makes a key known.
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

/// Matches a pattern with `*` and `?`. It goes back only to the last `*`, so that a pattern of many `*`, which may be a
/// server's own in a certificate, takes no longer than its length times that of the host.
fn pattern_matches(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.as_bytes(), host.as_bytes());
    let (mut at, mut matched, mut last_star) = (0, 0, None);
    while matched < host.len() {
        match pattern.get(at) {
            Some(b'*') => {
                last_star = Some((at, matched));
                at += 1;
                continue;
            }
            Some(byte) if *byte == b'?' || byte.eq_ignore_ascii_case(&host[matched]) => {
                (at, matched) = (at + 1, matched + 1)
            }
            _ => {
                let Some((star, skipped)) = last_star else { return false };
                last_star = Some((star, skipped + 1));
                (at, matched) = (star + 1, skipped + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
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
        // Like OpenSSH, which writes no brackets for port 22.
        assert_eq!((host_name("[::1]:22"), host_name("[::1]")), ("::1".to_owned(), "::1".to_owned()));
        assert_eq!(host_name("example.com:"), "example.com");
    }

    #[test]
    fn keys_are_looked_up_by_host_and_kind() {
        let key = STANDARD.encode("key");
        let file = format!("# mine\nexample.com,10.0.0.? ssh-ed25519 {key} comment\n!a.org,*.org ssh-rsa {key}\n");
        let verdict = |host, kind, key: &str| KnownHost::read(&file, host).verdict(kind, key.as_bytes());
        assert_eq!(verdict("example.com", "ssh-ed25519", "key"), Verdict::Trusted);
        assert_eq!(verdict("10.0.0.7", "ssh-ed25519", "key"), Verdict::Trusted);
        assert_eq!(verdict("example.com", "ssh-ed25519", "other"), Verdict::Changed);
        assert_eq!(verdict("example.com", "ssh-rsa", "key"), Verdict::Unknown);
        assert_eq!(verdict("[example.com]:2222", "ssh-ed25519", "key"), Verdict::Unknown);
        assert_eq!(verdict("b.org", "ssh-rsa", "key"), Verdict::Trusted);
        assert_eq!(verdict("a.org", "ssh-rsa", "key"), Verdict::Unknown);
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, host) in [
            ("*", ""),
            ("*", "a.org"),
            ("*.org", "a.b.org"),
            ("a.*", "a."),
            ("A.*.org", "a.b.ORG"),
            ("10.0.0.?", "10.0.0.7"),
            ("*?.org", "a.org"),
            ("**b*", "aab"),
            ("a*b*c", "abcbcc"),
        ] {
            assert!(pattern_matches(pattern, host), "{pattern} {host}");
        }
        for (pattern, host) in
            [("", "a"), ("a.org", "b.a.org"), ("*.org", "a.com"), ("10.0.0.?", "10.0.0.17"), ("a?", "a"), ("*a", "ab")]
        {
            assert!(!pattern_matches(pattern, host), "{pattern} {host}");
        }
        // With a step back to each `*`, this would not end.
        assert!(!pattern_matches(&("*a".repeat(40) + "b"), &"a".repeat(200)));
    }

    #[test]
    fn a_revoked_key_is_never_trusted() {
        let key = STANDARD.encode("key");
        for file in [
            format!("@revoked * ssh-rsa {key}\nb.org ssh-rsa {key}\n"),
            format!("b.org ssh-rsa {key}\n@revoked\t*\tssh-rsa\t{key}\n"),
        ] {
            let known = KnownHost::read(&file, "b.org");
            assert_eq!(known.verdict("ssh-rsa", b"key"), Verdict::Revoked, "{file}");
            assert_eq!(known.verdict("ssh-rsa", b"other"), Verdict::Changed, "{file}");
        }
        assert!(KnownHost::read(&format!("@revoked * ssh-rsa {key}"), "b.org").revokes(b"key"));
        assert!(KnownHost::read(&format!("@revoked b.org ssh-rsa {key}"), "[b.org]:2222").revokes(b"key"));
        assert!(!KnownHost::read(&format!("@revoked a.org ssh-rsa {key}"), "[b.org]:2222").revokes(b"key"));
    }

    #[test]
    fn authorities_are_not_keys_of_the_host() {
        let key = STANDARD.encode("key");
        let known = KnownHost::read(
            &format!("@cert-authority *.org ssh-rsa {key}\n@later b.org ssh-rsa {key}"),
            "[b.org]:2222",
        );
        assert_eq!(known.verdict("ssh-rsa", b"key"), Verdict::Unknown);
        assert_eq!(known.authorities().collect::<Vec<_>>(), [b"key"]);
        assert_eq!(known.kinds().count(), 0);
        let other = KnownHost::read(&format!("@cert-authority *.org ssh-rsa {key}"), "b.com");
        assert_eq!(other.authorities().count(), 0);
        assert!(is_principal(&["a.org".to_owned(), "*.b.org".to_owned()], "[git.b.org]:2222"));
        assert!(!is_principal(&["a.org".to_owned()], "b.org") && !is_principal(&[], "b.org"));
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
        assert_eq!(KnownHost::read(&file, "[127.0.0.1]:2222").verdict("ssh-ed25519", b"key"), Verdict::Trusted);
        assert_eq!(KnownHost::read(&file, "127.0.0.1").verdict("ssh-ed25519", b"key"), Verdict::Unknown);
    }
}
