//! The metadata of a file: the recipients of its key, the values that are encrypted, and the MAC.

use super::error::SopsError;
use super::go_scalar::parse_rfc3339;
use super::metadata_error::MetadataError;
use super::raw::Raw;
use super::recipients::Recipients;
use super::selection::{DEFAULT_UNENCRYPTED_SUFFIX, Selection};

/// The metadata of a file.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// The key groups. With more than one, each holds a share of the data key.
    pub groups: Vec<Vec<MasterKey>>,
    /// The number of shares that are needed.
    pub threshold: Option<usize>,
    /// The time when the file was written, in Go's spelling: the additional data of the MAC.
    pub last_modified: String,
    /// The MAC, encrypted.
    pub mac: String,
    /// The values that are encrypted.
    pub selection: Selection,
    /// True if the MAC covers only encrypted values.
    pub mac_only_encrypted: bool,
    /// The version of sops that wrote the file.
    pub version: String,
}

/// A key that decrypts the data key, or a share of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterKey {
    /// An age recipient.
    Age {
        /// The recipient, as `age1…` or an SSH key.
        recipient: String,
        /// The data key, encrypted to it, in age's armor.
        enc: String,
    },
    /// A key of an unsupported service.
    Foreign {
        /// The service, as the metadata names it: `pgp`, `kms`, `gcp_kms`, `azure_kv`, `hc_vault`, `hckms`.
        service: String,
        /// The name of the key.
        name: String,
    },
}

impl MasterKey {
    /// Returns the key's name for display: the recipient, or `pgp FINGERPRINT`.
    pub fn name(&self) -> String {
        match self {
            MasterKey::Age { recipient, .. } => recipient.clone(),
            MasterKey::Foreign { service, name } => format!("{service} {name}"),
        }
    }
}

/// The lists of keys in metadata, with the field that names a key.
pub const SERVICES: [(&str, &str); 6] = [
    ("kms", "arn"),
    ("gcp_kms", "resource_id"),
    ("azure_kv", "name"),
    ("hc_vault", "key_name"),
    ("pgp", "fp"),
    ("hckms", "key_id"),
];

impl Metadata {
    /// Reads and checks the metadata.
    pub fn read(raw: &Raw) -> Result<Metadata, MetadataError> {
        unique(raw)?;
        let required = |key: &'static str| raw.text(key).ok_or(MetadataError::Missing(key));
        let last_modified = parse_rfc3339(required("lastmodified")?).ok_or(MetadataError::LastModified)?;
        semver::Version::parse(required("version")?).map_err(|_| MetadataError::Version)?;
        let own = group_of(raw)?;
        let groups = if own.is_empty() {
            raw.items("key_groups").iter().map(group_of).collect::<Result<_, _>>()?
        } else {
            vec![own]
        };
        if groups.iter().all(Vec::is_empty) {
            return Err(MetadataError::NoKeys);
        }
        let threshold = raw.text("shamir_threshold").map(threshold_of).transpose()?.filter(|threshold| *threshold > 0);
        Ok(Metadata {
            groups,
            threshold,
            last_modified: without_fraction(&last_modified),
            mac: required("mac")?.to_owned(),
            selection: selection_of(raw)?,
            mac_only_encrypted: matches!(raw.text("mac_only_encrypted"), Some("true" | "True" | "TRUE")),
            version: raw.text("version").unwrap_or_default().to_owned(),
        })
    }

    /// Returns all keys of all groups.
    pub fn keys(&self) -> impl Iterator<Item = &MasterKey> {
        self.groups.iter().flatten()
    }

    /// Returns the recipients of the file; fails if keys of services are among them.
    pub fn age_recipients(&self) -> Result<Recipients, SopsError> {
        let foreign: Vec<String> =
            self.keys().filter(|key| matches!(key, MasterKey::Foreign { .. })).map(MasterKey::name).collect();
        if !foreign.is_empty() {
            return Err(SopsError::ForeignRecipients { keys: foreign });
        }
        let groups = self.groups.iter().map(|group| group.iter().map(MasterKey::name).collect()).collect();
        Ok(Recipients { groups, threshold: self.threshold })
    }

    /// Returns the names of all keys, for display.
    pub fn recipients(&self) -> Vec<String> {
        self.keys().map(MasterKey::name).collect()
    }
}

/// Returns the keys of a group. An unknown list counts as that of an unknown service.
fn group_of(raw: &Raw) -> Result<Vec<MasterKey>, MetadataError> {
    let Raw::Map(pairs) = raw else { return Err(MetadataError::NoKey("key_groups".to_owned())) };
    let mut keys = Vec::new();
    for (list, items) in pairs {
        let Raw::List(items) = items else { continue };
        for item in items {
            let is_known = list == "age" || SERVICES.iter().any(|(service, _)| service == list);
            if is_known && !matches!(item, Raw::Map(_)) {
                return Err(MetadataError::NoKey(list.clone()));
            }
            let Some(enc) = item.text("enc") else { continue };
            keys.push(match list.as_str() {
                "age" => MasterKey::Age {
                    recipient: item.text("recipient").unwrap_or_default().to_owned(),
                    enc: enc.to_owned(),
                },
                _ => {
                    let field = SERVICES.iter().find(|(service, _)| service == list).map_or("name", |(_, field)| field);
                    let name = item.text(field).unwrap_or_default().to_owned();
                    MasterKey::Foreign { service: list.clone(), name }
                }
            });
        }
    }
    Ok(keys)
}

/// Checks for duplicate keys, which Go's YAML refuses.
fn unique(raw: &Raw) -> Result<(), MetadataError> {
    match raw {
        Raw::Text(_) | Raw::Word(_) => Ok(()),
        Raw::List(items) => items.iter().try_for_each(unique),
        Raw::Map(pairs) => pairs.iter().enumerate().try_for_each(|(at, (key, value))| {
            let twice = pairs[..at].iter().any(|(other, _)| other == key);
            if twice { Err(MetadataError::Twice(key.clone())) } else { unique(value) }
        }),
    }
}

fn selection_of(raw: &Raw) -> Result<Selection, MetadataError> {
    let mut found = Selection::KEYS.iter().filter_map(|key| Selection::of(key, raw.text(key)?));
    let first = found.next().unwrap_or(Ok(Selection::UnencryptedSuffix(DEFAULT_UNENCRYPTED_SUFFIX.to_owned())))?;
    if found.next().is_some() { Err(MetadataError::Rules) } else { Ok(first) }
}

/// Parses the threshold. Old versions wrote that of dotenv and INI files with a fraction.
fn threshold_of(text: &str) -> Result<usize, MetadataError> {
    let number = text.parse::<f64>().map_err(|_| MetadataError::Threshold)?;
    let whole = number.fract() == 0.0 && (0.0..=255.0).contains(&number);
    if whole { Ok(number as usize) } else { Err(MetadataError::Threshold) }
}

/// Removes the fraction of a time: SOPS writes times to the second.
pub(super) fn without_fraction(time: &str) -> String {
    match time.find('.') {
        Some(point) => {
            let digits = time[point + 1..].bytes().take_while(u8::is_ascii_digit).count();
            format!("{}{}", &time[..point], &time[point + 1 + digits..])
        }
        None => time.to_owned(),
    }
}
