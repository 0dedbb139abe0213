//! A known_hosts file after a line with the address of a server: a revoked key is never trusted, whatever else is there,
//! and a line that makes a key known does so.

use std::sync::LazyLock;

use regex::Regex;
use tagalong::repo::known_hosts::{Fingerprint, KnownHost, Verdict, host_name, is_principal, line, name_without_port};

const KIND: &str = "ssh-ed25519";
const KEY: &[u8] = b"a key that no input has";

/// An address as it is in the URL of a repository.
static ADDRESS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\A(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(:[0-9]*)?\z").expect("a pattern"));

pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (address, file) = text.split_once('\n').unwrap_or((&text, ""));
    // The address is the user's own; no name is longer.
    if address.len() > 300 {
        return;
    }
    let host = host_name(address);
    assert!(address.contains(name_without_port(&host)), "{address}");
    let known = KnownHost::read(file, &host);
    assert_ne!(known.verdict(KIND, KEY), Verdict::Trusted);
    let revoked = KnownHost::read(&format!("{file}\n@revoked * {}\n", line("", KIND, KEY).trim()), &host);
    assert_eq!(revoked.verdict(KIND, KEY), Verdict::Revoked);
    assert!(revoked.kinds().eq(known.kinds()) && revoked.authorities().eq(known.authorities()));
    if ADDRESS.is_match(address) {
        let trusted = KnownHost::read(&format!("{}\n{file}", line(&host, KIND, KEY)), &host);
        assert_eq!(trusted.verdict(KIND, KEY), Verdict::Trusted);
    }
    let principals: Vec<String> = file.lines().map(str::to_owned).collect();
    is_principal(&principals, &host);
    if let Ok(fingerprint) = address.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }
}
