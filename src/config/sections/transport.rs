//! The sections `ssh` and `https`, which say how a git server is reached.

use crate::repo::config::{Https, Ssh};
use crate::repo::known_hosts::FingerprintError;

use crate::config::reader::Section;

/// Reads the section `ssh`.
pub fn ssh(mut section: Section<'_>) -> Ssh {
    let ssh = Ssh {
        key_file: section.path("keyFile"),
        passphrase_file: section.path("passphraseFile"),
        known_hosts_file: section.path("knownHostsFile").unwrap_or_default(),
        host_fingerprints: section
            .each_with("hostFingerprints", |text| text.parse().map_err(|error: FingerprintError| error.to_string())),
    };
    section.finish();
    ssh
}

/// Reads the section `https`.
pub fn https(mut section: Section<'_>) -> Https {
    let https = Https {
        username: section.parsed_with("username", |text| Ok(text.to_owned())),
        token_file: section.path("tokenFile"),
        identity: None,
        ca_file: section.path("caFile"),
    };
    section.finish();
    https
}
