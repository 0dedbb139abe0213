//! How a trusted root differs from an earlier one.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sigstore_verify::trust_root::{CertificateAuthority, TimeRange, TrustedRoot};

/// A log or an authority that a trusted root names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Its address.
    pub url: String,
    /// The SHA-256 of its public key or certificate.
    pub key: String,
    /// When it began to count.
    pub since: Option<Timestamp>,
    /// When it ended, or will end.
    pub until: Option<Timestamp>,
}

/// The kinds of logs and authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A transparency log.
    Log,
    /// An authority that issues certificates to signers.
    CertificateAuthority,
    /// A log of such certificates.
    CertificateLog,
    /// An authority that issues timestamps.
    TimestampAuthority,
}

/// The differences between two trusted roots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// What is new.
    pub added: Vec<Entry>,
    /// What is not trusted any more.
    pub removed: Vec<Entry>,
    /// What counts for another time than before, as it is now.
    pub limited: Vec<Entry>,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Log => "transparency log",
            Kind::CertificateAuthority => "certificate authority",
            Kind::CertificateLog => "certificate log",
            Kind::TimestampAuthority => "timestamp authority",
        })
    }
}

impl Entry {
    fn is_same(&self, other: &Entry) -> bool {
        (self.kind, &self.url, &self.key) == (other.kind, &other.url, &other.key)
    }
}

impl Changes {
    /// Compares a trusted root with an earlier one. What cannot be read names nothing.
    pub fn between(before: &str, after: &str) -> Changes {
        let (before, after) = (entries(before), entries(after));
        let mut changes = Changes::default();
        for entry in &after {
            match before.iter().find(|other| other.is_same(entry)) {
                None => changes.added.push(entry.clone()),
                Some(other) if other != entry => changes.limited.push(entry.clone()),
                Some(_) => {}
            }
        }
        changes.removed = before.into_iter().filter(|entry| !after.iter().any(|other| other.is_same(entry))).collect();
        changes
    }
}

/// Returns what a trusted root names.
pub fn entries(json: &str) -> Vec<Entry> {
    let Ok(root) = TrustedRoot::from_json(json) else { return Vec::new() };
    let entry = |kind, url: &str, bytes: &[u8], range: Option<TimeRange>| {
        let (since, until) = range.map_or((None, None), |range| (Some(range.start), range.end));
        let key = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Entry { kind, url: url.to_owned(), key, since, until }
    };
    let logs = root
        .tlogs
        .iter()
        .map(|log| entry(Kind::Log, &log.base_url, log.public_key.raw_bytes.as_bytes(), log.public_key.valid_for));
    let authorities = root.certificate_authorities.iter().map(|authority: &CertificateAuthority| {
        let first = authority.cert_chain.certificates.first().map(|one| one.raw_bytes.as_bytes()).unwrap_or_default();
        entry(Kind::CertificateAuthority, &authority.uri, first, authority.valid_for)
    });
    let certificate_logs = root.ctlogs.iter().map(|log| {
        entry(Kind::CertificateLog, &log.base_url, log.public_key.raw_bytes.as_bytes(), log.public_key.valid_for)
    });
    let timestamps = root.timestamp_authorities.iter().map(|authority| {
        let first = authority.cert_chain.certificates.first().map(|one| one.raw_bytes.as_bytes()).unwrap_or_default();
        entry(Kind::TimestampAuthority, authority.uri.as_deref().unwrap_or_default(), first, authority.valid_for)
    });
    logs.chain(authorities).chain(certificate_logs).chain(timestamps).collect()
}

#[cfg(test)]
mod tests {
    use sigstore_verify::trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;

    use super::*;

    #[test]
    fn what_is_new_gone_or_limited_is_told_apart() {
        let all = entries(SIGSTORE_PRODUCTION_TRUSTED_ROOT);
        assert!(all.len() >= 6 && all.iter().any(|entry| entry.url == "https://rekor.sigstore.dev"), "{all:#?}");
        let changed = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut json = serde_json::from_str(SIGSTORE_PRODUCTION_TRUSTED_ROOT).expect("JSON");
            change(&mut json);
            json.to_string()
        };
        let without = changed(&|json| drop(json["tlogs"].as_array_mut().expect("logs").remove(0)));
        let ended = changed(&|json| json["tlogs"][0]["publicKey"]["validFor"]["end"] = "2026-01-01T00:00:00Z".into());
        let between = |before: &str, after: &str| {
            let Changes { added, removed, limited } = Changes::between(before, after);
            (added.len(), removed.len(), limited.len())
        };
        let whole = SIGSTORE_PRODUCTION_TRUSTED_ROOT;
        assert_eq!(between(whole, whole), (0, 0, 0));
        assert_eq!(between(whole, &without), (0, 1, 0));
        assert_eq!(between(&without, whole), (1, 0, 0));
        assert_eq!(between(whole, &ended), (0, 0, 1));
        assert_eq!(between("nonsense", whole), (all.len(), 0, 0));
    }
}
