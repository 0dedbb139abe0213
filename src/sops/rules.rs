//! The creation rules of `.sops.yaml`: which files are encrypted, how, and to which recipients. The first rule whose
//! `path_regex` matches applies; it is matched against the path from the folder of the `.sops.yaml`.

use regex::Regex;

use crate::yaml::scan::Scan;

use super::age::recipient;
use super::error::SopsError;
use super::go_regex;
use super::metadata::{MasterKey, Metadata};
use super::parse::yaml;
use super::raw::Raw;
use super::recipients::Recipients;
use super::rules_error::RulesError;
use super::rules_form;
use super::selection::Selection;

/// The creation rules of a `.sops.yaml`.
#[derive(Debug, Clone, Default)]
pub struct CreationRules {
    rules: Vec<CreationRule>,
}

/// One creation rule.
#[derive(Debug, Clone)]
pub struct CreationRule {
    path: Option<Regex>,
    /// The key groups, each a list of the keys that decrypt its share.
    pub groups: Vec<Vec<RequiredKey>>,
    /// The number of groups that are needed; all of them if `None`.
    pub threshold: Option<usize>,
    /// The values that are encrypted.
    pub selection: Selection,
    /// True if the MAC covers only encrypted values.
    pub mac_only_encrypted: bool,
}

/// A key that a rule requires.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequiredKey {
    /// `age`, or a service as metadata names it.
    pub service: String,
    /// The recipient, or the name of the key.
    pub name: String,
}

impl RequiredKey {
    fn new(service: &str, name: &str) -> RequiredKey {
        let name = match service {
            "age" => recipient::normalized(name),
            "pgp" => name.split_ascii_whitespace().collect::<String>().to_ascii_uppercase(),
            "hc_vault" => name.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned(),
            "azure_kv" => match name.split_once("/keys/") {
                Some((_, key)) => key.split('/').next().unwrap_or_default().to_owned(),
                None => name.trim().to_owned(),
            },
            // An ARN may include a role.
            "kms" => name.split('+').next().unwrap_or_default().trim().to_owned(),
            _ => name.trim().to_owned(),
        };
        RequiredKey { service: service.to_owned(), name }
    }

    /// Returns a key of a file's metadata in this form.
    pub fn of(key: &MasterKey) -> RequiredKey {
        match key {
            MasterKey::Age { recipient, .. } => RequiredKey::new("age", recipient),
            MasterKey::Foreign { service, name } => RequiredKey::new(service, name),
        }
    }

    /// Returns the key's name for display.
    pub fn display_name(&self) -> String {
        if self.service == "age" { self.name.clone() } else { format!("{} {}", self.service, self.name) }
    }
}

impl CreationRules {
    /// Parses a `.sops.yaml`.
    ///
    /// # Errors
    /// Fails if sops would refuse the file: it is not YAML, or a value does not have the type or form that it must have.
    pub fn parse(bytes: &[u8]) -> Result<CreationRules, RulesError> {
        let scan = Scan::read(bytes).map_err(|error| RulesError::Unreadable(error.to_string()))?;
        let Some((_, root)) = scan.documents().next() else { return Ok(CreationRules::default()) };
        let raw = yaml::raw(&scan, root);
        rules_form::check(&raw)?;
        let rules = raw.items("creation_rules").iter().enumerate();
        Ok(CreationRules {
            rules: rules.map(|(index, raw)| CreationRule::read(raw, index + 1)).collect::<Result<_, _>>()?,
        })
    }

    /// Returns the rule for a file, by its path from the folder of the `.sops.yaml`.
    pub fn rule_for(&self, path: &str) -> Option<&CreationRule> {
        self.rules.iter().find(|rule| rule.path.as_ref().is_none_or(|regex| regex.is_match(path)))
    }

    /// Returns the rule that requires a file by its name to be encrypted, unlike one for every file of its kind.
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
            mac_only_encrypted: raw.text("mac_only_encrypted").is_some_and(rules_form::is_true),
        })
    }

    /// Returns the recipients of this rule. Fails for keys of services: files would silently lack them.
    pub fn recipients(&self) -> Result<Recipients, SopsError> {
        let foreign: Vec<String> =
            self.groups.iter().flatten().filter(|key| key.service != "age").map(RequiredKey::display_name).collect();
        if !foreign.is_empty() {
            return Err(SopsError::ForeignRecipients { keys: foreign });
        }
        let names = |group: &Vec<RequiredKey>| group.iter().map(|key| key.name.clone()).collect();
        Ok(Recipients { groups: self.groups.iter().map(names).collect(), threshold: self.threshold })
    }

    /// Describes how the keys of a file differ from those of the rule; `None` if they do not.
    pub fn difference(&self, metadata: &Metadata) -> Option<String> {
        let sorted = |keys: &mut Vec<RequiredKey>| {
            keys.sort();
            keys.dedup();
        };
        let mut wanted = self.groups.clone();
        let mut found: Vec<Vec<RequiredKey>> =
            metadata.groups.iter().map(|group| group.iter().map(RequiredKey::of).collect()).collect();
        wanted.iter_mut().chain(&mut found).for_each(sorted);
        let all = |groups: &[Vec<RequiredKey>]| groups.concat();
        let without = |keys: Vec<RequiredKey>, others: &[RequiredKey]| -> Vec<String> {
            keys.into_iter().filter(|key| !others.contains(key)).map(|key| key.display_name()).collect()
        };
        let missing = without(all(&wanted), &all(&found));
        let extra = without(all(&found), &all(&wanted));
        let mut differences = Vec::new();
        if !missing.is_empty() {
            differences.push(format!("it is not encrypted to {}", missing.join(", ")));
        }
        if !extra.is_empty() {
            differences.push(format!("it is also encrypted to {}", extra.join(", ")));
        }
        if differences.is_empty() && wanted != found {
            differences.push("its key groups differ".to_owned());
        }
        let needed = |threshold: Option<usize>| threshold.unwrap_or(wanted.len());
        if differences.is_empty() && wanted.len() > 1 && needed(self.threshold) != needed(metadata.threshold) {
            differences.push("its shamir_threshold differs".to_owned());
        }
        (!differences.is_empty()).then(|| format!("differs from .sops.yaml: {}", differences.join("; ")))
    }
}

/// The lists of keys of a rule or of a key group: name of the list, service, and the field with the name if an entry is
/// a mapping.
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

fn group(raw: &Raw, lists: &KeyLists) -> Vec<RequiredKey> {
    let mut keys: Vec<RequiredKey> = Vec::new();
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
        for key in names.map(|name| RequiredKey::new(service, name)) {
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
        rule.groups.iter().map(|group| group.iter().map(RequiredKey::display_name).collect()).collect()
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
    fn a_rule_for_every_file_demands_nothing() {
        let rules = CreationRules::parse(CONFIG.as_bytes()).expect("rules");
        assert!(rules.demands("secrets/x.yaml").is_some());
        assert!(rules.demands("x.env").is_none() && rules.demands("other.txt").is_none());
        assert!(CreationRules::parse(b"stores: {}\n").expect("rules").rule_for("x").is_none());
    }

    #[test]
    fn unusable_rules_are_refused() {
        let error = |text: &str| CreationRules::parse(text.as_bytes()).expect_err("broken").to_string();
        assert_eq!(error("creation_rules:\n- path_regex: (\n"), "rule 1: the pattern `(` is not supported");
        assert!(error("creation_rules:\n- encrypted_regex: a\n  encrypted_suffix: b\n").contains("more than one"));
        assert!(error("creation_rules:\n- shamir_threshold: x\n").contains("shamir_threshold"));
    }
}
