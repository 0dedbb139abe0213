//! SSH keys in the format of ssh-keygen(1), section "ALLOWED SIGNERS", and signatures by them (PROTOCOL.sshsig).
//!
//! Times without `Z` are read as UTC.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ssh_key::{HashAlg, PublicKey, SshSig};

use super::verdict::{SignedWith, Verdict};

/// The namespace of git's signatures.
pub const NAMESPACE: &str = "git";

/// A key, and when it may sign commits.
#[derive(Debug)]
pub struct AllowedKey {
    /// The person: the first principal that is a single one.
    who: Option<String>,
    key: PublicKey,
    /// False if it may sign other things than commits only.
    is_for_git: bool,
    /// In seconds.
    after: Option<i64>,
    /// In seconds.
    before: Option<i64>,
}

/// Reads the lines of a file.
///
/// # Errors
/// The first line that is not valid, or a text without any key.
pub fn read(text: &str) -> Result<Vec<AllowedKey>, String> {
    let (mut keys, mut lines_with_keys) = (Vec::new(), 0);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        lines_with_keys += 1;
        keys.push(entry(line).map_err(|reason| format!("line {}: {reason}", index + 1))?);
    }
    match lines_with_keys {
        0 => Err("it contains no keys".to_owned()),
        _ => Ok(keys),
    }
}

impl AllowedKey {
    /// Returns the name of the person, or the fingerprint of a key that is not a single person's.
    pub fn who(&self) -> String {
        self.who.clone().unwrap_or_else(|| fingerprint(&self.key))
    }

    /// Returns the person and the fingerprint.
    pub fn describe(&self) -> String {
        let fingerprint = fingerprint(&self.key);
        self.who.as_ref().map_or_else(|| fingerprint.clone(), |who| format!("{who} ({fingerprint})"))
    }

    /// Returns whether it may sign commits at all.
    pub fn is_for_commits(&self) -> bool {
        self.is_for_git
    }

    /// Returns why the key may not sign a commit at a time in seconds.
    fn refuses(&self, at: i64) -> Option<&'static str> {
        if !self.is_for_git {
            return Some("the key's namespaces do not include git");
        }
        if self.after.is_some_and(|after| at < after) {
            return Some("the commit is older than the key's valid-after");
        }
        self.before.is_some_and(|before| at > before).then_some("the commit is newer than the key's valid-before")
    }

    fn signed_with(&self) -> SignedWith {
        SignedWith { key: fingerprint(&self.key), who: self.who.clone() }
    }
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Returns the verdict of the keys on an armored signature for git at a time in seconds.
pub fn verdict(keys: &[AllowedKey], signature: &str, content: &[u8], at: i64) -> Verdict {
    let Ok(signature) = SshSig::from_pem(signature.trim()) else {
        return Verdict::refused("it is not a valid SSH signature");
    };
    let made_by = PublicKey::from(signature.public_key().clone());
    let listed = || keys.iter().filter(|allowed| allowed.key.key_data() == made_by.key_data());
    let with = listed().next().map(AllowedKey::signed_with);
    if made_by.verify(NAMESPACE, content, &signature).is_err() {
        return Verdict::Refused { with, reason: "it was not made for this commit".to_owned() };
    }
    if let Some(allowed) = listed().find(|allowed| allowed.refuses(at).is_none()) {
        return Verdict::Accepted(allowed.signed_with());
    }
    match listed().find_map(|allowed| allowed.refuses(at)) {
        Some(reason) => Verdict::Refused { with, reason: reason.to_owned() },
        None => Verdict::UnknownKey(Some(fingerprint(&made_by))),
    }
}

/// Returns the key that made an armored signature for git at a time in seconds.
pub fn signer<'k>(keys: &'k [AllowedKey], signature: &str, content: &[u8], at: i64) -> Option<&'k AllowedKey> {
    let signature = SshSig::from_pem(signature.trim()).ok()?;
    let mut usable = keys.iter().filter(|allowed| allowed.refuses(at).is_none());
    usable.find(|allowed| allowed.key.verify(NAMESPACE, content, &signature).is_ok())
}

/// Reads a line: who may sign, options, the type of the key, the key, and a comment.
fn entry(line: &str) -> Result<AllowedKey, String> {
    let (principals, rest) = word(line)?;
    let (second, after_second) = word(rest)?;
    if is_type(principals) && second.starts_with("AAAA") {
        return Err(format!("who may sign is missing before `{principals}`: write an e-mail address, or `*`"));
    }
    if principals.trim_matches('"').is_empty() {
        return Err("who may sign is empty".to_owned());
    }
    let (third, after_third) = word(after_second)?;
    let (options, kind, blob) =
        if is_type(second) { ("", second, third) } else { (second, third, word(after_third)?.0) };
    if kind.is_empty() || blob.is_empty() {
        return Err("a key is missing; write who may sign, options, the type of the key and the key".to_owned());
    }
    let options = Options::read(options)?;
    let key = PublicKey::from_openssh(&format!("{kind} {blob}"));
    let key = key.map_err(|error| format!("`{kind}` is not followed by a valid key of this type: {error}"))?;
    if !is_supported(&key) {
        return Err(format!("keys of the type `{kind}` are not supported"));
    }
    let Options { is_for_git, after, before } = options;
    Ok(AllowedKey { who: person(principals), key, is_for_git, after, before })
}

/// Returns the first of several principals that is not a pattern.
fn person(principals: &str) -> Option<String> {
    let mut names = principals.trim_matches('"').split(',').map(str::trim);
    names.find(|name| !name.is_empty() && !name.contains(['*', '?', '!'])).map(str::to_owned)
}

fn is_supported(key: &PublicKey) -> bool {
    let data = key.key_data();
    data.is_ed25519() || data.is_sk_ed25519() || data.is_ecdsa() || data.is_sk_ecdsa_p256() || data.is_rsa()
}

/// Returns whether a word looks like the type of a key.
fn is_type(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start))
}

/// Splits off the first word. White space between double quotes is part of it.
fn word(text: &str) -> Result<(&str, &str), String> {
    let text = text.trim_start();
    let mut is_quoted = false;
    let end = text.find(|c: char| {
        is_quoted ^= c == '"';
        !is_quoted && c.is_whitespace()
    });
    if is_quoted {
        return Err("a quote is not closed".to_owned());
    }
    Ok(text.split_at(end.unwrap_or(text.len())))
}

/// The options of a line.
struct Options {
    is_for_git: bool,
    after: Option<i64>,
    before: Option<i64>,
}

impl Options {
    fn read(text: &str) -> Result<Options, String> {
        let mut options = Options { is_for_git: true, after: None, before: None };
        let mut is_quoted = false;
        let parts = text.split(|c: char| {
            is_quoted ^= c == '"';
            !is_quoted && c == ','
        });
        for part in parts.filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim_matches('"');
            match name.to_ascii_lowercase().as_str() {
                "namespaces" => options.is_for_git = is_in(value, NAMESPACE),
                "valid-after" => options.after = Some(time(value)?),
                "valid-before" => options.before = Some(time(value)?),
                "cert-authority" => {
                    return Err("`cert-authority` is not supported; list the keys themselves".to_owned());
                }
                _ => {
                    let known = "namespaces, valid-after or valid-before";
                    return Err(format!("unknown option `{name}`; expected {known}"));
                }
            }
        }
        match (options.after, options.before) {
            (Some(after), Some(before)) if after >= before => Err("valid-after is not before valid-before".to_owned()),
            _ => Ok(options),
        }
    }
}

/// Returns whether a list of patterns includes a word (ssh_config(5), section "PATTERNS").
fn is_in(patterns: &str, word: &str) -> bool {
    let mut found = false;
    for pattern in patterns.split(',').map(str::trim) {
        match pattern.strip_prefix('!') {
            Some(not) if matches(not.as_bytes(), word.as_bytes()) => return false,
            Some(_) => {}
            None => found |= matches(pattern.as_bytes(), word.as_bytes()),
        }
    }
    found
}

fn matches(pattern: &[u8], word: &[u8]) -> bool {
    match (pattern.split_first(), word.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, word) || word.split_first().is_some_and(|(_, on)| matches(pattern, on))
        }
        (Some((b'?', rest)), Some((_, on))) => matches(rest, on),
        (Some((one, rest)), Some((other, on))) => one == other && matches(rest, on),
        _ => false,
    }
}

/// Reads `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, with an optional `Z`, in seconds.
fn time(text: &str) -> Result<i64, String> {
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let is_whole = matches!(digits.len(), 8 | 12 | 14) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let padded = format!("{digits:0<14}");
    let number = |at: std::ops::Range<usize>| padded.get(at).and_then(|part| part.parse::<i8>().ok());
    let read = || {
        let (month, day) = (number(4..6)?, number(6..8)?);
        let (hour, minute, second) = (number(8..10)?, number(10..12)?, number(12..14)?);
        let year = padded.get(..4)?.parse().ok()?;
        let time = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
    };
    is_whole.then(read).flatten().ok_or_else(|| {
        format!("`{text}` is not a valid time; write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with `Z` for UTC")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // The public key of RFC 8032, section 7.1, test 1.
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";

    fn one(line: &str) -> AllowedKey {
        let [key] = <[AllowedKey; 1]>::try_from(read(line).expect(line)).expect("one key");
        key
    }

    fn refused(line: &str) -> String {
        read(line).expect_err(line)
    }

    #[test]
    fn lines_of_allowed_signers_are_read() {
        let file = format!(
            "# the bot\n\nbot@example.com,*@acme.example {KEY} a comment\n\"a b\" {KEY}\n* namespaces=\"file,git\" {KEY}\r\n"
        );
        assert_eq!(read(&file).expect("valid").len(), 3);
        let key = one(&format!("* valid-after=\"20260102\",Valid-Before=\"202601021530Z\",namespaces=\"g?t\" {KEY}"));
        assert_eq!((key.after, key.before), (Some(1_767_312_000), Some(1_767_367_800)));
        assert_eq!(one(&format!("* valid-after=20260102000001Z {KEY}")).after, Some(1_767_312_001));
        // Keys for other purposes do not sign commits.
        for namespaces in ["file", "!git,*", ""] {
            assert!(!one(&format!("* namespaces=\"{namespaces}\" {KEY}")).is_for_commits(), "{namespaces}");
        }
    }

    #[test]
    fn a_key_is_known_by_its_person_or_else_by_its_fingerprint() {
        let who = |principals: &str| one(&format!("{principals} {KEY}")).who();
        assert_eq!(who("ada@example.com,*@acme.example"), "ada@example.com");
        assert_eq!(who("*@acme.example,!eve@acme.example,ada@acme.example"), "ada@acme.example");
        assert_eq!(who("\"Ada Lovelace\""), "Ada Lovelace");
        assert!(who("*").starts_with("SHA256:"), "whoever it is, it is always the same");
        assert_eq!(one(&format!("* {KEY}")).describe(), who("*"));
        assert_eq!(one(&format!("ada {KEY}")).describe(), format!("ada ({})", who("*")));
    }

    #[test]
    fn invalid_lines_say_what_is_missing() {
        assert_eq!(refused("# nothing\n"), "it contains no keys");
        let missing = "line 1: who may sign is missing before `ssh-ed25519`: write an e-mail address, or `*`";
        assert_eq!(refused(KEY), missing);
        assert!(refused("bot@example.com").starts_with("line 1: a key is missing"));
        assert!(refused("bot@example.com ssh-ed25519").starts_with("line 1: a key is missing"));
        assert!(refused(&format!("\n* colour=\"red\" {KEY}")).starts_with("line 2: unknown option `colour`; expected"));
        assert!(refused(&format!("* cert-authority {KEY}")).contains("`cert-authority` is not supported"));
        assert!(refused("* ssh-ed25519 AAAAnonsense").contains("is not followed by a valid key"));
        assert!(refused(&format!("* namespaces=\"git {KEY}")).contains("a quote is not closed"));
        for time in ["2026", "20261301", "yesterday", "2026-01-02", "20260102T00Z"] {
            let text = refused(&format!("* valid-after=\"{time}\" {KEY}"));
            assert!(text.contains("is not a valid time"), "{time}: {text}");
        }
        let never = format!("* valid-after=\"20260102\",valid-before=\"20260101\" {KEY}");
        assert!(refused(&never).contains("is not before"));
    }
}
