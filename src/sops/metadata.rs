//! The `sops` block of a file: to whom its key is encrypted, what it covers, and the MAC.

use std::ops::Range;

use super::error::SopsError;
use super::go_scalar::parse_rfc3339;
use super::metadata_writer::Recipients;
use super::selection::{DEFAULT_UNENCRYPTED_SUFFIX, Selection};

/// Metadata as the formats have it: texts, lists and mappings, not typed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// A text; of what is read, any scalar.
    Text(String),
    /// A number or a boolean, to be written without quotes.
    Word(String),
    /// A list.
    List(Vec<Raw>),
    /// A mapping.
    Map(Vec<(String, Raw)>),
}

impl Raw {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Raw> {
        match self {
            Raw::Map(pairs) => pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// A text that is there and not empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Raw::Text(text) | Raw::Word(text) if !matches!(text.as_str(), "" | "null" | "~") => Some(text),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn items(&self, key: &str) -> &[Raw] {
        match self.get(key) {
            Some(Raw::List(items)) => items,
            _ => &[],
        }
    }
}

/// Where the two fields stand that change with every edit, quotes included. A file of several documents has several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// The bytes of `mac`.
    pub mac: Range<usize>,
    /// The bytes of `lastmodified`.
    pub last_modified: Range<usize>,
    /// The whole block: from the start of its first line to the end of its last one.
    pub block: Range<usize>,
}

/// What is wrong with the metadata of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// A field is missing, or has no value.
    #[error("its sops metadata has no `{0}`: it was cut off or edited by hand")]
    Missing(&'static str),
    /// A key stands twice.
    #[error("its sops metadata has `{0}` twice")]
    Twice(String),
    /// A list holds something else than keys.
    #[error("its sops metadata has something in `{0}` that is no key")]
    NoKey(String),
    /// `version` is no version.
    #[error("its `version` is no version of sops")]
    Version,
    /// `lastmodified` is no time.
    #[error("its `lastmodified` is no RFC 3339 time")]
    LastModified,
    /// No key at all.
    #[error("its sops metadata names no key")]
    NoKeys,
    /// Two rules at a time.
    #[error("its sops metadata has more than one of the encrypted and unencrypted suffixes and patterns")]
    Rules,
    /// A pattern cannot be read.
    #[error("its sops metadata: {0}")]
    Pattern(#[from] super::go_regex::RegexError),
    /// `shamir_threshold` is no number.
    #[error("its `shamir_threshold` is no whole number")]
    Threshold,
}

/// Metadata, read.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// The key groups. With more than one, each holds a share of the data key.
    pub groups: Vec<Vec<MasterKey>>,
    /// How many shares are needed.
    pub threshold: Option<usize>,
    /// When the file was written, in Go's spelling: additional data of the MAC.
    pub last_modified: String,
    /// The MAC, encrypted.
    pub mac: String,
    /// What is encrypted.
    pub selection: Selection,
    /// Whether the MAC covers only what is encrypted.
    pub mac_only_encrypted: bool,
    /// The version of sops that wrote the file.
    pub version: String,
}

/// A key that can open the data key, or a share of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterKey {
    /// An age recipient.
    Age {
        /// The recipient, as `age1…` or an SSH key.
        recipient: String,
        /// The data key, encrypted to it, in age's armor.
        enc: String,
    },
    /// A key of a service that is not asked here.
    Foreign {
        /// The service, as the metadata names it: `pgp`, `kms`, `gcp_kms`, `azure_kv`, `hc_vault`, `hckms`.
        service: String,
        /// The name of the key there.
        name: String,
    },
}

impl MasterKey {
    /// The key's name for people: the recipient, or `pgp FINGERPRINT`.
    pub fn name(&self) -> String {
        match self {
            MasterKey::Age { recipient, .. } => recipient.clone(),
            MasterKey::Foreign { service, name } => format!("{service} {name}"),
        }
    }
}

/// Lists of keys by the name that metadata gives them, and the field that names the key.
pub const SERVICES: [(&str, &str); 6] = [
    ("kms", "arn"),
    ("gcp_kms", "resource_id"),
    ("azure_kv", "name"),
    ("hc_vault", "key_name"),
    ("pgp", "fp"),
    ("hckms", "key_id"),
];

impl Metadata {
    /// Reads the metadata.
    pub fn read(raw: &Raw) -> Result<Metadata, MetadataError> {
        unique(raw)?;
        let required = |key: &'static str| raw.text(key).ok_or(MetadataError::Missing(key));
        let last_modified = parse_rfc3339(required("lastmodified")?).ok_or(MetadataError::LastModified)?;
        semver::Version::parse(required("version")?).map_err(|_| MetadataError::Version)?;
        let own = group_of(raw)?;
        let groups = match own.is_empty() {
            false => vec![own],
            true => raw.items("key_groups").iter().map(group_of).collect::<Result<_, _>>()?,
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

    /// All keys of all groups.
    pub fn keys(&self) -> impl Iterator<Item = &MasterKey> {
        self.groups.iter().flatten()
    }

    /// To whom the file is encrypted, unless keys of services are among them.
    pub fn age_recipients(&self) -> Result<Recipients, SopsError> {
        let foreign: Vec<String> =
            self.keys().filter(|key| matches!(key, MasterKey::Foreign { .. })).map(MasterKey::name).collect();
        if !foreign.is_empty() {
            return Err(SopsError::ForeignRecipients { keys: foreign });
        }
        let groups = self.groups.iter().map(|group| group.iter().map(MasterKey::name).collect()).collect();
        Ok(Recipients { groups, threshold: self.threshold })
    }

    /// The names of all keys, for people.
    pub fn recipients(&self) -> Vec<String> {
        self.keys().map(MasterKey::name).collect()
    }
}

/// The keys of a group, age's last as SOPS has them. A list that is not known counts as one of an unknown service.
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

/// Go's YAML refuses keys that stand twice.
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

/// Old versions wrote the threshold of dotenv and INI files as a number with a fraction.
fn threshold_of(text: &str) -> Result<usize, MetadataError> {
    let number = text.parse::<f64>().map_err(|_| MetadataError::Threshold)?;
    let whole = number.fract() == 0.0 && (0.0..=255.0).contains(&number);
    if whole { Ok(number as usize) } else { Err(MetadataError::Threshold) }
}

/// SOPS writes times to the second.
pub(super) fn without_fraction(time: &str) -> String {
    match time.find('.') {
        Some(point) => {
            let digits = time[point + 1..].bytes().take_while(u8::is_ascii_digit).count();
            format!("{}{}", &time[..point], &time[point + 1 + digits..])
        }
        None => time.to_owned(),
    }
}
