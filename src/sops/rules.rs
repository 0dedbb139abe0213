//! `.sops.yaml`: which files are encrypted, to whom and how. The first rule whose `path_regex` matches counts, on the
//! path from the folder of the `.sops.yaml`.

use regex::Regex;

use crate::fault::{Explain, Fault};
use crate::yaml::scan::Scan;

use super::age::recipient;
use super::error::SopsError;
use super::format::yaml;
use super::go_regex::{self, RegexError};
use super::metadata::{MasterKey, Metadata, Raw};
use super::metadata_writer::Recipients;
use super::selection::Selection;

/// Why a `.sops.yaml` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// It is no YAML.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// A pattern cannot be read.
    #[error("rule {rule}: {error}")]
    Pattern {
        /// The rule, from 1.
        rule: usize,
        /// What is wrong with it.
        error: RegexError,
    },
    /// Two ways to say what is encrypted.
    #[error("rule {rule} has more than one of the encrypted and unencrypted suffixes and patterns")]
    Selections {
        /// The rule, from 1.
        rule: usize,
    },
    /// The threshold is no number.
    #[error("rule {rule}: `shamir_threshold` is no whole number")]
    Threshold {
        /// The rule, from 1.
        rule: usize,
    },
}

impl Explain for RulesError {
    fn fault(&self) -> Fault {
        Fault::BadInput
    }
}

/// The creation rules of a `.sops.yaml`.
#[derive(Debug, Clone, Default)]
pub struct CreationRules {
    rules: Vec<CreationRule>,
}

/// One creation rule.
#[derive(Debug, Clone)]
pub struct CreationRule {
    path: Option<Regex>,
    /// The key groups, each a list of the keys that shall open its share.
    pub groups: Vec<Vec<WantedKey>>,
    /// How many groups are needed; all of them if it says nothing.
    pub threshold: Option<usize>,
    /// What is encrypted.
    pub selection: Selection,
    /// Whether the MAC covers only what is encrypted.
    pub mac_only_encrypted: bool,
}

/// A key that a rule asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WantedKey {
    /// `age`, or a service as metadata names it.
    pub service: String,
    /// The recipient, or the name of the key.
    pub name: String,
}

impl WantedKey {
    fn new(service: &str, name: &str) -> WantedKey {
        let name = match service {
            "age" => recipient::normalized(name),
            "pgp" => name.split_ascii_whitespace().collect::<String>().to_ascii_uppercase(),
            "hc_vault" => name.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned(),
            "azure_kv" => match name.split_once("/keys/") {
                Some((_, key)) => key.split('/').next().unwrap_or_default().to_owned(),
                None => name.trim().to_owned(),
            },
            // An ARN may carry a role.
            "kms" => name.split('+').next().unwrap_or_default().trim().to_owned(),
            _ => name.trim().to_owned(),
        };
        WantedKey { service: service.to_owned(), name }
    }

    /// The key as metadata has it.
    pub fn of(key: &MasterKey) -> WantedKey {
        match key {
            MasterKey::Age { recipient, .. } => WantedKey::new("age", recipient),
            MasterKey::Foreign { service, name } => WantedKey::new(service, name),
        }
    }

    /// The key for people.
    pub fn shown(&self) -> String {
        if self.service == "age" { self.name.clone() } else { format!("{} {}", self.service, self.name) }
    }
}

impl CreationRules {
    /// Reads a `.sops.yaml`.
    pub fn parse(bytes: &[u8]) -> Result<CreationRules, RulesError> {
        let scan = Scan::read(bytes).map_err(|error| RulesError::Unreadable(error.to_string()))?;
        let Some((_, root)) = scan.documents().next() else { return Ok(CreationRules::default()) };
        let raw = yaml::raw(&scan, root);
        let rules = raw.items("creation_rules").iter().enumerate();
        Ok(CreationRules {
            rules: rules.map(|(index, raw)| CreationRule::read(raw, index + 1)).collect::<Result<_, _>>()?,
        })
    }

    /// The rule of a file, by its path from the folder of the `.sops.yaml`.
    pub fn rule_for(&self, path: &str) -> Option<&CreationRule> {
        self.rules.iter().find(|rule| rule.path.as_ref().is_none_or(|regex| regex.is_match(path)))
    }

    /// The rule that says by name that a file is encrypted: not one for every file of its kind.
    pub fn demands(&self, path: &str) -> Option<&CreationRule> {
        let rule = self.rule_for(path)?;
        let regex = rule.path.as_ref()?;
        let extension = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension);
        let any_file = extension.map_or("a/b".to_owned(), |extension| format!("a/b.{extension}"));
        (!regex.is_match(&any_file)).then_some(rule)
    }
}

impl CreationRule {
    fn read(raw: &Raw, rule: usize) -> Result<CreationRule, RulesError> {
        let pattern = |error| RulesError::Pattern { rule, error };
        let path = raw.text("path_regex").map(go_regex::compile).transpose().map_err(pattern)?;
        let mut selections = Selection::KEYS.iter().filter_map(|key| Selection::of(key, raw.text(key)?));
        let selection = selections.next().transpose().map_err(pattern)?;
        if selections.next().is_some() {
            return Err(RulesError::Selections { rule });
        }
        let threshold = raw.text("shamir_threshold").map(str::parse).transpose();
        let groups = match raw.items("key_groups") {
            [] => vec![group(raw, &RULE_KEYS)],
            groups => groups.iter().map(|raw| group(raw, &GROUP_KEYS)).collect(),
        };
        Ok(CreationRule {
            path,
            groups,
            threshold: threshold.map_err(|_| RulesError::Threshold { rule })?.filter(|threshold| *threshold > 0),
            selection: selection.unwrap_or_default(),
            mac_only_encrypted: raw.text("mac_only_encrypted") == Some("true"),
        })
    }

    /// To whom a file is encrypted by this rule. Keys of services are not passed over in silence: files would lack them.
    pub fn recipients(&self) -> Result<Recipients, SopsError> {
        let foreign: Vec<String> =
            self.groups.iter().flatten().filter(|key| key.service != "age").map(WantedKey::shown).collect();
        if !foreign.is_empty() {
            return Err(SopsError::ForeignRecipients { keys: foreign });
        }
        let names = |group: &Vec<WantedKey>| group.iter().map(|key| key.name.clone()).collect();
        Ok(Recipients { groups: self.groups.iter().map(names).collect(), threshold: self.threshold })
    }

    /// How the keys of a file differ from those of the rule; `None` when they do not.
    pub fn difference(&self, metadata: &Metadata) -> Option<String> {
        let sorted = |keys: &mut Vec<WantedKey>| {
            keys.sort();
            keys.dedup();
        };
        let mut wanted = self.groups.clone();
        let mut found: Vec<Vec<WantedKey>> =
            metadata.groups.iter().map(|group| group.iter().map(WantedKey::of).collect()).collect();
        wanted.iter_mut().chain(&mut found).for_each(sorted);
        let all = |groups: &[Vec<WantedKey>]| groups.concat();
        let without = |keys: Vec<WantedKey>, others: &[WantedKey]| -> Vec<String> {
            keys.into_iter().filter(|key| !others.contains(key)).map(|key| key.shown()).collect()
        };
        let missing = without(all(&wanted), &all(&found));
        let extra = without(all(&found), &all(&wanted));
        let mut said = Vec::new();
        if !missing.is_empty() {
            said.push(format!("it is not encrypted to {}", missing.join(", ")));
        }
        if !extra.is_empty() {
            said.push(format!("it is encrypted to {} as well", extra.join(", ")));
        }
        if said.is_empty() && wanted != found {
            said.push("its key groups are others".to_owned());
        }
        let needed = |threshold: Option<usize>| threshold.unwrap_or(wanted.len());
        if said.is_empty() && wanted.len() > 1 && needed(self.threshold) != needed(metadata.threshold) {
            said.push("its shamir_threshold is another".to_owned());
        }
        (!said.is_empty()).then(|| format!("{} (by .sops.yaml)", said.join("; ")))
    }
}

/// Keys of a rule, or of a key group, by service, and the field of the name where an entry is a mapping.
type KeyLists = [(&'static str, &'static str, &'static str); 6];

const RULE_KEYS: KeyLists = [
    ("age", "age", ""),
    ("pgp", "pgp", ""),
    ("kms", "kms", "arn"),
    ("gcp_kms", "gcp_kms", "resource_id"),
    ("azure_keyvault", "azure_kv", "key"),
    ("hc_vault_transit_uri", "hc_vault", ""),
];

const GROUP_KEYS: KeyLists = [
    ("age", "age", ""),
    ("pgp", "pgp", ""),
    ("kms", "kms", "arn"),
    ("gcp_kms", "gcp_kms", "resource_id"),
    ("azure_keyvault", "azure_kv", "key"),
    ("hc_vault", "hc_vault", ""),
];

fn group(raw: &Raw, lists: &KeyLists) -> Vec<WantedKey> {
    let mut keys: Vec<WantedKey> = Vec::new();
    for merged in raw.items("merge") {
        keys.extend(group(merged, &GROUP_KEYS));
    }
    for (list, service, field) in lists {
        let names: Vec<&str> = match raw.get(list) {
            Some(Raw::Text(text)) => vec![text],
            Some(Raw::List(items)) => items
                .iter()
                .filter_map(|item| match item {
                    Raw::Text(text) => Some(text.as_str()),
                    item => item.text(field),
                })
                .collect(),
            _ => Vec::new(),
        };
        let names = names.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|name| !name.is_empty());
        for key in names.map(|name| WantedKey::new(service, name)) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "
creation_rules:
  - path_regex: secrets/.*\\.ya?ml$
    encrypted_regex: ^(data|stringData)$
    age: >-
      age1a,
      age1b
  - path_regex: \\.env$
    shamir_threshold: 2
    key_groups:
      - age: [age1a]
        merge:
          - pgp: [\"fbc7 b9e2\"]
      - age: ['ssh-ed25519 AAAA me@host']
        kms: [{arn: 'arn:x'}]
  - age: [age1c]
    mac_only_encrypted: true
";

    fn keys(rule: &CreationRule) -> Vec<Vec<String>> {
        rule.groups.iter().map(|group| group.iter().map(WantedKey::shown).collect()).collect()
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let rules = CreationRules::parse(CONFIG.as_bytes()).expect("rules");
        let rule = rules.rule_for("apps/secrets/x.yaml").expect("a rule");
        assert_eq!(keys(rule), [["age1a", "age1b"]]);
        assert_eq!(rule.selection.written(), ("encrypted_regex", "^(data|stringData)$"));
        let rule = rules.rule_for("x.env").expect("a rule");
        assert_eq!(keys(rule), [["pgp FBC7B9E2", "age1a"], ["ssh-ed25519 AAAA", "kms arn:x"]]);
        assert_eq!(rule.threshold, Some(2));
        let rule = rules.rule_for("other.txt").expect("a rule");
        assert!(rule.mac_only_encrypted && keys(rule) == [["age1c"]]);
    }

    #[test]
    fn keys_of_services_are_named_and_not_left_out() {
        let rules = CreationRules::parse(CONFIG.as_bytes()).expect("rules");
        let of = |path: &str| rules.rule_for(path).expect("a rule").recipients();
        assert_eq!(of("other.txt").expect("age alone").groups, [["age1c"]]);
        let keys = ["pgp FBC7B9E2", "kms arn:x"].map(str::to_owned).to_vec();
        assert_eq!(of("x.env"), Err(SopsError::ForeignRecipients { keys }));
    }

    #[test]
    fn a_rule_for_every_file_demands_nothing_of_one() {
        let rules = CreationRules::parse(CONFIG.as_bytes()).expect("rules");
        assert!(rules.demands("secrets/x.yaml").is_some());
        assert!(rules.demands("x.env").is_none() && rules.demands("other.txt").is_none());
        assert!(CreationRules::parse(b"stores: {}\n").expect("rules").rule_for("x").is_none());
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let error = |text: &str| CreationRules::parse(text.as_bytes()).expect_err("broken").to_string();
        assert_eq!(error("creation_rules:\n- path_regex: (\n"), "rule 1: the pattern `(` is not supported");
        assert!(error("creation_rules:\n- encrypted_regex: a\n  encrypted_suffix: b\n").contains("more than one"));
        assert!(error("creation_rules:\n- shamir_threshold: x\n").contains("shamir_threshold"));
    }
}
