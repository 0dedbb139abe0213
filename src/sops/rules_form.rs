//! The types of the values in `.sops.yaml`. Sops refuses a file with a value of another type, even if no rule that
//! contains it applies.

use super::raw::Raw;
use super::rules_error::RulesError;
use super::selection::Selection;

/// Checks all of a `.sops.yaml`.
pub fn check(root: &Raw) -> Result<(), RulesError> {
    let root = Form::of(root, "the file");
    root.mapping()?;
    root.at("stores").mapping()?;
    root.at("destination_rules").each(&mut |rule| rule.mapping())?;
    root.at("creation_rules").each(&mut |rule| {
        rule.mapping()?;
        for key in TEXTS.into_iter().chain(Selection::KEYS) {
            rule.at(key).scalar("a text")?;
        }
        for key in KEYS {
            let keys = rule.at(key);
            if matches!(keys.raw, Some(Raw::List(_))) {
                keys.each(&mut |key| key.scalar("a text"))?
            } else {
                keys.scalar("a text or a list")?
            }
        }
        rule.at("shamir_threshold").scalar("a number")?;
        rule.at("mac_only_encrypted").truth()?;
        rule.at("key_groups").each(&mut |group| key_group(group, 0))
    })
}

/// Returns whether a scalar is true to Go's YAML, for a field that is a boolean.
pub fn is_true(text: &str) -> bool {
    ["true", "y", "yes", "on"].iter().any(|word| has_case_of_word(text, word))
}

/// The keys of a rule whose values are texts, apart from those of selections.
const TEXTS: [&str; 2] = ["path_regex", "aws_profile"];

/// The keys of a rule that name recipients: a text or a list of texts.
const KEYS: [&str; 6] = ["age", "pgp", "kms", "gcp_kms", "azure_keyvault", "hc_vault_transit_uri"];

/// Groups are not nested more deeply than this.
const DEEPEST: usize = 20;

fn key_group(group: &Form<'_>, depth: usize) -> Result<(), RulesError> {
    group.mapping()?;
    for key in ["age", "pgp", "hc_vault"] {
        group.at(key).each(&mut |key| key.scalar("a text"))?;
    }
    for key in ["kms", "gcp_kms", "azure_keyvault"] {
        group.at(key).each(&mut |key| key.mapping())?;
    }
    if depth == DEEPEST {
        return Err(group.refused("a group that is nested less deeply"));
    }
    group.at("merge").each(&mut |merged| key_group(merged, depth + 1))
}

/// A value with its place; `None` for a key that is not there.
struct Form<'r> {
    raw: Option<&'r Raw>,
    place: String,
}

impl<'r> Form<'r> {
    fn of(raw: &'r Raw, place: &str) -> Form<'r> {
        Form { raw: Some(raw).filter(|raw| !is_null(raw)), place: place.to_owned() }
    }

    fn at(&self, key: &str) -> Form<'r> {
        let raw = self.raw.and_then(|raw| raw.get(key)).filter(|raw| !is_null(raw));
        Form { raw, place: if self.place == "the file" { key.to_owned() } else { format!("{}.{key}", self.place) } }
    }

    /// Requires a mapping without duplicate keys.
    fn mapping(&self) -> Result<(), RulesError> {
        match self.raw {
            None => Ok(()),
            Some(Raw::Map(pairs)) => {
                let twice =
                    pairs.iter().enumerate().find(|(at, (key, _))| pairs[..*at].iter().any(|(other, _)| other == key));
                twice.map_or(Ok(()), |(_, (key, _))| {
                    Err(RulesError::Twice { place: self.place.clone(), key: key.clone() })
                })
            }
            Some(_) => Err(self.refused("a mapping")),
        }
    }

    fn scalar(&self, wanted: &'static str) -> Result<(), RulesError> {
        match self.raw {
            None | Some(Raw::Text(_) | Raw::Word(_)) => Ok(()),
            Some(_) => Err(self.refused(wanted)),
        }
    }

    fn truth(&self) -> Result<(), RulesError> {
        let is_false = |text: &str| ["false", "n", "no", "off"].iter().any(|word| has_case_of_word(text, word));
        match self.raw {
            None => Ok(()),
            Some(Raw::Text(text) | Raw::Word(text)) if is_true(text) || is_false(text) => Ok(()),
            Some(_) => Err(self.refused("true or false")),
        }
    }

    /// Requires a list, and checks each item.
    fn each(&self, check: &mut dyn FnMut(&Form<'r>) -> Result<(), RulesError>) -> Result<(), RulesError> {
        match self.raw {
            None => Ok(()),
            Some(Raw::List(items)) => items
                .iter()
                .enumerate()
                .try_for_each(|(at, item)| check(&Form::of(item, &format!("{}[{at}]", self.place)))),
            Some(_) => Err(self.refused("a list")),
        }
    }

    fn refused(&self, wanted: &'static str) -> RulesError {
        RulesError::Form { place: self.place.clone(), wanted }
    }
}

fn is_null(raw: &Raw) -> bool {
    matches!(raw, Raw::Text(text) | Raw::Word(text) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
}

/// Returns whether a text is a word in one of the three ways in which Go's YAML reads it: `yes`, `Yes`, `YES`.
fn has_case_of_word(text: &str, word: &str) -> bool {
    let rest = text.get(1..).unwrap_or_default();
    let is_uniform = *rest == rest.to_lowercase() || *text == text.to_uppercase();
    is_uniform && text.eq_ignore_ascii_case(word)
}
